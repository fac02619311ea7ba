from __future__ import annotations

import asyncio
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from producer.wire import MemoryTransport, Spooled, dead_writer, running, settings, until
from runstream import events
from runstream.agent import Agent, shipping
from runstream.agent.lock import AgentLock, holder
from runstream.errors import AgentRunning
from runstream.objects import StoreOpenedLater
from runstream.spool_cursor import Cursor


def agent_for(data_dir: Path, transport: MemoryTransport, **arguments: Any) -> Agent:
    return Agent(data_dir, transport, StoreOpenedLater("nowhere://"), settings(data_dir), **arguments)


async def test_rows_and_events_of_a_finished_run_arrive_and_its_spool_goes(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    for step in range(5000):
        spool.log(step, loss=step / 10, acc=0.5)
    spool.finish()
    async with running(agent_for(tmp_path, transport)) as task:
        await until(lambda: not spool.directory.exists())
        assert not task.done()
    assert [row[0] for row in transport.rows()] == list(range(5000))
    assert transport.rows()[1234] == (1234, 1234, {"loss": 123.4, "acc": 0.5})
    assert transport.kinds() == ["RunStarted", "RunFinished"]
    assert [event["seq"] for _, event in transport.control()] == [0, 1]
    assert {message.key for message in transport.messages} == {str(spool.run_id).encode()}
    assert {message.topic for message in transport.messages} == {"runstream.metrics", "runstream.control"}


async def test_a_living_writer_is_followed_and_shares_frames(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    async with running(agent_for(tmp_path, transport)):
        for step in range(300):
            spool.log(step, loss=1.0)
            await asyncio.sleep(0.002)
        await until(lambda: len(transport.rows()) == 300)
        await until(lambda: Cursor.load(spool.directory).position.row_seq == 300)
    frames = [message for message in transport.messages if message.topic.endswith(".metrics")]
    assert len(frames) < 30
    assert spool.directory.exists()
    spool.writer.abandon()


async def test_acknowledged_segments_are_deleted_while_the_run_goes_on(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    async with running(agent_for(tmp_path, transport)):
        for step in range(20_000):
            spool.log(step, loss=1.0)
        await until(
            lambda: (
                [path.name for path in spool.directory.glob("*.seg")] == [f"{spool.writer.position.segment:08d}.seg"]
            )
        )
        assert spool.writer.position.segment > 2
    spool.writer.abandon()


async def test_nothing_moves_before_its_acknowledgement(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    transport.hold = True
    for step in range(1000):
        spool.log(step, loss=1.0)
    spool.finish()
    async with running(agent_for(tmp_path, transport)):
        await until(lambda: len(transport.rows()) == 1000)
        await asyncio.sleep(0.3)
        assert Cursor.load(spool.directory).position.row_seq == 0
        transport.release()
        await until(lambda: not spool.directory.exists())


async def test_a_restart_sends_the_same_rows_with_the_same_sequences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "STOP_WITHIN_S", 0.1)
    spool, first, second = Spooled(tmp_path), MemoryTransport(), MemoryTransport()
    for step in range(1000):
        spool.log(step, loss=math.nan if step == 3 else 1.0)
    first.hold = True
    shipping_agent = agent_for(tmp_path, first)
    stop = asyncio.Event()
    task = asyncio.create_task(shipping_agent.run(stop))
    await until(lambda: len(first.rows()) == 1000)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    spool.finish()
    async with running(agent_for(tmp_path, second)):
        await until(lambda: second.kinds() == ["RunStarted", "RunFinished"])
        await until(lambda: len(second.rows()) == 1000)
    assert [row[:2] for row in second.rows()] == [row[:2] for row in first.rows()]
    _, frame = events.decode([m.value for m in second.messages if m.topic.endswith("metrics")][-1])
    (block,) = frame["blocks"]
    assert (block["n"], block["n_nan"]) == ([1000], [1])


async def test_counts_go_on_after_a_restart(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    for step in range(10):
        spool.log(step, loss=math.inf)
    async with running(agent_for(tmp_path, transport)):
        await until(lambda: Cursor.load(spool.directory).position.row_seq == 10)
    spool.log(10, loss=math.nan)
    again = MemoryTransport()
    async with running(agent_for(tmp_path, again)):
        await until(lambda: again.rows())
    _, frame = events.decode(again.messages[-1].value)
    (block,) = frame["blocks"]
    assert (frame["first_seq"], block["n"], block["n_nan"], block["n_inf"]) == (10, [11], [1], [10])
    assert again.kinds() == []
    spool.writer.abandon()


async def test_a_writer_that_is_killed_is_drained_and_then_ended_as_killed(tmp_path: Path) -> None:
    run_id, directory = dead_writer(tmp_path)
    transport = MemoryTransport()
    await asyncio.sleep(0.3)
    await agent_for(tmp_path, transport, stay=False, leave_after_s=0).run(asyncio.Event())
    assert [row[0] for row in transport.rows()] == list(range(1000))
    kind, ended = transport.control()[-1]
    assert (kind, ended["state"], ended["seq"], ended["metric_seq"]) == ("RunFinished", "killed", -1, 1000)
    last_us = max(event["time_us"] for kind, event in transport.control()[:-1])
    assert last_us < ended["time_us"] < time.time() * 1e6 - 300_000
    assert (ended["run_id"], ended["actor"].startswith("agent@")) == (run_id, True)
    assert not directory.exists()


async def test_a_killed_run_is_ended_once(tmp_path: Path) -> None:
    _, directory = dead_writer(tmp_path)
    first, second = MemoryTransport(), MemoryTransport()
    await agent_for(tmp_path, first, stay=False, leave_after_s=0).run(asyncio.Event())
    directory.mkdir(parents=True, exist_ok=True)
    await agent_for(tmp_path, second, stay=False, leave_after_s=0).run(asyncio.Event())
    assert first.kinds().count("RunFinished") == 1
    assert second.messages == []


async def test_who_dies_between_the_ending_and_the_last_record_has_ended(tmp_path: Path) -> None:
    end = "spool.event('RunFinished', state='failed', metric_seq=1000); os.kill(os.getpid(), signal.SIGKILL)"
    dead_writer(tmp_path, end)
    transport = MemoryTransport()
    await agent_for(tmp_path, transport, stay=False, leave_after_s=0).run(asyncio.Event())
    assert [event["state"] for kind, event in transport.control() if kind == "RunFinished"] == ["failed"]


async def test_an_ending_stays_in_view_until_the_writer_is_gone(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    spool.event("RunFinished", state="finished")
    async with running(agent_for(tmp_path, transport)):
        await until(lambda: transport.kinds() == ["RunStarted", "RunFinished"])
        await asyncio.sleep(0.3)
        assert Cursor.load(spool.directory).position.event_seq == 1
        spool.writer.close()
        await until(lambda: not spool.directory.exists())
    assert transport.kinds() == ["RunStarted", "RunFinished"]


async def test_living_writers_have_a_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstream.agent.tail.BEAT_EVERY_S", 0.1)
    spool, transport = Spooled(tmp_path), MemoryTransport()
    spool.log(0, loss=1.0)
    async with running(agent_for(tmp_path, transport)):
        await until(lambda: transport.kinds().count("Heartbeat") >= 3)
    beat = next(event for kind, event in transport.control()[::-1] if kind == "Heartbeat")
    assert (beat["seq"], beat["metric_seq"], beat["run_id"]) == (-1, 1, str(spool.run_id))
    spool.writer.abandon()


async def test_a_heartbeat_waits_for_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstream.agent.tail.BEAT_EVERY_S", 0.01)
    spool, transport = Spooled(tmp_path), MemoryTransport()
    transport.hold = True
    async with running(agent_for(tmp_path, transport)):
        await until(lambda: "Heartbeat" in transport.kinds())
        await asyncio.sleep(1.0)
        assert transport.kinds().count("Heartbeat") == 1
        transport.release()
    spool.writer.abandon()


async def test_a_spool_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    bad, good, transport = Spooled(tmp_path), Spooled(tmp_path), MemoryTransport()
    good.log(0, loss=1.0)
    good.finish()
    bad.finish()
    segment = next(bad.directory.glob("*.seg"))
    segment.write_bytes(b"garbage" * 100)
    agent = agent_for(tmp_path, transport, stay=False, leave_after_s=0.2)
    await agent.run(asyncio.Event())
    assert len(transport.rows()) == 1
    assert list(agent.unreadable) == [bad.directory]
    assert agent.counters.unreadable_spools == 1
    assert segment.exists()


async def test_a_damaged_record_costs_what_is_behind_it_in_its_segment_only(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    for step in range(5000):
        spool.log(step, loss=1.0)
    spool.finish()
    with sorted(spool.directory.glob("*.seg"))[0].open("r+b") as file:
        file.seek(20_000)
        file.write(b"\xff" * 8)
    await agent_for(tmp_path, transport, stay=False, leave_after_s=0).run(asyncio.Event())
    seqs = [row[0] for row in transport.rows()]
    assert seqs == sorted(seqs)
    assert 0 < len(seqs) < 5000
    assert seqs[-1] == 4999
    assert transport.kinds()[-1] == "RunFinished"


async def test_a_cursor_that_does_not_fit_sends_all_again(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    for step in range(100):
        spool.log(step, loss=1.0)
    spool.finish()
    Cursor(position=spool.writer.position._replace(offset=12345), counts={"loss": (9, 0, 0)}).save(spool.directory)
    await agent_for(tmp_path, transport, stay=False, leave_after_s=0).run(asyncio.Event())
    assert len(transport.rows()) == 100


async def test_a_refused_message_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    transport.refuse = lambda message: message.topic.endswith(".metrics")
    spool.log(0, loss=1.0)
    spool.finish()
    agent = agent_for(tmp_path, transport, stay=False, leave_after_s=0)
    await agent.run(asyncio.Event())
    assert agent.counters.refused_messages == 1
    assert transport.kinds() == ["RunStarted", "RunFinished"]


async def test_an_event_that_no_schema_holds_is_kept_aside(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    spool.event("Nonsense", x=1)
    spool.finish()
    await agent_for(tmp_path, transport, stay=False, leave_after_s=0).run(asyncio.Event())
    assert transport.kinds() == ["RunStarted", "RunFinished"]
    (kept,) = (tmp_path / "refused").iterdir()
    assert "Nonsense" in kept.read_text()


async def test_numbers_that_json_cannot_hold_come_back(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    texts = ["NaN", "Infinity", "-Infinity"]
    spool.event("Params", values=[{"name": t, "kind": "float", "text": t, "number": t} for t in texts])
    spool.finish()
    await agent_for(tmp_path, transport, stay=False, leave_after_s=0).run(asyncio.Event())
    numbers = [value["number"] for value in transport.control()[1][1]["values"]]
    assert math.isnan(numbers[0])
    assert numbers[1:] == [math.inf, -math.inf]


async def test_reading_pauses_while_too_much_is_unacknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "MAX_IN_FLIGHT_BYTES", 2 << 20)
    monkeypatch.setattr(shipping, "STOP_WITHIN_S", 0.1)
    spools = [Spooled(tmp_path) for _ in range(3)]
    for spool in spools:
        for step in range(50_000):
            spool.log(step, a=1.0, b=2.0, c=3.0)
        spool.finish()
    transport = MemoryTransport()
    transport.hold = True
    agent = agent_for(tmp_path, transport)
    async with running(agent):
        await until(lambda: agent.counters.in_flight_bytes >= 2 << 20)
        await asyncio.sleep(0.5)
        assert agent.counters.in_flight_bytes < 4 << 20
        assert agent._pause(time.monotonic()) <= shipping.POLL_S[1], "waiting for room counts as work"
        keys = {message.key for message in transport.messages if message.topic.endswith("metrics")}
        assert len(keys) == 3
        transport.release()
        await until(lambda: agent.counters.finished_writers == 3)
    assert agent.points == 3 * 150_000


async def test_more_spools_than_files_may_be_open_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "MAX_OPEN_FILES", 5)
    monkeypatch.setattr(shipping, "OPEN_AT_ONCE", 7)
    for _ in range(20):
        spool = Spooled(tmp_path)
        for step in range(3000):
            spool.log(step, loss=1.0)
        spool.finish()
    transport = MemoryTransport()
    most = 0

    def count_open_files() -> None:
        nonlocal most
        files = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        most = max(most, sum(str(tmp_path) in file for file in files))

    await agent_for(tmp_path, transport, stay=False, leave_after_s=0, on_round=count_open_files).run(asyncio.Event())
    assert len(transport.rows()) == 60_000
    assert most < 10


async def test_a_writer_that_logs_all_the_time_is_looked_at_in_intervals(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    rounds = 0

    def count() -> None:
        nonlocal rounds
        rounds += 1
        spool.log(rounds, loss=1.0)

    agent = agent_for(tmp_path, transport, on_round=count)
    async with running(agent):
        await until(lambda: transport.rows())
        before, began = rounds, asyncio.get_running_loop().time()
        await asyncio.sleep(1.0)
        took = asyncio.get_running_loop().time() - began
        assert rounds - before <= took / shipping.POLL_S[0] + 1
    spool.writer.abandon()


async def test_the_lock_keeps_a_second_agent_out(tmp_path: Path) -> None:
    transport = MemoryTransport()
    async with running(agent_for(tmp_path, transport)):
        await until(lambda: holder(tmp_path / "agent.lock"))
        assert holder(tmp_path / "agent.lock") == os.getpid()
        with pytest.raises(AgentRunning, match=str(os.getpid())):
            await agent_for(tmp_path, MemoryTransport()).run(asyncio.Event())
    assert holder(tmp_path / "agent.lock") is None


async def test_an_agent_whose_data_directory_is_removed_leaves_whatever_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "STOP_WITHIN_S", 0.1)
    data_dir = tmp_path / "data"
    spool, transport = Spooled(data_dir), MemoryTransport()
    transport.hold = True
    spool.log(0, loss=1.0)
    spool.finish()
    task = asyncio.create_task(agent_for(data_dir, transport, stay=False).run(asyncio.Event()))
    await until(lambda: transport.rows())
    await asyncio.sleep(0.5)
    assert not task.done()
    shutil.rmtree(data_dir)
    await asyncio.wait_for(task, 30)
    assert not data_dir.exists()


async def test_a_lock_that_is_removed_is_taken_again_and_nothing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "STOP_WITHIN_S", 0.1)
    spool, transport = Spooled(tmp_path), MemoryTransport()
    lock = tmp_path / "agent.lock"
    for first, stay in ((0, True), (2, False)):
        async with running(agent_for(tmp_path, transport, stay=stay)):
            spool.log(first, loss=1.0)
            await until(partial(at_least, transport, first + 1))
            before = lock.stat().st_ino
            lock.rename(tmp_path / f"removed-{stay}")
            await until(partial(is_taken_anew, lock, before))
            spool.log(first + 1, loss=1.0)
            await until(partial(at_least, transport, first + 2))
    spool.writer.abandon()


def at_least(transport: MemoryTransport, rows: int) -> bool:
    """Whether so many rows came, each counted once."""
    return len({row[0] for row in transport.rows()}) >= rows


def is_taken_anew(lock: Path, before: int) -> bool:
    return holder(lock) == os.getpid() and lock.stat().st_ino != before


async def test_an_agent_whose_lock_another_one_took_leaves(tmp_path: Path) -> None:
    transport = MemoryTransport()
    task = asyncio.create_task(agent_for(tmp_path, transport).run(asyncio.Event()))
    await until(lambda: holder(tmp_path / "agent.lock") == os.getpid())
    other = tmp_path / "other.lock"
    with AgentLock(other):
        other.replace(tmp_path / "agent.lock")
        with pytest.raises(AgentRunning):
            await asyncio.wait_for(task, 30)


def test_a_killed_agent_leaves_no_lock(tmp_path: Path) -> None:
    program = (
        "import os,signal,sys; from pathlib import Path; from runstream.agent.lock import AgentLock\n"
        "with AgentLock(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "agent.lock")], check=False)
    assert done.returncode == -signal.SIGKILL
    with AgentLock(tmp_path / "agent.lock"):
        assert holder(tmp_path / "agent.lock") == os.getpid()


async def test_a_broken_transport_ends_the_agent_with_its_error(tmp_path: Path) -> None:
    class Broken(MemoryTransport):
        def send(self, message: Any) -> asyncio.Future[None]:
            future = super().send(message)
            future = asyncio.get_running_loop().create_future()
            future.set_exception(RuntimeError("no such transport"))
            return future

    spool = Spooled(tmp_path)
    spool.finish()
    with pytest.raises(RuntimeError, match="no such transport"):
        await asyncio.wait_for(agent_for(tmp_path, Broken()).run(asyncio.Event()), 30)
    assert spool.directory.exists()
