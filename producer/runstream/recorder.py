"""One process's part of a run: rows and events into its spool, from any thread, and without ever raising."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Mapping
from typing import Any

from runstream.endings import raised_by_signal_handler
from runstream.errors import PointsDropped
from runstream.flow import Callbacks
from runstream.notices import Once
from runstream.rows import Rows
from runstream.spool_room import NoRoom
from runstream.spool_writer import SpoolWriter

MIN_STEP, MAX_STEP = -(2**63), 2**63 - 1


class Recorder:
    """What `log()` and every event go through.

    `open_writer` makes the writer of this process and records the start of the run in it; it is called again in a
    forked child, when that logs for the first time, for a child must not touch its parent's file.
    """

    def __init__(
        self, *, open_writer: Callable[[], SpoolWriter] | None, actor: str, first_step: int, max_metrics: int
    ) -> None:
        self._open_writer = open_writer
        self._actor = actor
        self._max_metrics = max_metrics
        self._step = first_step
        self._dropped = 0
        self._refused_before = 0
        self._once = Once()
        self._ended = False
        self._written_at_drop = -1
        self._callbacks = Callbacks()
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._busy = False
        self._deferred: list[Callable[[], None]] = []
        self._writer: SpoolWriter | None = None
        self._rows = Rows(self._max_metrics)
        self._known = self._rows.known
        self._append_row: Callable[..., None] = no_writer

    @property
    def step(self) -> int:
        """The step that the next `log()` without `step=` gets."""
        return self._step

    @property
    def dropped(self) -> int:
        """Rows and events that were lost for lack of room: cap reached, disk full, directory removed or read-only."""
        lost = self._writer.lost_rows + self._writer.lost_events if self._writer is not None else 0
        return self._dropped + lost

    @property
    def refused(self) -> int:
        """Values that `log()` left out because they are not numbers or have no usable name."""
        return self._refused_before + self._rows.refused

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        """Record the values of `data` at one step: numbers, texts, and rich values such as `runstream.Image`.

        Without `step` the run's own counter is used and then goes up by one; with `step` the counter is set to it and
        stays there, so that further calls add to the same step. `commit` decides otherwise: True moves the counter on
        after this call, False leaves it. Nested mappings are named with `/`. Numbers are what `float()` takes without
        loss of meaning: ints, floats, bools, numpy and torch scalars, arrays of one element. Logging a metric again at
        the same step replaces its value. Rich values may stand in a list, and figures, PIL images and data frames need
        no wrapping; see docs/values.md.

        Every call is written at once and survives a kill of the process. It never raises: what cannot be kept is left
        out with one warning per name, what finds no room on the disk is counted in `dropped`.
        """
        rich = None
        try:
            with self._lock:
                if self._busy:  # a signal handler logs while this very thread does
                    self._deferred.append(lambda: self.log(data, step, commit))
                    return
                self._busy = True
                try:
                    at = self._step if step is None else step if type(step) is int else self._step_of(step)
                    try:
                        self._append_row(self._known[tuple(data)], at, data.values())
                    except NoRoom as error:
                        self._skip_row(error)
                    except Exception as error:
                        if raised_by_signal_handler(error):
                            raise
                        at = self._log_unusual(data, at)
                        rich, self._rows.rich = self._rows.rich, []
                    self._step = at + 1 if commit or (commit is None and step is None) else at
                finally:
                    self._busy = False
                    if self._deferred:
                        self._run_deferred()
            if rich:  # without the lock: to encode them takes time, in which other threads log
                self._log_rich(rich, at)
        except Exception as error:  # noqa: BLE001 - a training loop must not die of its log
            self._trouble("log()", error)

    def _log_rich(self, values: list[tuple[str, Any]], at: int) -> None:
        """Log what `Rows` calls rich."""
        raise NotImplementedError

    def _emit(self, body: dict[str, Any]) -> None:
        """Record a control event. Never raises."""
        try:
            with self._lock:
                if self._busy:
                    self._deferred.append(lambda: self._emit(body))
                    return
                self._busy = True
                try:
                    writer = self._ready("an event")
                    if writer is not None:
                        self._put_event(writer, {**body, "actor": self._actor})
                finally:
                    self._busy = False
                    if self._deferred:
                        self._run_deferred()
        except Exception as error:  # noqa: BLE001
            self._trouble(str(body.get("type")), error)

    def _put_event(self, writer: SpoolWriter, body: dict[str, Any]) -> None:
        try:
            writer.append_event(body)
        except NoRoom as error:
            self._drop(writer, error)

    def _log_unusual(self, data: Any, at: int) -> int:
        """Log what the fast path could not; the step it was logged at. Never raises."""
        if not MIN_STEP <= at <= MAX_STEP:
            at = max(MIN_STEP, min(at, MAX_STEP))
            self._once.warn("step", f"log(): the step is beyond 64 bits; {at} is used")
        try:
            self._release(at)
            writer = self._ready("log()")
            if not isinstance(data, Mapping):
                self._rows.refuse("", f"log() takes a dict of names and numbers, not {type(data).__name__}")
            elif writer is not None:
                self._append_rows(writer, data, at)
        except Exception as error:  # noqa: BLE001 - a training loop must not die of its log
            self._trouble("log()", error)
        return at

    def _release(self, at: int) -> None:
        """Record what waited for the step of this call."""

    def _append_rows(self, writer: SpoolWriter, data: Mapping[Any, Any], at: int) -> None:
        for keys, values in self._rows.of(data):
            try:
                writer.append_row(keys, at, values)
            except NoRoom as error:
                self._skip_row(error)

    def _skip_row(self, error: NoRoom) -> None:
        if self._writer is not None:
            self._writer.skip_row(error.strerror or str(error))
            self._drop(self._writer, error)

    def _step_of(self, step: Any) -> int:
        """The step as an int; the counter's, with a warning, when it is none."""
        try:
            return operator.index(step)
        except TypeError:
            pass
        try:
            number = float(step) if not isinstance(step, str | bytes) else None
            if number is not None and number.is_integer():
                return int(number)
        except Exception:  # noqa: BLE001, S110 - any object may come; said below
            pass
        self._once.warn(
            "step", f"log(step={step!r}) is not a whole number; the run's own counter is used".replace("\n", " ")[:300]
        )
        return self._step

    def _ready(self, what: str) -> SpoolWriter | None:
        """The writer of this process; None when the run is over or disabled."""
        if self._ended:
            self._once.warn("ended", f"{what} after the run was finished is left out; call runstream.init() again")
            self._dropped += 1
            return None
        if self._writer is None and self._open_writer is not None:
            self._use_writer(self._open_writer())
        return self._writer

    def _use_writer(self, writer: SpoolWriter) -> None:
        self._writer = writer
        self._append_row = writer.append_row
        self._watch_writer()

    def _watch_writer(self) -> None:
        writer = self._writer
        if writer is not None and self._callbacks:
            writer.on_check = lambda: self._deferred.append(lambda: self._callbacks.tell(self._writer))

    def _drop(self, writer: SpoolWriter, error: OSError) -> None:
        self._dropped += 1
        if writer.written != self._written_at_drop:
            self._once.forget("room")
        self._written_at_drop = writer.written
        if self._callbacks:
            self._callbacks.failed(PointsDropped(self.dropped, error.strerror or str(error)))
            self._deferred.append(lambda: self._callbacks.tell(None))
        self._once.warn(
            "room",
            f"no room in {writer.directory} ({error}); points are dropped (and counted in run.dropped) meanwhile. "
            "Training goes on. Free space, or point RUNSTREAM_DIR to another disk.",
        )

    def _run_deferred(self) -> None:
        while self._deferred:
            self._deferred.pop(0)()

    def _trouble(self, what: str, error: Exception) -> None:
        """Something failed that should not: count it and go on."""
        if raised_by_signal_handler(error):
            raise error
        self._dropped += 1
        if self._callbacks:
            self._callbacks.failed(PointsDropped(self.dropped, f"{what}: {type(error).__name__}: {error}"))
        self._once.warn(f"trouble {type(error).__name__}", f"{what} was left out: {type(error).__name__}: {error}")

    def forked(self) -> None:
        """In a forked child: let go of the parent's spool; its own begins with the first log()."""
        writer, self._refused_before = self._writer, 0
        self._dropped = 0
        self._reset()
        if writer is not None:
            writer.abandon()


def no_writer(*_: object) -> None:
    raise LookupError
