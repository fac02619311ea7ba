"""Media on their way: what names them goes at once, the bytes follow, and the cursor waits for both."""

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from producer.wire import MemoryObjects, MemoryTransport, Spooled, running, settings, until
from runstream.agent import Agent
from runstream.agent.deposits import SMALL_BYTES, Deposits, hashed
from runstream.errors import StagedFileLost
from runstream.objects import FileState, object_key, open_store
from runstream.spool_cursor import Cursor

SMALL, LARGE = b"pixels" * 10, os.urandom(SMALL_BYTES + 1)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstream.agent.deposits.BACKOFF_S", (0.01, 0.05))


def agent_for(data_dir: Path, transport: MemoryTransport, objects: Any, **arguments: Any) -> Agent:
    return Agent(data_dir, transport, objects, settings(data_dir), **arguments)


async def shipped(data_dir: Path, transport: MemoryTransport, objects: Any) -> Agent:
    agent = agent_for(data_dir, transport, objects, stay=False, leave_after_s=0)
    await agent.run(asyncio.Event())
    return agent


def stored_of(transport: MemoryTransport) -> set[str]:
    """The contents that were told to be in the store."""
    return {sha256 for kind, event in transport.control() if kind == "MediaStored" for sha256 in event["stored"]}


@pytest.mark.parametrize("data", [SMALL, LARGE, b""])
async def test_media_are_stored_by_content_and_named_by_it(tmp_path: Path, data: bytes) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    stage = spool.media("val/pictures", data, 3, caption="a cät", index=2)
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: not stage.exists())
    _, event = transport.control()[1]
    sha256 = hashlib.sha256(data).hexdigest()
    assert objects.objects == {object_key(sha256): data}
    assert (event["sha256"], event["size"], event["seq"]) == (sha256, len(data), 1)
    assert (event["name"], event["step"], event["index"], event["kind"]) == ("val/pictures", 3, 2, "image")
    assert (event["caption"], event["mime"], event["actor"]) == ("a cät", "image/png", "me@here")
    spool.writer.abandon()


async def test_what_names_media_and_all_behind_it_goes_while_the_store_is_down(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    objects.down = True
    spool.media("small", SMALL, 1)
    spool.media("large", LARGE, 2)
    spool.event("Attributes", values={"notes": "later"})
    for step in range(100):
        spool.log(step, loss=1.0)
    spool.finish()
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: len(transport.rows()) == 100 and len(transport.kinds()) == 5)
        assert transport.kinds() == ["RunStarted", "MediaLogged", "MediaLogged", "Attributes", "RunFinished"]
        assert [event["seq"] for _, event in transport.control()] == [0, 1, 2, 3, 4]
        await until(lambda: Cursor.load(spool.directory).position.event_seq == 1)
        objects.down = False
        await until(lambda: not spool.directory.exists())
    assert sorted(objects.objects.values()) == sorted([SMALL, LARGE])
    kind, told = transport.control()[5]
    assert (kind, told["seq"], told["lost"]) == ("MediaStored", -1, [])
    assert stored_of(transport) == {hashlib.sha256(data).hexdigest() for data in (SMALL, LARGE)}


async def test_the_cursor_waits_until_it_is_told_that_the_bytes_are_there(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    objects.down = True
    stage = spool.media("picture", SMALL)
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: "MediaLogged" in transport.kinds())
        transport.hold, objects.down = True, False
        await until(lambda: "MediaStored" in transport.kinds())
        assert stage.exists()
        transport.release()
        await until(lambda: not stage.exists())
    spool.writer.abandon()


async def test_the_cursor_waits_for_the_acknowledgement_too(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    transport.hold = True
    stage = spool.media("picture", SMALL)
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: objects.objects)
        assert stage.exists()
        assert Cursor.load(spool.directory).position.event_seq == 0
        transport.release()
        await until(lambda: not stage.exists())
    spool.writer.abandon()


async def test_one_content_is_sent_once_however_many_name_it(tmp_path: Path) -> None:
    objects, transport = MemoryObjects(), MemoryTransport()
    for _ in range(3):
        spool = Spooled(tmp_path)
        for number in range(1, 21):
            spool.media("picture", LARGE if number % 2 else SMALL, number)
        spool.finish()
    agent = await shipped(tmp_path, transport, objects)
    assert transport.kinds().count("MediaLogged") == 60
    assert transport.kinds().count("MediaStored") <= 6
    assert (objects.puts, agent.uploader.uploaded_files) == (2, 2)
    assert agent.uploader.uploaded_bytes == len(SMALL) + len(LARGE)


async def test_an_agent_that_stops_before_the_upload_leaves_it_to_the_next(tmp_path: Path) -> None:
    spool, objects = Spooled(tmp_path), MemoryObjects()
    spool.media("picture", LARGE)
    spool.finish()
    objects.down = True
    first, second = MemoryTransport(), MemoryTransport()
    async with running(agent_for(tmp_path, first, objects)):
        await until(lambda: first.kinds() == ["RunStarted", "MediaLogged", "RunFinished"])
    objects.down = False
    await shipped(tmp_path, second, objects)
    again = {event["seq"]: event for kind, event in second.control() if kind != "MediaStored"}
    assert {event["seq"]: event for _, event in first.control() if event["seq"]} == again
    assert list(objects.objects.values()) == [LARGE]
    assert not spool.directory.exists()


