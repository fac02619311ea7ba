from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from producer.wire import FILES, MemoryObjects, MemoryTransport, Spooled, running, settings, until
from runstream import awaited, events
from runstream.agent import Agent
from runstream.agent.deposits import Deposits
from runstream.agent.uploads import manifest_digest
from runstream.objects import object_key
from runstream.spool_cursor import Cursor


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstream.agent.deposits.BACKOFF_S", (0.01, 0.05))


def events_of(transport: MemoryTransport, kind: str) -> list[dict[str, Any]]:
    return [event for one, event in transport.control() if one == kind]


def in_sequence(transport: MemoryTransport) -> list[str]:
    """Kinds of the events that have a place in their writer's sequence, by place."""
    placed = {event["seq"]: kind for kind, event in transport.control() if event["seq"] >= 0}
    assert sorted(placed) == list(range(len(placed)))
    return [placed[seq] for seq in sorted(placed)]


def agent_for(data_dir: Path, transport: MemoryTransport, objects: MemoryObjects, **arguments: Any) -> Agent:
    return Agent(data_dir, transport, objects, settings(data_dir), **arguments)


async def test_staged_files_are_stored_by_content_and_then_logged(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    stage = spool.stage("net", FILES)
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: "ArtifactLogged" in transport.kinds())
        await until(lambda: not stage.exists())
    said, event = events_of(transport, "EventAwaited")[0], events_of(transport, "ArtifactLogged")[0]
    assert (said["kind"], said["name"], said["type"], said["actor"]) == ("ArtifactLogged", "net", "model", "me@here")
    assert (said["files"], said["size"], said["seq"], said["lost"]) == (2, sum(map(len, FILES.values())), 1, "")
    assert (event["time_us"], event["writer_id"]) == (said["time_us"], said["writer_id"])
    assert [file["path"] for file in event["files"]] == list(FILES)
    for file in event["files"]:
        assert objects.objects[object_key(file["sha256"])] == FILES[file["path"]]
        assert file["size"] == len(FILES[file["path"]])
    assert event["digest"] == manifest_digest(event["files"])
    assert (event["name"], event["type"], event["aliases"], event["actor"]) == ("net", "model", ["best"], "me@here")
    assert (event["size"], event["seq"]) == (sum(map(len, FILES.values())), -1)
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
    assert in_sequence(transport) == ["RunStarted", "EventAwaited", "EventAwaited", "RunFinished"]
    assert [event["name"] for event in events_of(transport, "ArtifactLogged")] == ["net", "copy"]
    assert len({event["digest"] for event in events_of(transport, "ArtifactLogged")}) == 1


async def test_all_but_the_bytes_goes_while_the_store_is_down(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    objects.down = True
    spool.stage("net", FILES)
    spool.event("TextLogged", name="answer", step=1, text="42")
    spool.event("HistogramLogged", name="h", step=1, edges=[0.0, 1.0], counts=[2.0])
    for step in range(100):
        spool.log(step, loss=1.0)
    spool.stage("other", FILES, 2)
    spool.finish()
    kinds = ["RunStarted", "EventAwaited", "TextLogged", "HistogramLogged", "EventAwaited", "RunFinished"]
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: len(transport.rows()) == 100 and transport.kinds() == kinds)
        assert [event["seq"] for _, event in transport.control()] == [0, 1, 2, 3, 4, 5]
        await until(lambda: Cursor.load(spool.directory).position.event_seq == 6)
        place = Cursor.load(spool.directory)
        assert (place.position.row_seq, place.finished) == (100, False)
        assert awaited.amount(spool.directory) == (2, 2 * sum(map(len, FILES.values())))
        objects.down = False
        await until(lambda: not spool.directory.exists())
    assert transport.kinds() == [*kinds, "ArtifactLogged", "ArtifactLogged"]
    assert [event["name"] for event in events_of(transport, "ArtifactLogged")] == ["net", "other"]


async def test_events_larger_than_any_memory_limit_and_points_pass_an_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runstream.agent.tail.MAX_WAITING_BYTES", 1000)
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    objects.down = True
    spool.stage("net", FILES)
    for step in range(50):
        spool.event("TextLogged", name="answer", step=step, text="x" * 500)
        spool.log(step, loss=1.0)
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: len(transport.rows()) == 50 and transport.kinds().count("TextLogged") == 50)
    spool.writer.abandon()


