"""Telling a program how its delivery goes: callbacks on lag and on loss.

There is no thread for it: `log()` looks about once a second, `wait()` and `finish()` when they are through. A callback
runs there, in the thread that called, and may itself log. What it raises stays here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from runstream.endings import raised_by_signal_handler
from runstream.errors import PointsDropped
from runstream.notices import Once
from runstream.spool import segment_numbers, segment_path
from runstream.spool_cursor import acknowledged
from runstream.spool_writer import SpoolWriter

EVERY_S = 10.0
"""A callback is called at most so often."""


class Lag(NamedTuple):
    """What this process has logged and the other side has not acknowledged; all 0: nothing any more."""

    seconds: float
    """What waits has waited for so long, at least."""
    rows: int
    bytes: int
    """Of spool files on disk, what is preallocated included."""


class Callbacks:
    """What a run's owner wants to hear of. Not thread-safe: the run's lock is held around each call."""

    def __init__(self) -> None:
        self._on_lag: list[tuple[Callable[[Lag], object], float]] = []
        self._on_error: list[Callable[[PointsDropped], object]] = []
        self._error: PointsDropped | None = None
        self._told_error_at = -EVERY_S
        self._told_lag_at = -EVERY_S
        self._told_lag = False
        self._mark: tuple[int, int, float] | None = None
        """Sequences of row and event that were next at some moment (monotonic seconds), and are not acknowledged."""
        self._marked: Path | None = None
        """The spool that the mark is of: one that a rewind or a fork began counts from 0."""
        self._once = Once()

    def on_lag(self, callback: Callable[[Lag], object], after_s: float) -> None:
        self._on_lag.append((callback, after_s))

    def on_error(self, callback: Callable[[PointsDropped], object]) -> None:
        self._on_error.append(callback)

    def __bool__(self) -> bool:
        return bool(self._on_lag or self._on_error)

    def failed(self, error: PointsDropped) -> None:
        """Something was dropped: told by the next `tell`, the latest of several."""
        self._error = error

    def tell(self, writer: SpoolWriter | None, *, last: bool = False) -> None:
        """Call what is due; `last`: also an error that would have to wait."""
        now = time.monotonic()
        if self._error is not None and (last or now - self._told_error_at >= EVERY_S):
            error, self._error, self._told_error_at = self._error, None, now
            for told in self._on_error:
                self._call(told, error)
        if writer is None or not self._on_lag:
            return
        lag = self._lag(writer, now)
        due = [callback for callback, after_s in self._on_lag if lag.seconds >= after_s]
        if due and now - self._told_lag_at >= EVERY_S:
            self._told_lag_at, self._told_lag = now, True
            for callback in due:
                self._call(callback, lag)
        elif self._told_lag and not lag.seconds:
            self._told_lag = False
            for callback, _ in self._on_lag:
                self._call(callback, Lag(0.0, 0, 0))

    def _lag(self, writer: SpoolWriter, now: float) -> Lag:
        if self._marked != writer.directory:
            self._mark, self._marked = None, writer.directory
        place = acknowledged(writer.directory)
        rows, events = (place.row_seq, place.event_seq) if place is not None else (0, 0)
        if self._mark is None or (rows >= self._mark[0] and events >= self._mark[1]):
            behind = rows < writer.row_seq or events < writer.event_seq
            self._mark = (writer.row_seq, writer.event_seq, now) if behind else None
            return Lag(0.0, 0, 0)
        held = 0
        for number in segment_numbers(writer.directory):
            with contextlib.suppress(OSError):
                held += segment_path(writer.directory, number).stat().st_size
        return Lag(now - self._mark[2], writer.row_seq - rows, held)

    def _call(self, callback: Callable[..., object], given: object) -> None:
        try:
            callback(given)
        except Exception as error:
            if raised_by_signal_handler(error):
                raise
            self._once.warn("callback", f"a callback failed ({type(error).__name__}: {error}); training goes on")
