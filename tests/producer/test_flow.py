"""What happens when a spool is full: which rows stay, what the run says of the others, and who is told."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream
from producer.wire import MemoryObjects, MemoryTransport, running, settings, until
from runstream.agent import Agent
from runstream.spool import Position, delete_acknowledged, segment_numbers, segment_path
from runstream.spool_cursor import Cursor
from runstream.spool_reader import SpoolReader

SMALL = {"segment_bytes": 1 << 16, "segment_max_bytes": 1 << 16, "spool_max_bytes": 1 << 19}
"""Eight segments of about 1,600 rows of one metric."""


def gaps(held: Any) -> dict[int, tuple[int, str]]:
    """First sequence to end and reason of what the run says is missing."""
    found = {}
    for event in held.of("Attributes"):
        for name, text in event["values"].items():
            why = json.loads(text)
            found[int(name.split(":")[2])] = (why["end"], why["reason"])  # a later event says more of the same gap
    return found


def missing(held: Any, until_seq: int) -> set[int]:
    return set(range(until_seq)) - {seq for seq, _, _ in held.rows}


def said(held: Any) -> set[int]:
    return {seq for first, (end, _) in gaps(held).items() for seq in range(first, end)}


def acknowledge(directory: Path, position: Position) -> None:
    """What the agent does once everything up to `position` has arrived."""
    Cursor(position=position).save(directory)
    delete_acknowledged(directory, position)


def retry_at_once(run: runstream.Run) -> None:
    assert run._writer is not None
    run._writer._room.retry_now()


def test_spill_leaves_new_rows_out_and_goes_on_when_there_is_room(held: Any) -> None:
    run = runstream.init(settings=SMALL)
    for i in range(20_000):
        run.log({"a": i})
    assert run._writer is not None
    assert run.spool is not None
    lost = run.dropped
    assert 5_000 < lost < 15_000
    acknowledge(run.spool, run._writer.position)
    retry_at_once(run)
    run.log({"a": -1})
    read = held(run)
    assert read.rows[-1] == (20_000, 20_000, {"a": -1})
    assert gaps(read)[20_000 - lost][0] == 20_000
    assert "RUNSTREAM_SPOOL_MAX_BYTES=524288" in gaps(read)[20_000 - lost][1]


def test_drop_oldest_keeps_the_newest_rows_and_every_event(held: Any) -> None:
    run = runstream.init(settings={**SMALL, "on_full": "drop_oldest"})
    assert run._writer is not None
    for i in range(50_000):
        run.log({"a": i})
        if i % 5_000 == 0:
            run.summary["at"] = i
    read = held(run)
    assert read.damaged == []
    assert read.rows[-1] == (49_999, 49_999, {"a": 49_999})
    assert len(read.rows) > 5_000
    assert [event["values"][0]["number"] for event in read.of("Summary")] == list(range(0, 50_000, 5_000))
    assert run.dropped == 50_000 - len(read.rows)
    assert len(segment_numbers(run._writer.directory)) < 30, "segments without an event are removed"
    assert len(gaps(read)) == 1
    directory = run._writer.directory
    run.finish()
    read = held(directory)
    assert missing(read, 50_000) == said(read)
    assert "oldest rows were given up" in gaps(read)[0][1]
    assert (
        sum(segment_path(directory, n).stat().st_size for n in segment_numbers(directory)) <= SMALL["spool_max_bytes"]
    )


def test_what_was_sent_is_not_said_to_be_missing(held: Any) -> None:
    run = runstream.init(settings={**SMALL, "on_full": "drop_oldest"})
    for i in range(5_000):
        run.log({"a": i})
    assert run._writer is not None
    assert run.spool is not None
    Cursor(position=run._writer.position).save(run.spool)  # sent, and kept for now
    for i in range(5_000, 20_000):
        run.log({"a": i})
    directory = run.spool
    run.finish()
    read = held(directory)
    assert missing(read, 20_000) - set(range(5_000)) == said(read)
    assert run.dropped == len(said(read)) > 0


async def test_an_agent_beside_a_writer_that_gives_rows_up_sends_the_rest_under_their_sequences(
    data_dir: Path,
) -> None:
    run = runstream.init(settings={**SMALL, "on_full": "drop_oldest"})
    transport = MemoryTransport()
    agent = Agent(data_dir, transport, MemoryObjects(), settings(data_dir))

    def log(start: int, end: int) -> None:
        for i in range(start, end):
            run.log({"a": i})

    log(0, 30_000)
    async with running(agent):
        await until(lambda: transport.rows())
        for start in range(30_000, 100_000, 10_000):
            log(start, start + 10_000)
            await asyncio.sleep(0)
        run.finish()
        await until(lambda: transport.kinds().count("RunFinished") == 1)
        await until(lambda: agent.counters.finished_writers == 1)
    assert all(values == {"a": seq} for seq, _, values in transport.rows())
    seqs = [seq for seq, _, _ in transport.rows()]
    assert seqs == sorted(set(seqs))
    assert seqs[-1] == 99_999
    control = [event["seq"] for kind, event in transport.control() if kind != "Heartbeat"]
    assert control == list(range(len(control)))


async def test_a_cursor_into_rows_that_were_given_up_is_never_taken_for_another_place(
    held: Any, tmp_path: Path
) -> None:
    run = runstream.init(settings={**SMALL, "on_full": "drop_oldest"})
    for i in range(2_500):
        run.log({"a": i})
    run.config.seen = 1
    for i in range(2_500, 5_000):
        run.log({"a": i})
    assert run.spool is not None
    with SpoolReader(run.spool) as reader:
        places = [record.end for _ in range(20) for record in reader.read(4096)]
    for i in range(5_000, 40_000):
        run.log({"a": i})
    run.finish()
    events = held(run.spool).events
    for number, place in enumerate(places[::4]):
        other, transport = tmp_path / str(number), MemoryTransport()
        directory = other / "spool" / run.id / run.spool.name
        shutil.copytree(run.spool, directory)
        Cursor(position=place).save(directory)
        await Agent(other, transport, MemoryObjects(), settings(other), stay=False, leave_after_s=0).run(
            asyncio.Event()
        )
        assert transport.rows()
        assert all(values == {"a": seq} for seq, _, values in transport.rows())
        sent = {event["seq"]: kind for kind, event in transport.control() if kind != "Heartbeat"}
        assert {events[seq]["type"]: kind for seq, kind in sent.items()} == {kind: kind for kind in sent.values()}
        assert sent[len(events) - 1] == "RunFinished"


def test_block_waits_for_room(held: Any) -> None:
    run = runstream.init(settings={**SMALL, "on_full": "block"})
    assert run._writer is not None
    writer, directory, stop = run._writer, run.spool, threading.Event()
    assert directory is not None

    def agent() -> None:
        while not stop.wait(0.05):
            with SpoolReader(directory) as reader:
                while reader.read():
                    pass
                acknowledge(directory, reader.position)

    thread = threading.Thread(target=agent)
    thread.start()
    for i in range(30_000):
        run.log({"a": i})
    stop.set()
    thread.join()
    assert run.dropped == 0
    assert writer.row_seq == 30_000


def test_block_gives_up_once_and_then_leaves_out(
    held: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    run = runstream.init(settings={**SMALL, "on_full": "block", "block_timeout_s": 0.5})
    assert run._writer is not None
    run._writer._room._look_after = lambda: looked.append(1)
    longest, began = 0.0, time.monotonic()
    for i in range(30_000):
        before = time.monotonic()
        run.log({"a": i})
        longest = max(longest, time.monotonic() - before)
    took = time.monotonic() - began
    assert longest >= 0.5
    assert took - longest < 30, "a shortage holds up the process once, not at each call"
    assert looked
    assert run.dropped > 10_000
    assert caplog.text.count("log() waits for room") == 1
    run.finish()
    read = held(run._writer.directory)
    assert missing(read, 30_000) == said(read)
    assert read.of("RunFinished")[0]["metric_seq"] == 30_000


def test_ctrl_c_ends_a_wait_for_room(python: Any) -> None:
    done = python(
        """
        import threading
        small = {"segment_bytes": 1 << 16, "spool_max_bytes": 1 << 18, "on_full": "block", "block_timeout_s": 600.0}
        run = runstream.init(settings=small)
        def interrupt():
            while b"waits for room" not in open("said", "rb").read():
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)
        sys.stderr = open("said", "w", buffering=1)
        threading.Thread(target=interrupt, daemon=True).start()
        try:
            for i in range(1_000_000):
                run.log({"a": i})
        except KeyboardInterrupt:
            print("interrupted")
            os._exit(0)
        """
    )
    assert done.stdout == "interrupted\n"


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for 1 MiB: a file system of its own, or, where nobody may mount one, a count of what is there."""
    directory = tmp_path / "disk"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0

    def counted(fd: int, size: int) -> None:
        if size + sum(path.stat().st_size for path in directory.rglob("*.seg")) > 1 << 20:
            raise OSError(28, "No space left on device")
        os.truncate(fd, size)

    if not mounted:
        monkeypatch.setattr("runstream.spool_writer.reserve", counted)
    yield directory
    runstream.finish()
    if mounted:
        subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.mark.parametrize("policy", ["spill", "drop_oldest"])
