"""Runs in a directory of their own, and what their spools hold."""

from __future__ import annotations

import dataclasses
import os
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream
from runstream.spool import list_spools
from runstream.spool_reader import RowBlock, SpoolReader


@dataclasses.dataclass
class Held:
    """Everything that a spool holds, as Python objects."""

    rows: list[tuple[int, int, dict[str, float]]]
    """(seq, step, name to value) of each row."""
    times_us: list[int]
    events: list[dict[str, Any]]
    closed: bool
    damaged: list[int]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def series(self, metric: str) -> list[tuple[int, float]]:
        return [(step, values[metric]) for _, step, values in self.rows if metric in values]


def held_in(directory: Path) -> Held:
    held = Held([], [], [], closed=False, damaged=[])
    with SpoolReader(directory) as reader:
        first_event = reader.header.first_event_seq
        while records := reader.read():
            for record in records:
                if isinstance(record, RowBlock):
                    assert len(record.values) == 8 * record.n * len(record.metrics)
                    width = len(record.metrics)
                    numbers = struct.unpack(f"<{record.n * width}d", record.values)
                    for i in range(record.n):
                        row = dict(zip(record.metrics, numbers[i * width : (i + 1) * width], strict=True))
                        held.rows.append((record.first_seq + i, record.steps[i], row))
                    held.times_us += record.times_us
                else:
                    assert record.seq == first_event + len(held.events)
                    held.times_us.append(record.time_us)
                    held.events.append(record.body)
        held.closed = reader.closed
        held.damaged = reader.damaged_segments
    return held


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty RUNSTREAM_DIR, no other RUNSTREAM_ variable of ours, and nothing captured."""
    for name in list(os.environ):
        if name.startswith("RUNSTREAM_") and not name.startswith("RUNSTREAM_TEST"):
            monkeypatch.delenv(name)
    directory = tmp_path / "data"
    monkeypatch.setenv("RUNSTREAM_DIR", str(directory))
    for name in ("CAPTURE", "CONSOLE", "SYSTEM"):
        monkeypatch.setenv(f"RUNSTREAM_{name}", "0")
    return directory


@pytest.fixture(autouse=True)
def no_run_left() -> Iterator[None]:
    yield
    runstream.finish()


@pytest.fixture
def held() -> Callable[[Path | runstream.Run | None], Held]:
    """What a run's own spool, or a writer's directory, holds."""

    def read(what: Path | runstream.Run | None) -> Held:
        directory = what.spool if isinstance(what, runstream.Run) else what
        assert directory is not None
        return held_in(directory)

    return read


@pytest.fixture
def all_held(data_dir: Path) -> Callable[[], list[Held]]:
    """What each spool of the data directory holds."""
    return lambda: [held_in(directory) for directory in list_spools(data_dir / "spool")]


@pytest.fixture
def python(data_dir: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program with `runstream` imported in a process of its own; its output is text."""

    def run(program: str, **env: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "program.py"
        script.write_text("import os, signal, sys, time\nimport runstream\n" + textwrap.dedent(program))
        return subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, **env},
            cwd=tmp_path,
        )

    return run