@pytest.mark.parametrize("data", [SMALL, LARGE])
async def test_media_whose_file_is_gone_do_not_hold_up_the_rest(tmp_path: Path, data: bytes) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    shutil.rmtree(spool.media("picture", data))
    spool.finish()
    await shipped(tmp_path, transport, objects)
    assert transport.kinds() == ["RunStarted", "RunFinished"]
    (kept,) = (tmp_path / "refused").iterdir()
    assert "files/m1" in kept.read_text()


async def test_media_whose_file_goes_before_the_upload_are_put_aside(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    objects.down = True
    stage = spool.media("picture", SMALL)
    spool.finish()
    async with running(agent_for(tmp_path, transport, objects)):
        await until(lambda: "MediaLogged" in transport.kinds())
        shutil.rmtree(stage)
        await until(lambda: not spool.directory.exists())
    assert len(list((tmp_path / "refused").iterdir())) == 1
    told = [event for kind, event in transport.control() if kind == "MediaStored"]
    assert [(event["stored"], event["lost"]) for event in told] == [([], [hashlib.sha256(SMALL).hexdigest()])]


async def test_media_behind_an_artifact_keep_their_place(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    spool.media("first", SMALL, 1)
    spool.stage("net", {"model.pt": LARGE})
    spool.media("second", LARGE, 2)
    spool.finish()
    await shipped(tmp_path, transport, objects)
    kinds = [kind for kind, event in transport.control() if event["seq"] >= 0]
    assert kinds == ["RunStarted", "MediaLogged", "EventAwaited", "MediaLogged", "RunFinished"]
    assert "ArtifactLogged" in transport.kinds()
    assert objects.puts == 2


async def test_many_waiting_files_stop_only_the_writers_that_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runstream.agent.tail.MAX_WAITING", 2)
    transport, objects = MemoryTransport(), MemoryObjects()
    objects.down = True
    heavy, light = Spooled(tmp_path), Spooled(tmp_path)
    async with running(agent_for(tmp_path, transport, objects)):
        for number in range(1, 30):
            heavy.media("picture", b"%d" % number, number)
        await until(lambda: transport.kinds().count("MediaLogged") > 2)
        for step in range(5):
            heavy.log(step, heavy=1.0)
            light.log(step, light=1.0)
        await until(lambda: len(transport.rows()) == 5)
        assert all("light" in row for _, _, row in transport.rows())
        objects.down = False
        await until(lambda: len(transport.rows()) == 10)
        await until(lambda: len(objects.objects) == 29)
    heavy.writer.abandon()
    light.writer.abandon()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from producer.wire import MemoryTransport, settings
from runstream.agent import Agent
from runstream.objects import open_store

class Dying:
    store = open_store({objects!r})
    left = {left}
    def renew(self, key, size):
        return self.store.exists(key)
    def put_file(self, key, path, sha256, seen=None):
        Dying.left -= 1
        if not Dying.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.store.put_file(key, path, sha256, seen)

agent = Agent(Path({data_dir!r}), MemoryTransport(), Dying(), settings(Path({data_dir!r})), stay=False, leave_after_s=0)
asyncio.run(agent.run(asyncio.Event()))
"""


async def test_an_agent_killed_during_uploads_leaves_nothing_out(tmp_path: Path) -> None:
    data_dir, store = tmp_path / "data", (tmp_path / "objects").as_uri()
    spool = Spooled(data_dir)
    contents = [os.urandom(2000 if number % 2 else SMALL_BYTES * 2) for number in range(12)]
    for number, data in enumerate(contents, 1):
        spool.media("picture", data, number)
    spool.finish()
    for left in (1, 5):
        program = KILLED.format(tests=str(Path(__file__).parents[1]), objects=store, data_dir=str(data_dir), left=left)
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
    transport = MemoryTransport()
    await shipped(data_dir, transport, open_store(store))
    assert [event["seq"] for kind, event in transport.control() if kind == "MediaLogged"][-1] == 12
    for data in contents:
        path = tmp_path / "back"
        open_store(store).get_file(object_key(hashlib.sha256(data).hexdigest()), path)
        assert path.read_bytes() == data


async def test_a_file_that_changes_while_it_is_deposited_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"first")

    class Changing(MemoryObjects):
        def put_file(self, key: str, path: Path, sha256: str, seen: FileState | None = None) -> None:
            if not self.puts:
                path.write_bytes(b"second")
            super().put_file(key, path, sha256)

    deposits = Deposits(Changing())
    assert (await deposits.deposit(path)).sha256 == hashlib.sha256(b"second").hexdigest()
    await deposits.close()


async def test_a_content_whose_first_file_is_gone_is_sent_from_the_second(tmp_path: Path) -> None:
    objects = MemoryObjects()
    objects.down = True
    deposits = Deposits(objects)
    ends: list[StagedFileLost | None] = []
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(SMALL)
        deposits.store_later(tmp_path / name, hashed(tmp_path / name), ends.append)
    await asyncio.sleep(0.05)
    (tmp_path / "a").unlink()
    await until(lambda: len(ends) == 1)
    objects.down = False
    await until(lambda: len(ends) == 2)
    assert [type(end) for end in ends] == [StagedFileLost, type(None)]
    assert len(objects.objects) == 1
    await deposits.close()