def test_a_full_disk_costs_rows_and_nothing_else(small_disk: Path, held: Any, policy: str) -> None:
    run = runstream.init(
        dir=small_disk, config={"lr": 0.1}, settings={"segment_bytes": 1 << 16, "on_full": policy, "project": "p"}
    )
    for i in range(50_000):
        run.log({"a": i})
    run.summary["late"] = 1
    directory = run.spool
    run.finish()
    read, dropped = held(directory), run.dropped
    assert dropped > 20_000
    assert read.closed
    assert missing(read, 50_000) == said(read)
    assert len(read.rows) == 50_000 - dropped
    kinds = {event["type"] for event in read.events}
    assert kinds == {"RunStarted", "Params", "Summary", "Attributes", "RunFinished"}
    assert read.rows[-1][0] == 49_999 if policy == "drop_oldest" else read.rows[0][0] == 0


# -- who is told


def test_on_error_is_told_of_what_was_dropped(data_dir: Path) -> None:
    told: list[runstream.PointsDropped] = []
    run = runstream.init(settings=SMALL)
    run.on_error(told.append)
    for i in range(20_000):
        run.log({"a": i})
    assert len(told) == 1, "at most every ten seconds"
    assert told[0].dropped == 1
    run.finish()
    assert told[-1].dropped == run.dropped > 1
    assert "RUNSTREAM_SPOOL_MAX_BYTES" in told[0].reason


