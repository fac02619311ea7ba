"""What a trainer says it logged: a file of its own, line by line, written around each call.

Each call has an intent before it and a `done` after it. When the process is killed between the two, that one call may
or may not have happened; everything else is certain. Lines are JSON arrays:

    ["writer", run_id, rank, attempt, writer_id, [[metric, …], …]]   a writer began (also after a rewind)
    ["log", step, key_set, [value, …]]                               log() is about to be called
    ["done"]                                                         it returned
    ["rewind", step]                                                 rewind() is about to be called
    ["end", how, dropped]                                            finish() is about to be called, or has returned
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Values = dict[str, int]
"""Metric to the 64 bits of its value."""
_DOUBLE = struct.Struct("<d")
_BITS = struct.Struct("<Q")


def bits(value: float) -> int:
    """The IEEE 754 bits, so that NaN is equal to itself and -0.0 differs from 0.0."""
    return int(_BITS.unpack(_DOUBLE.pack(value))[0])


def value_of(pattern: int) -> float:
    return float(_DOUBLE.unpack(_BITS.pack(pattern))[0])


class Journal:
    """The writing side. A line is in the kernel when the call returns, so a kill -9 of this process cannot lose it."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def put(self, *line: Any) -> None:
        os.write(self._fd, (json.dumps(line, separators=(",", ":")) + "\n").encode())


@dataclass
class Call:
    """One log() call: one row of the spool."""

    step: int
    values: Values


@dataclass
class Writer:
    """What one writer logged, in order. `maybe` is the call during which it was killed."""

    run_id: str
    rank: int
    attempt: int
    writer_id: int
    calls: list[Call] = field(default_factory=list)
    maybe: Call | None = None


@dataclass
class Story:
    """One trainer process: its writers in order, where it rewound to between them, and how it ended."""

    path: Path
    run_id: str
    rank: int
    attempt: int
    """Of its first writer."""
    writers: list[Writer] = field(default_factory=list)
    rewinds: list[tuple[int, int]] = field(default_factory=list)
    """(new attempt, last step kept) for each rewind that surely happened."""
    maybe_rewind: tuple[int, int] | None = None
    ended: str = ""
    """`finished` when finish() returned; empty when the process was killed before it was called."""
    maybe_ended: bool = False
    dropped: int = 0

    @property
    def newest_attempt(self) -> int:
        """The greatest attempt that may exist."""
        known = [writer.attempt for writer in self.writers]
        return max([self.attempt, *known, *([self.maybe_rewind[0]] if self.maybe_rewind else [])])

    @property
    def next_step(self) -> int:
        steps = [call.step for writer in self.writers for call in writer.calls]
        return max(steps, default=-1) + 1


def read(path: Path, run_id: str, rank: int, attempt: int) -> Story:
    """The story of one process; a line that its death cut off counts as not written."""
    story = Story(path, run_id, rank, attempt)
    keys: Sequence[Sequence[str]] = ()
    pending: Call | None = None
    data = path.read_bytes() if path.exists() else b""
    for line in _whole_lines(data):
        kind, *rest = json.loads(line)
        if kind == "writer":
            if story.maybe_rewind is not None:
                story.rewinds.append(story.maybe_rewind)
                story.maybe_rewind = None
            found_run, found_rank, found_attempt, writer_id, keys = rest
            story.writers.append(Writer(found_run, found_rank, found_attempt, writer_id))
        elif kind == "log":
            step, key_set, values = rest
            pending = Call(step, {name: bits(value) for name, value in zip(keys[key_set], values, strict=True)})
        elif kind == "done":
            assert pending is not None
            story.writers[-1].calls.append(pending)
            pending = None
        elif kind == "rewind":
            story.maybe_rewind = (story.writers[-1].attempt + 1, rest[0])
        elif kind == "end":
            how, story.dropped = rest
            story.ended, story.maybe_ended = ("finished", False) if how == "finished" else ("", True)
    if pending is not None:
        story.writers[-1].maybe = pending
    return story


def _whole_lines(data: bytes) -> Iterable[bytes]:
    lines = data.split(b"\n")
    return lines[:-1]