async def test_segments_before_the_cursor_go_while_an_artifact_waits(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    objects.down = True
    stage = spool.stage("net", FILES)
    for step in range(20_000):
        spool.log(step, loss=1.0)
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: len(transport.rows()) == 20_000)
        await until(lambda: not (spool.directory / "00000001.seg").exists())
        assert stage.exists()
        objects.down = False
        await until(lambda: not stage.exists())
    assert transport.kinds() == ["RunStarted", "EventAwaited", "ArtifactLogged"]
    assert not awaited.is_awaited(spool.directory, 10)
    spool.writer.abandon()


async def test_an_agent_that_stops_during_an_upload_leaves_it_to_the_next(tmp_path: Path) -> None:
    spool, objects = Spooled(tmp_path), MemoryObjects()
    spool.stage("net", FILES)
    spool.finish()
    objects.down = True
    first, second = MemoryTransport(), MemoryTransport()
    async with running(agent_for(tmp_path, first, objects)):
        await until(lambda: first.kinds() == ["RunStarted", "EventAwaited", "RunFinished"])
    objects.down = False
    async with running(agent_for(tmp_path, second, objects)):
        await until(lambda: not spool.directory.exists())
    assert second.kinds() == ["ArtifactLogged"]


async def test_an_agent_that_dies_before_the_cursor_is_saved_leaves_the_same_events_to_the_next(tmp_path: Path) -> None:
    spool, objects = Spooled(tmp_path), MemoryObjects()
    spool.stage("net", FILES)
    spool.finish()
    kept = tmp_path / "kept"
    first, second = MemoryTransport(), MemoryTransport()
    objects.down = first.hold = True
    async with running(agent_for(tmp_path, first, objects)):
        await until(lambda: first.kinds() == ["RunStarted", "EventAwaited", "RunFinished"])
        # What a kill leaves: nothing acknowledged, and the artifact written down.
        shutil.copytree(spool.directory, kept)
        first.hold = False
        first.release()
        objects.down = False
        await until(lambda: not spool.directory.exists())
    shutil.copytree(kept, spool.directory)
    assert awaited.is_awaited(spool.directory, 2)
    async with running(agent_for(tmp_path, second, objects)):
        await until(lambda: not spool.directory.exists())
    assert sorted(second.control(), key=str) == sorted(first.control(), key=str)


async def test_an_artifact_that_arrived_before_what_is_in_front_of_it_is_sent_again_after_a_death(
    tmp_path: Path,
) -> None:
    spool, objects = Spooled(tmp_path), MemoryObjects()
    first, second = MemoryTransport(), MemoryTransport()
    first.hold = True
    stage = spool.stage("net", FILES)
    async with running(agent_for(tmp_path, first, objects)):
        await until(lambda: "ArtifactLogged" in first.kinds())
        first.held[-1].set_result(None)  # the artifact alone
        assert stage.exists()
    assert stage.exists()
    async with running(agent_for(tmp_path, second, objects)):
        await until(lambda: not stage.exists())
    assert events_of(second, "ArtifactLogged") == events_of(first, "ArtifactLogged")
    assert not list((tmp_path / "refused").glob("*"))
    spool.writer.abandon()


async def test_an_artifact_that_cannot_be_written_down_holds_the_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    objects.down = True
    stage = spool.stage("net", FILES)
    (spool.directory / awaited.DIRECTORY).write_text("in the way")
    spool.event("Attributes", values={"notes": "later"})
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: transport.kinds() == ["RunStarted", "EventAwaited", "Attributes"])
        await until(lambda: Cursor.load(spool.directory).position.event_seq == 1)
        objects.down = False
        await until(lambda: not stage.exists())
        assert Cursor.load(spool.directory).position.event_seq == 3
    spool.writer.abandon()