def test_a_callback_may_log_and_what_it_raises_is_a_warning(held: Any, caplog: pytest.LogCaptureFixture) -> None:
    run = runstream.init(settings=SMALL)

    def callback(error: runstream.PointsDropped) -> None:
        run.log({"trouble": error.dropped})
        run.summary["dropped"] = error.dropped
        raise ValueError("mine")

    run.on_error(callback)
    for i in range(15_000):
        run.log({"a": i})
    assert caplog.text.count("a callback failed (ValueError: mine)") == 1
    assert run.summary["dropped"] == 1


def test_on_lag_is_told_while_nothing_arrives_and_once_when_it_has(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runstream.spool_writer.CHECK_EVERY_US", 1000)
    monkeypatch.setattr("runstream.flow.EVERY_S", 0.1)
    told: list[runstream.Lag] = []
    run = runstream.init()
    run.on_lag(told.append, after_s=0.3)

    def log_until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline
            run.log({"a": 1})
            time.sleep(0.002)

    log_until(lambda: len(told) >= 2)
    assert told[0].seconds >= 0.3
    assert told[1].rows > told[0].rows > 0
    assert told[0].bytes > 0
    assert run._writer is not None

    def caught_up() -> bool:
        Cursor(position=run._writer.position).save(run.spool)
        return told[-1] == (0.0, 0, 0)

    log_until(caught_up)
    before = len(told)
    for _ in range(200):
        caught_up()
        run.log({"a": 1})
    assert len(told) == before


def test_what_a_rewind_begins_does_not_lag_behind_what_it_ended(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sequences of the new part begin at 0: all of it has arrived long before it has as many rows as the old."""
    monkeypatch.setattr("runstream.flow.EVERY_S", 0.0)
    told: list[runstream.Lag] = []
    run = runstream.init()
    for i in range(100):
        run.log({"a": i})
    run.on_lag(told.append, after_s=0.0)
    run._callbacks.tell(run._writer)
    run._callbacks.tell(run._writer)
    assert told[-1].rows == 100
    run.rewind(10)
    run.log({"a": 1})
    assert run._writer is not None
    Cursor(position=run._writer.position).save(run.spool)
    for _ in range(2):
        run._callbacks.tell(run._writer)
    assert told[-1] == (0.0, 0, 0)


def test_a_callback_without_need_costs_the_loop_no_file(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr("runstream.flow.acknowledged", lambda directory: looks.append(1))
    run = runstream.init()
    run.on_lag(lambda lag: None)
    for i in range(1000):
        run.log({"a": i})
    assert len(looks) <= 1 + 1000 // 100


# -- waiting


def test_wait_says_that_nobody_is_there(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("runstream.delivery.NOBODY_S", 0.2)
    run = runstream.init()
    run.log({"a": 1})
    assert not run.wait()
    assert "no agent and no `runstream up` serves" in caplog.text
    with pytest.raises(runstream.SettingsError, match="kafka or clickhouse"):
        run.wait("disk")


def test_wait_ends_at_its_timeout() -> None:
    run = runstream.init()
    run.log({"a": 1})
    assert not runstream.wait(timeout=0.1)


def test_a_disabled_run_has_nothing_to_wait_for() -> None:
    run = runstream.init(mode="disabled")
    run.log({"a": 1})
    assert run.wait("clickhouse")


@pytest.mark.parametrize("durability", ["kafka", "clickhouse"])
async def test_wait_returns_when_all_so_far_has_arrived(data_dir: Path, durability: str) -> None:
    run = runstream.init(settings={"segment_bytes": 1 << 16})
    transport = MemoryTransport()
    async with running(Agent(data_dir, transport, MemoryObjects(), settings(data_dir))):
        for i in range(5_000):
            run.log({"a": i})
        assert await asyncio.to_thread(run.wait, durability, 60)
        assert len(transport.rows()) == 5_000
        run.rewind(10)
        run.log({"a": -1})
        assert await asyncio.to_thread(run.wait, durability, 60)
        assert len(transport.rows()) == 5_001
        run.finish()
        assert await asyncio.to_thread(run.wait, durability, 60)


async def test_wait_and_finish_say_how_much_waits_for_the_object_store(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNSTREAM_KAFKA", "127.0.0.1:1")
    monkeypatch.setattr("runstream.agent.deposits.BACKOFF_S", (0.01, 0.05))
    (tmp_path / "model.pt").write_bytes(b"x" * 1536)
    run = runstream.init(settings={"agent": "external", "finish_timeout_s": 0.2})
    assert run.spool is not None
    spool, transport, objects = run.spool, MemoryTransport(), MemoryObjects()
    objects.down = True
    async with running(Agent(data_dir, transport, objects, settings(data_dir))):
        run.log({"a": 1})
        run.log_artifact(tmp_path / "model.pt")
        run.log_artifact(tmp_path / "model.pt", name="copy")
        await until(lambda: Cursor.load(spool).position.event_seq >= 3)
        assert not await asyncio.to_thread(run.wait, "kafka", 0.1)
        assert "wait(): 2 artifacts, 3.0 KiB, wait for the object store" in caplog.text
        run.log({"a": 2})
        await until(lambda: len(transport.rows()) == 2 and Cursor.load(spool).position.row_seq == 2)
        await asyncio.to_thread(run.finish)
        assert "2 rows, all sent; 2 artifacts, 3.0 KiB, wait for the object store." in caplog.text
        objects.down = False
        assert await asyncio.to_thread(run.wait, "kafka", 60)
    assert transport.kinds().count("ArtifactLogged") == 2


def test_events_that_wait_for_room_are_not_there_yet(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runstream.spool_writer.reserve", full)
    run = runstream.init()
    assert run.spool is not None
    shutil.rmtree(run.spool)
    assert not run.wait(timeout=0.1), "a spool that is not there yet is none that was sent"
