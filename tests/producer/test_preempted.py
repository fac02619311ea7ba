"""How a run says that its machine was taken away, and that a killed one has a single end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runstream
from producer.wire import MemoryObjects, MemoryTransport, Spooled, dead_writer, settings
from runstream.agent import Agent
from runstream.spool_cursor import Cursor

Python = Callable[..., subprocess.CompletedProcess[str]]


async def shipped(data_dir: Path, transport: MemoryTransport | None = None) -> MemoryTransport:
    """What an agent sends of a directory until nothing is left."""
    transport = transport or MemoryTransport()
    agent = Agent(data_dir, transport, MemoryObjects(), settings(data_dir), stay=False, leave_after_s=0)
    await asyncio.wait_for(agent.run(asyncio.Event()), 60)
    return transport


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        ("sys.exit(143)", "preempted"),
        ("sys.exit(138)", "preempted"),
        ("sys.exit(130)", "killed"),
        ("sys.exit(0)", "finished"),
        ("raise ValueError", "failed"),
    ],
)
def test_signals_of_the_scheduler_end_a_run_as_preempted(
    python: Python, all_held: Any, ending: str, state: str
) -> None:
    python(f"runstream.init().log({{'a': 1}})\n{ending}", RUNSTREAM_PREEMPT_SIGNALS="SIGTERM,SIGUSR1")
    assert all_held()[0].of("RunFinished")[0]["state"] == state


def test_a_signal_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTREAM_PREEMPT_SIGNALS", "SIGTERM,SIGNOTHING")
    with pytest.raises(runstream.SettingsError, match="RUNSTREAM_PREEMPT_SIGNALS='SIGNOTHING'"):
        runstream.init()


HANDLER = """
def handler(number, frame):
    run.preempting("the node goes")
    {then}