async def test_a_message_that_is_refused_is_said_to_be_lost(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    transport.refuse = lambda message: events.decode(message.value)[0] == "ArtifactLogged"
    spool.stage("net", FILES)
    spool.finish()
    await agent_for(tmp_path, transport, objects, stay=False, leave_after_s=0).run(asyncio.Event())
    assert [bool(event["lost"]) for event in events_of(transport, "EventAwaited")] == [False, True]
    assert not spool.directory.exists()


async def test_a_staged_file_that_is_gone_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    (spool.stage("net", FILES) / "model.pt").unlink()
    spool.finish()
    await agent_for(tmp_path, transport, objects, stay=False, leave_after_s=0).run(asyncio.Event())
    assert in_sequence(transport) == ["RunStarted", "EventAwaited", "RunFinished"]
    assert not events_of(transport, "ArtifactLogged")
    said, lost = events_of(transport, "EventAwaited")
    assert (said["lost"], lost["seq"], lost["time_us"]) == ("", -1, said["time_us"])
    assert lost["lost"].startswith("files/1/model.pt is gone")
    (kept,) = (tmp_path / "refused").iterdir()
    assert "model.pt" in kept.read_text()


async def test_what_is_ready_at_once_does_not_pile_up_before_brokers_that_are_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runstream.agent.awaiting.MAX_UNACKNOWLEDGED_BYTES", 1)
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    transport.hold = True
    stages = [spool.stage(f"net{number}", {"model.pt": bytes([number])}, number) for number in range(5)]
    spool.finish()
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: transport.kinds().count("ArtifactLogged") == 1 and "RunFinished" in transport.kinds())
        await asyncio.sleep(0.1)
        assert transport.kinds().count("ArtifactLogged") == 1
        transport.release()
        await until(lambda: not any(stage.exists() for stage in stages))
    assert [event["name"] for event in events_of(transport, "ArtifactLogged")] == [f"net{n}" for n in range(5)]


async def test_a_record_that_was_torn_holds_up_nothing_and_is_put_aside(tmp_path: Path) -> None:
    spool, objects = Spooled(tmp_path), MemoryObjects()
    spool.stage("net", FILES)
    spool.stage("other", FILES, 2)
    spool.finish()
    objects.down = True
    first, second = MemoryTransport(), MemoryTransport()
    async with running(agent_for(tmp_path, first, objects)):
        await until(lambda: Cursor.load(spool.directory).position.event_seq == 4)
    (spool.directory / awaited.DIRECTORY / "1.json").write_text('{"time_us": 12')
    objects.down = False
    async with running(agent_for(tmp_path, second, objects)):
        await until(lambda: not spool.directory.exists())
    assert [event["name"] for event in events_of(second, "ArtifactLogged")] == ["other"]
    (kept,) = (tmp_path / "refused").iterdir()
    assert "time_us" in kept.read_text()


async def test_a_torn_record_that_the_spool_still_has_is_read_from_there(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    spool.stage("net", FILES)
    spool.finish()
    (spool.directory / awaited.DIRECTORY).mkdir()
    (spool.directory / awaited.DIRECTORY / "1.json").touch()
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: not spool.directory.exists())
    assert in_sequence(transport) == ["RunStarted", "EventAwaited", "RunFinished"]
    assert [event["name"] for event in events_of(transport, "ArtifactLogged")] == ["net"]
    assert not (tmp_path / "refused").exists()


async def test_an_edit_of_a_stored_version_has_one_form_and_waits_for_no_other(tmp_path: Path) -> None:
    """Were its place taken by itself or by word of it as it happens, the second of two sendings would be dropped."""
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    stage = spool.stage("net", FILES)
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: not stage.exists())
        objects.down = True
        spool.stage("next", {"model.pt": b"other"}, 2)
        said = {"action": "register", "artifact": "net", "digest": "", "value": "", "note": "", "artifact_project": ""}
        spool.event("ModelEdited", model="digits", stage="files/1", **said)
        spool.finish()
        await until(lambda: "ModelEdited" in transport.kinds() and "RunFinished" in transport.kinds())
    assert in_sequence(transport) == ["RunStarted", "EventAwaited", "EventAwaited", "EventAwaited", "RunFinished"]
    (edit,), (logged,) = events_of(transport, "ModelEdited"), events_of(transport, "ArtifactLogged")
    assert (edit["seq"], edit["digest"]) == (-1, logged["digest"])


async def test_the_agent_leaves_when_a_spool_is_removed_while_an_artifact_waits(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    objects.down = True
    spool.stage("net", FILES)
    spool.finish()
    agent = agent_for(tmp_path, transport, objects, stay=False, leave_after_s=0)
    async with running(agent) as task:
        await until(lambda: Cursor.load(spool.directory).position.event_seq == 3)
        shutil.rmtree(spool.directory)
        await until(task.done)
    assert [event["lost"] != "" for event in events_of(transport, "EventAwaited")] == [False, True]


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
