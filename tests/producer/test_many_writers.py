"""Several processes of one run, and clocks that jump: what each writer may rely on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream
from runstream.spool import list_spools, read_header, segment_path

RANK = """
import sys, runstream
run = runstream.init(id="job", project="p")
print(run.attempt, run.rank, flush=True)
sys.stdin.readline()
for i in range(2_000):
    run.log({"loss": run.rank * 10_000 + i})
"""
SLEEPER = """
import sys, runstream
run = runstream.init(id="job")
run.log({"a": 1}, step=500)
print("there", flush=True)
sys.stdin.read()
"""


def start(program: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )


@pytest.fixture
def sleeper(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A living process that writes rank 0 of the run `job`."""
    process = start(SLEEPER)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_ranks_that_start_and_log_at_once_write_one_run(data_dir: Path, all_held: Any) -> None:
    first = start(RANK, RANK="0")
    assert first.stdout is not None
    said = [first.stdout.readline()]
    others = [start(RANK, RANK=str(rank)) for rank in range(1, 4)]
    said += [process.stdout.readline() for process in others if process.stdout is not None]
    for process in (first, *others):
        process.communicate("go\n", timeout=60)
        assert process.returncode == 0
    assert sorted(map(str.split, said)) == [["0", str(rank)] for rank in range(4)]
    parts = all_held()
    headers = [read_header(segment_path(directory, 1))[0] for directory in list_spools(data_dir / "spool")]
    assert len({header.run_id for header in headers}) == 1
    assert len({header.writer_id for header in headers}) == 4
    for header, part in zip(headers, parts, strict=True):
        assert part.series("loss") == [(i, header.rank * 10_000 + i) for i in range(2_000)]


def test_two_processes_of_one_rank_are_two_writers_and_are_told(
    sleeper: subprocess.Popen[str], caplog: pytest.LogCaptureFixture, all_held: Any
) -> None:
    run = runstream.init(id="job")
    assert run.attempt == 0
    assert f"process {sleeper.pid} writes rank 0 of this run too" in caplog.text
    run.log({"a": 2}, step=500)
    run.finish()
    assert sorted(part.series("a") for part in all_held()) == [[(500, 1)], [(500, 2)]]


@pytest.mark.parametrize(
    ("resume", "rank", "attempt"),
    [("allow", 0, 0), ("must", 0, 0), ("never", 1, 0), ("allow", 1, 0), ("must", 1, 0), (None, 1, 0)],
)
@pytest.mark.usefixtures("sleeper")
def test_beside_a_living_writer(resume: str | None, rank: int, attempt: int) -> None:
    run = runstream.init(id="job", resume=resume, settings={"rank": rank})
    assert run.attempt == attempt


@pytest.mark.usefixtures("sleeper")
def test_a_new_run_is_refused_beside_a_living_writer_of_the_same_rank() -> None:
    with pytest.raises(runstream.RunExistsError):
        runstream.init(id="job", resume="never")


def test_a_checkpoint_is_resumed_as_a_new_attempt_beside_a_process_that_hangs(
    sleeper: subprocess.Popen[str],
) -> None:
    run = runstream.init(id="job", rewind_to=100)
    assert (run.attempt, run.step) == (1, 101)


def test_a_process_that_was_killed_is_gone_on_with(sleeper: subprocess.Popen[str]) -> None:
    sleeper.kill()
    sleeper.wait(30)
    run = runstream.init(id="job", resume="must")
    assert (run.attempt, run.step) == (1, 501), "the counter goes on behind what was logged last"


@pytest.mark.parametrize(
    "jump",
    [lambda now: now - 10**18, lambda now: now + 10**16, lambda now: random.Random(now // 10**6).randrange(1, now)],
    ids=["backwards", "forwards", "anyhow"],
)
def test_times_of_a_writer_rise_whatever_the_clock_does(
    held: Any, monkeypatch: pytest.MonkeyPatch, jump: Callable[[int], int]
) -> None:
    import time

    real = time.time_ns
    run = runstream.init(settings={"segment_bytes": 1 << 16})
    jumps = [lambda now: now, jump, lambda now: now, jump]
    for number in range(4_000):
        clock = jumps[number // 1_000]
        monkeypatch.setattr("runstream.spool_writer.time_ns", lambda clock=clock: clock(real()))
        run.log({"a": number})
        if number % 500 == 0:
            run.summary["n"] = number
    monkeypatch.undo()
    run.finish()
    read = held(run._writer.directory)  # type: ignore[union-attr]
    assert read.series("a") == [(i, i) for i in range(4_000)]
    assert read.times_us == sorted(set(read.times_us))


def test_a_clock_that_jumped_ahead_does_not_stop_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    looks = []
    monkeypatch.setattr("runstream.spool_writer.LOOK_AFTER_EVERY", 1)
    run = runstream.init()
    assert run._writer is not None
    run._writer._look_after = lambda: looks.append(1)
    real = time.time_ns
    monkeypatch.setattr("runstream.spool_writer.time_ns", lambda: real() + 10**17)
    run.log({"a": 1})
    assert len(looks) == 1
    monkeypatch.setattr("runstream.spool_writer.time_ns", real)
    deadline = time.monotonic() + 60
    while len(looks) < 3:
        assert time.monotonic() < deadline, "no check any more once the clock was set back"
        run.log({"a": 1})
        time.sleep(0.01)