signal.signal(signal.SIGUSR1, handler)
run = runstream.init()
run.log({{"a": 1}})
os.kill(os.getpid(), signal.SIGUSR1)
run.log({{"a": 2}})
"""


@pytest.mark.parametrize(
    ("then", "state"),
    [("sys.exit(1)", "preempted"), ("raise RuntimeError", "preempted"), ("sys.exit(0)", "finished"), ("", "finished")],
)
def test_who_is_told_in_time_says_so_unless_it_finishes(python: Python, all_held: Any, then: str, state: str) -> None:
    python(HANDLER.format(then=then or "return"))
    (held,) = all_held()
    assert held.of("RunFinished")[0]["state"] == state
    assert list(held.of("Attributes")[0]["values"].values()) == ["the node goes"]


async def test_who_is_told_and_then_killed_outright_was_preempted(python: Python, data_dir: Path) -> None:
    python(HANDLER.format(then="os.kill(os.getpid(), 9)"))
    transport = await shipped(data_dir)
    assert [event["state"] for kind, event in transport.control() if kind == "RunFinished"] == ["preempted"]


async def test_a_later_agent_knows_of_the_preemption_that_an_earlier_one_read(data_dir: Path) -> None:
    _, directory = dead_writer(
        data_dir, "spool.event('Attributes', values={'preempted:1': 'x'}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    Cursor(preempted=True).save(directory)
    assert (await shipped(data_dir)).control()[-1][1]["state"] == "preempted"


async def test_an_end_that_was_sent_and_not_noted_is_sent_again_byte_for_byte(data_dir: Path) -> None:
    _, directory = dead_writer(data_dir)
    kept: dict[str, bytes] = {}

    class Dies(MemoryTransport):
        """The agent is gone the moment that the end has been sent, before it can note that."""

        def send(self, message: Any) -> Any:
            future = super().send(message)
            if self.kinds()[-1:] == ["RunFinished"] and not kept:
                kept.update({path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()})
            return future

    first = await shipped(data_dir, Dies())
    assert not directory.exists()
    for _ in range(2):
        directory.mkdir(parents=True)
        for name, data in kept.items():
            (directory / name).write_bytes(data)
        again = await shipped(data_dir)
        ends = [message.value for message in again.messages if message.value == first.messages[-1].value]
        assert len(ends) == 1
        assert again.kinds().count("RunFinished") == 1


async def test_an_end_stays_the_same_when_all_else_is_sent_again(data_dir: Path) -> None:
    _, directory = dead_writer(data_dir)
    given = {"state": "killed", "exit_code": -1, "reason": "x", "metric_seq": 1000, "time_us": 1_700_000_000_000_000}
    Cursor(position=Cursor().position._replace(offset=12345), ending=given).save(directory)
    transport = await shipped(data_dir)
    assert len(transport.rows()) == 1000
    kind, ended = transport.control()[-1]
    assert (kind, ended["time_us"], ended["reason"]) == ("RunFinished", 1_700_000_000_000_000, "x")


async def test_a_writer_whose_own_end_waits_is_not_ended_by_the_agent_too(data_dir: Path) -> None:
    spool = Spooled(data_dir)
    spool.log(0, loss=1.0)
    spool.finish("failed")
    transport = await shipped(data_dir)
    assert [event["state"] for kind, event in transport.control() if kind == "RunFinished"] == ["failed"]


def test_workers_that_their_pool_terminates_keep_what_they_logged(python: Python, all_held: Any) -> None:
    done = python(
        """
        import multiprocessing
        def load(number):
            runstream.log({"batch": number})
            return number
        run = runstream.init()
        pool = multiprocessing.get_context("fork").Pool(2)
        for number in pool.imap(load, range(50)):
            run.log({"train": number})
        pool.terminate()
        pool.join()
        run.finish()
        """
    )
    assert done.returncode == 0, done.stderr
    parts = all_held()
    assert sorted(value for part in parts for _, value in part.series("batch")) == list(range(50))
    assert [value for part in parts for _, value in part.series("train")] == list(range(50))
    assert all(part.damaged == [] for part in parts)


@pytest.mark.parametrize(("last", "state"), [("run.finish()", "finished"), ("os.kill(os.getpid(), 9)", "killed")])
async def test_the_death_of_a_forked_worker_leaves_the_end_to_the_main_process(
    python: Python, data_dir: Path, last: str, state: str
) -> None:
    python(
        f"""
        import multiprocessing
        context = multiprocessing.get_context("fork")
        logged = context.Event()
        def load(number):
            runstream.log({{"batch": number}})
            logged.set()
            time.sleep(600)
        run = runstream.init()
        worker = context.Process(target=load, args=(0,), daemon=True)
        worker.start()
        logged.wait()
        worker.terminate()
        worker.join()
        {last}
        """
    )
    transport = await shipped(data_dir)
    ends = {event["state"] for kind, event in transport.control() if kind == "RunFinished"}
    assert ends == {"finished", state}


def test_a_process_that_forks_itself_away_is_no_worker(python: Python, data_dir: Path) -> None:
    python(
        """
        run = runstream.init()
        if os.fork() == 0:
            run.log({"a": 1})
            os.kill(os.getpid(), 9)
        os.wait()
        run.finish()
        """
    )
    assert len(list((data_dir / "spool").glob("*/*/lock"))) == 2
    assert not list((data_dir / "spool").glob("*/*/worker"))


def test_a_storm_of_interrupts_costs_no_row_whose_log_returned(python: Python, all_held: Any) -> None:
    done = python(
        """
        import threading
        run = runstream.init(settings={"segment_bytes": 65536})
        returned, hits, over = [], 0, False
        def storm():
            while not over:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.002)
        thread = threading.Thread(target=storm)
        i = 0
        armed = False
        def handler(number, frame):
            if armed:
                raise KeyboardInterrupt
        signal.signal(signal.SIGINT, handler)
        thread.start()
        while hits < 50:
            i += 1
            try:
                armed = True
                run.log({"a": i}, step=i)
                armed = False
                returned.append(i)
            except KeyboardInterrupt:
                armed = False
                hits += 1
        over = True
        thread.join()
        run.finish()
        print(",".join(map(str, returned)))
        """
    )
    assert done.returncode == 0, done.stderr
    (held,) = all_held()
    values = [value for _, value in held.series("a")]
    assert len(set(values)) == len(values)
    assert set(map(float, done.stdout.split(","))) <= set(values)
    assert held.closed
    assert held.damaged == []


def test_a_second_interrupt_during_finish_ends_the_wait_only(python: Python, all_held: Any) -> None:
    done = python(
        """
        run = runstream.init(settings={"agent": "external", "finish_timeout_s": 600.0})
        run.log({"a": 1})
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        run.finish()
        print("went on")
        """,
        RUNSTREAM_KAFKA="127.0.0.1:1",
    )
    assert done.stdout == "went on\n"
    assert done.returncode in (0, -signal.SIGINT)
    assert all_held()[0].closed
