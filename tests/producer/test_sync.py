from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from producer.wire import FILES, MemoryObjects, MemoryTransport, Spooled, dead_writer, settings, until
from runstream.agent.lock import AgentLock
from runstream.errors import AgentRunning
from runstream.sync import SyncReport, sync, sync_all


async def send(data_dir: Path, *arguments: Any) -> SyncReport:
    return await sync(data_dir, *arguments, settings=settings(data_dir))


async def test_what_dead_writers_left_is_sent_and_counted(tmp_path: Path) -> None:
    dead_writer(tmp_path)
    dead_writer(tmp_path, "spool.finish()")
    transport = MemoryTransport()
    seen: list[tuple[int, int]] = []
    report = await send(tmp_path, transport, MemoryObjects(), lambda done, total: seen.append((done, total)))
    assert (report.runs, report.writers, report.points, report.events) == (2, 2, 2000, 4)
    assert report.left == {}
    assert len(transport.rows()) == 2000
    assert seen[-1][0] == seen[-1][1] > 0
    assert "2,000 points" in report.summary()
    assert report.as_dict()["points"] == 2000
    assert not list((tmp_path / "spool").glob("*/*"))


async def test_a_second_sync_finds_nothing(tmp_path: Path) -> None:
    dead_writer(tmp_path)
    await send(tmp_path, MemoryTransport(), MemoryObjects())
    again = MemoryTransport()
    report = await send(tmp_path, again, MemoryObjects())
    assert (report.writers, report.points, again.messages) == (0, 0, [])


async def test_a_living_writer_is_left_to_the_agent(tmp_path: Path) -> None:
    spool = Spooled(tmp_path)
    report = await send(tmp_path, MemoryTransport(), MemoryObjects())
    assert list(report.left) == [str(spool.directory)]
    assert (report.writers, report.points) == (0, 0)
    assert "still runs" in report.summary()
    spool.writer.abandon()


async def test_an_interrupted_sync_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstream.agent.shipping.STOP_WITHIN_S", 0.1)
    _, directory = dead_writer(tmp_path)
    held = MemoryTransport()
    held.hold = True
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(send(tmp_path, held, MemoryObjects()), 0.5)
    assert directory.exists()
    transport = MemoryTransport()
    report = await send(tmp_path, transport, MemoryObjects())
    assert report.points == 1000
    assert [row[0] for row in transport.rows()] == list(range(1000))


async def test_artifacts_of_dead_writers_are_uploaded(tmp_path: Path) -> None:
    spool, objects = Spooled(tmp_path), MemoryObjects()
    spool.stage("net", FILES)
    spool.finish()
    report = await send(tmp_path, MemoryTransport(), objects)
    assert (report.files, len(objects.objects)) == (2, 2)


async def test_a_sync_that_is_stopped_during_an_outage_of_the_store_says_what_waits(tmp_path: Path) -> None:
    spool, transport, objects = Spooled(tmp_path), MemoryTransport(), MemoryObjects()
    objects.down = True
    spool.stage("net", FILES)
    spool.finish()
    stop = asyncio.Event()
    going = asyncio.create_task(sync(tmp_path, transport, objects, settings=settings(tmp_path), stop=stop))
    await until(lambda: transport.kinds() == ["RunStarted", "EventAwaited", "RunFinished"])
    stop.set()
    report = await going
    assert "1 artifact, 6.8 KiB, waits for the object store; sync again" in report.left[str(spool.directory)]
    objects.down = False
    report = await send(tmp_path, transport, objects)
    assert (report.left, report.files, transport.kinds()[-1]) == ({}, 2, "ArtifactLogged")


async def test_a_spool_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    spool = Spooled(tmp_path)
    spool.finish()
    next(spool.directory.glob("*.seg")).write_bytes(b"garbage" * 100)
    report = await send(tmp_path, MemoryTransport(), MemoryObjects())
    assert list(report.left) == [str(spool.directory)]


async def test_sync_refuses_a_directory_that_an_agent_serves(tmp_path: Path) -> None:
    dead_writer(tmp_path)
    with AgentLock(tmp_path / "agent.lock"), pytest.raises(AgentRunning):
        await send(tmp_path, MemoryTransport(), MemoryObjects())


async def test_a_sync_that_is_stopped_says_what_is_left_and_the_next_one_sends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runstream.agent.shipping.STOP_WITHIN_S", 0.1)
    _, directory = dead_writer(tmp_path)
    held, stop = MemoryTransport(), asyncio.Event()
    held.hold = True
    report = await sync(tmp_path, held, MemoryObjects(), lambda *_: stop.set(), settings=settings(tmp_path), stop=stop)
    assert list(report.left) == [str(directory)]
    assert (await send(tmp_path, MemoryTransport(), MemoryObjects())).points == 1000


async def test_several_directories_are_sent_at_once_and_one_that_is_served_stops_no_other(tmp_path: Path) -> None:
    directories = [tmp_path / name for name in "abc"]
    for directory in directories:
        dead_writer(directory)
    transports = {directory: MemoryTransport() for directory in directories}
    seen: list[tuple[int, int]] = []
    with AgentLock(directories[1] / "agent.lock"):
        report = await sync_all(
            directories,
            transports.__getitem__,
            MemoryObjects(),
            lambda done, total: seen.append((done, total)),
            settings=settings(tmp_path),
            jobs=2,
        )
    assert (report.points, report.writers, list(report.left)) == (2000, 2, [str(directories[1])])
    assert [len(transports[one].rows()) for one in directories] == [1000, 0, 1000]
    assert seen[-1][0] < seen[-1][1]
