from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from producer.wire import FILES, MemoryObjects, MemoryTransport, Spooled, running, settings, until
from runstream.agent import Agent
from runstream.agent.deposits import Deposits
from runstream.agent.uploads import manifest_digest
from runstream.objects import object_key
from runstream.spool_cursor import Cursor


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstream.agent.deposits.BACKOFF_S", (0.01, 0.05))


def agent_for(data_dir: Path, transport: MemoryTransport, objects: MemoryObjects, **arguments: Any) -> Agent:
    return Agent(data_dir, transport, objects, settings(data_dir), **arguments)


async def test_staged_files_are_stored_by_content_and_then_logged(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    stage = spool.stage("net", FILES)
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: "ArtifactLogged" in transport.kinds())
        await until(lambda: not stage.exists())
    _, event = transport.control()[1]
    assert [file["path"] for file in event["files"]] == list(FILES)
    for file in event["files"]:
        assert objects.objects[object_key(file["sha256"])] == FILES[file["path"]]
        assert file["size"] == len(FILES[file["path"]])
    assert event["digest"] == manifest_digest(event["files"])
    assert (event["name"], event["type"], event["aliases"], event["actor"]) == ("net", "model", ["best"], "me@here")
    assert (event["size"], event["seq"]) == (sum(map(len, FILES.values())), 1)
    assert event["files"][1]["mime"] == "application/json"
    spool.writer.abandon()


async def test_what_the_store_has_is_not_sent_again(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    spool.stage("net", FILES, 1)
    spool.stage("copy", FILES, 2)
    spool.finish()
    agent = agent_for(tmp_path, transport, objects, stay=False, leave_after_s=0)
    await agent.run(asyncio.Event())
    assert (objects.puts, agent.uploader.uploaded_files) == (2, 2)
    assert transport.kinds() == ["RunStarted", "ArtifactLogged", "ArtifactLogged", "RunFinished"]
    digests = {event["digest"] for kind, event in transport.control() if kind == "ArtifactLogged"}
    assert len(digests) == 1


async def test_rows_flow_and_events_keep_their_order_while_the_store_is_down(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    objects.down = True
    spool.stage("net", FILES)
    spool.event("Attributes", values={"notes": "later"})
    for step in range(100):
        spool.log(step, loss=1.0)
    spool.finish()
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: len(transport.rows()) == 100)
        await asyncio.sleep(0.3)
        assert transport.kinds() == ["RunStarted"]
        assert Cursor.load(spool.directory).position.row_seq == 0
        objects.down = False
        await until(lambda: not spool.directory.exists())
    assert transport.kinds() == ["RunStarted", "ArtifactLogged", "Attributes", "RunFinished"]
    assert [event["seq"] for _, event in transport.control()] == [0, 1, 2, 3]


async def test_an_agent_that_stops_during_an_upload_leaves_it_to_the_next(tmp_path: Path) -> None:
    spool, objects = Spooled(tmp_path), MemoryObjects()
    spool.stage("net", FILES)
    spool.finish()
    objects.down = True
    first, second = MemoryTransport(), MemoryTransport()
    async with running(agent_for(tmp_path, first, objects)):
        await until(lambda: first.kinds() == ["RunStarted"])
        await asyncio.sleep(0.2)
    objects.down = False
    async with running(agent_for(tmp_path, second, objects)):
        await until(lambda: not spool.directory.exists())
    assert second.kinds() == ["ArtifactLogged", "RunFinished"]


async def test_a_staged_file_that_is_gone_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    (spool.stage("net", FILES) / "model.pt").unlink()
    spool.finish()
    await agent_for(tmp_path, transport, objects, stay=False, leave_after_s=0).run(asyncio.Event())
    assert transport.kinds() == ["RunStarted", "RunFinished"]
    (kept,) = (tmp_path / "refused").iterdir()
    assert "model.pt" in kept.read_text()


def test_the_digest_is_that_of_the_sorted_manifest() -> None:
    files = [
        {"path": "b", "sha256": "22", "size": 2},
        {"path": "a/z", "sha256": "11", "size": 1},
    ]
    assert manifest_digest(files) == hashlib.sha256(b"a/z\t11\t1\nb\t22\t2\n").hexdigest()
    assert manifest_digest(files[::-1]) == manifest_digest(files)


async def test_what_a_collection_removed_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstream.agent.deposits.REMEMBERED_S", 0.0)
    objects = MemoryObjects()
    deposits = Deposits(objects)
    path = tmp_path / "f"
    path.write_bytes(b"content")
    await deposits.deposit(path)
    objects.objects.clear()
    content = await deposits.deposit(path)
    assert list(objects.objects) == [object_key(content.sha256)]
    await deposits.close()
