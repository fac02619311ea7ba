"""A run: the public face of what one process records."""

from __future__ import annotations

import dataclasses
import operator
import os
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from runstream import endings
from runstream.capture import Captured
from runstream.captured_run import CapturedRun
from runstream.companion import beside
from runstream.delivery import DURABILITIES, Part, say_what_is_left, wait_for
from runstream.endings import Outcome, outcome_of, outcome_of_code
from runstream.errors import PointsDropped, SettingsError
from runstream.flow import Lag
from runstream.identity import new_writer_id
from runstream.launch import agent_wanted, ensure_agent
from runstream.notices import Once, warn
from runstream.recorder import MAX_STEP, MIN_STEP, no_writer
from runstream.resume import note_attempt
from runstream.settings import Settings
from runstream.spool_room import NoRoom, OnFull
from runstream.spool_tracking import mark_worker, track
from runstream.spool_writer import SpoolWriter
from runstream.starts import Identity


class Run(CapturedRun):
    """One run, as this process sees it. Made by `runstream.init()`.

    Usable from all threads. After a `fork()` the child's calls belong to the same run, as a writer of their own;
    pickled to another process it joins the run there. As a context manager it finishes the run, as failed when an
    exception leaves the block.
    """

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        captured: Captured,
        *,
        first_step: int = 0,
        rewind_to: int | None = None,
        allocate: Callable[[int, int], None] | None = None,
    ) -> None:
        self._captured = dict(captured.fields)
        self._started_us = time.time_ns() // 1000
        self._allocate = allocate
        self._rewind_to = rewind_to
        """The step of a rewind that the next writer is to record."""
        self._earlier: list[Part] = []
        """What was closed by rewinds."""
        self._preempting = False
        self._forked = False
        self._companion: beside.Companion | None = None
        self._said = Once()
        super().__init__(
            settings,
            identity,
            open_writer=self._new_writer if settings.mode != "disabled" else None,
            first_step=first_step,
            captured=captured,
        )
        if settings.mode != "disabled":
            self._begin()

    # -- how it goes on

    def rewind(self, step: int) -> None:
        """Go back to `step`, the last one that is kept, such as that of the checkpoint just loaded.

        This process's part ends, and goes on as a new attempt. Points of earlier attempts with a greater step, of this
        rank, are hidden from views and stay in the table; nothing is deleted. The counter goes on at `step + 1`.
        Config, summary and tags stay. Each rank rewinds by itself. Never raises; a step that is no whole number is
        refused with a warning.
        """
        try:
            at = operator.index(step)
        except TypeError:
            warn(f"rewind({step!r}) is not a whole number; nothing is rewound".replace("\n", " ")[:300])
            return
        at = max(MIN_STEP, min(at, MAX_STEP - 1))
        if self._identity.forked_from and at < self._identity.fork_step:
            warn(
                f"rewind({at}) is before the fork at step {self._identity.fork_step}: the parent's history up to there "
                f"stays in view; fork the parent at {at} instead"
            )
        try:
            with self._lock:
                if self._busy:
                    self._deferred.append(lambda: self.rewind(at))
                    return
                self._config.record_changes()
                self._busy = True
                try:
                    self._go_back(at)
                finally:
                    self._busy = False
                    if self._deferred:
                        self._run_deferred()
        except Exception as error:  # noqa: BLE001 - a training loop must not die of its log
            self._trouble("rewind()", error)

    def wait(self, durability: str = "kafka", timeout: float | None = None) -> bool:
        """Wait until everything logged so far has arrived: acknowledged by `kafka`, or queryable in `clickhouse`.

        `timeout` in seconds; None: no limit. True: it has. False: not within `timeout`, or nobody is there who sends,
        or it cannot be known (a warning says which). What was dropped, see `dropped`, is not waited for. Embedded, both
        mean queryable. Raises SettingsError for another `durability`.
        """
        if durability not in DURABILITIES:
            raise SettingsError("durability", durability, "kafka or clickhouse")
        if self.mode == "disabled":
            return True
        with self._lock:
            writer, outer = self._writer, self._busy  # a signal handler may wait while this very thread logs
            self._busy = True
            try:
                flushed = writer is None or writer.closed or (not outer and writer.flush_waiting())
                parts = self._parts()
            finally:
                self._busy = outer
                if not outer:
                    self._run_deferred()
        arrived = wait_for(self.settings, parts, durability, timeout) and flushed
        with self._lock:
            self._callbacks.tell(self._writer)
        return arrived

    def on_lag(self, callback: Callable[[Lag], object], *, after_s: float = 10.0) -> None:
        """Have `callback` called when what was logged has waited for `after_s` seconds, and once when that is over.

        It gets a `Lag`. It is called from `log()` and `wait()`, in their thread, at most every 10 s, and may log; it
        must not wait for another thread that logs. What it raises becomes a warning.
        """
        with self._lock:
            self._callbacks.on_lag(callback, after_s)
            self._watch_writer()

    def on_error(self, callback: Callable[[PointsDropped], object]) -> None:
        """Have `callback` called when something was dropped, at most every 10 s; it gets a `PointsDropped`.

        It is called from the call that dropped it, or a later one, in its thread, and may log; it must not wait for
        another thread that logs. What it raises becomes a warning.
        """
        with self._lock:
            self._callbacks.on_error(callback)
            self._watch_writer()

    def preempting(self, reason: str = "") -> None:
        """Say that this process is about to be taken away, for instance in the handler of the scheduler's signal.

        Unless it still finishes with exit code 0, it ends as `preempted`, also when it is killed outright.
        """
        self._preempting = True
        writer = self._writer
        if writer is not None:
            self._emit({"type": "Attributes", "values": {f"preempted:{writer.writer_id:016x}": str(reason) or "true"}})

    # -- how it ends

    def finish(self, exit_code: int = 0) -> None:
        """End the run: `finished` for exit code 0, else `failed`.

        With a broker, waits until the agent has sent everything, at most RUNSTREAM_FINISH_TIMEOUT_S; says what is left.
        Without one it only closes the spool. Never raises; a second call does nothing.
        """
        self.end(outcome_of_code(exit_code))

    def end(self, outcome: Outcome) -> None:
        """End the run with an outcome. Never raises."""
        endings.forget(self)
        outcome = self._preempted(outcome)
        try:
            with self._lock:
                writer = self._writer
                if self._ended or writer is None:
                    self._ended = True
                    return
            self._config.record_changes()
            self._end_watches()
            self._end_capture()
            with self._lock:
                self._busy = True
                try:
                    self._put_ending(writer, outcome)
                finally:
                    self._busy = False
                    self._run_deferred()
                self._ended = True
                self._append_row = _over
                self._close(writer)
            self._end_companion()
            if self._identity.external_id:
                note_attempt(self.settings, self._identity.run_id, self.attempt, self._step - 1)
            if agent_wanted(self.settings):
                ensure_agent(self.settings, os.environ)
            self._callbacks.tell(None, last=True)
            say_what_is_left(self.settings, self.name, self.url, self._parts(), self.dropped)
        except Exception as error:  # noqa: BLE001
            self._trouble("finish()", error)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(outcome_of(error))

    def __reduce__(self) -> tuple[Callable[..., Run], tuple[Any, ...]]:
        from runstream.current import join

        return join, (self.settings, self._identity, self._step)

    def __deepcopy__(self, memo: object) -> Run:
        return self

    # -- inside

    def _begin(self) -> None:
        starting = self._start_companion()
        try:
            with self._lock:
                self._ready("init()")
            endings.watch(self)
            if self._identity.external_id:
                note_attempt(self.settings, self._identity.run_id, self.attempt, self._step - 1)
            self._begin_capture()
            ensure_agent(self.settings, os.environ)
        finally:
            self._attach_companion(starting)

    def _start_companion(self) -> beside.Companion | None:
        run_directory = self.settings.spool_dir / str(self._identity.run_id)
        return beside.start(self.settings, os.environ, run_directory=run_directory)

    def _attach_companion(self, started: beside.Companion | None) -> None:
        writer = self._writer
        if started is None:
            return
        if writer is None:
            started.end()
        elif started.attach(self.settings, writer.directory, run_id=str(self._identity.run_id)):
            self._companion = started

    def _end_companion(self) -> None:
        ended, self._companion = self._companion, None
        if ended is not None:
            ended.end()

    def _new_writer(self) -> SpoolWriter:
        """This process's writer, with the start of its part of the run in it."""
        if self._captured.get("pid") != os.getpid():
            self._captured["pid"] = os.getpid()
            self._started_us = time.time_ns() // 1000
            endings.watch_worker()
        settings = self.settings
        # What was changed since: a later start must not bring back a tag that was taken off.
        identity = dataclasses.replace(
            self._identity,
            name=self.name,
            notes=self.notes,
            group=self.group,
            job_type=self.job_type,
            tags=tuple(self._tags),
        )
        writer = SpoolWriter(
            settings.spool_dir,
            run_id=identity.run_id,
            writer_id=new_writer_id(),
            project=identity.project,
            attempt=identity.attempt,
            rank=settings.rank,
            segment_bytes=settings.segment_bytes,
            segment_max_bytes=settings.segment_max_bytes,
            max_bytes=settings.spool_max_bytes,
            on_full=OnFull(settings.on_full, settings.block_timeout_s),
            actor=self._actor,
            allocate=self._allocate,
            look_after=(lambda: ensure_agent(settings, os.environ)) if agent_wanted(settings) else None,
        )
        writer.append_event(identity.started(self._captured, created_us=self._started_us, actor=self._actor))
        if self._forked and endings.is_worker():
            mark_worker(writer.directory)
        if settings.keep == "clickhouse":
            track(writer.directory)
        if self._rewind_to is not None:
            writer.append_event({"type": "RunRewound", "step": self._rewind_to, "actor": self._actor})
            self._rewind_to = None
        if writer.waiting_events:
            self._said.warn(
                "room",
                f"nothing can be written to {writer.directory}; training goes on, and points are kept once it can",
            )
        return writer

    def forked(self) -> None:
        """See Recorder.forked; a rewind is the parent's business."""
        super().forked()
        self._forked = True
        if self._companion is not None:
            self._companion.forked()
            self._companion = None
        self._earlier = []
        self._rewind_to = None

    def _go_back(self, at: int) -> None:
        old = self._writer
        if self._ended:
            self._ready("rewind()")  # says so
            return
        # First what a later call needs to go on, should a signal handler raise in the middle.
        self._identity = dataclasses.replace(self._identity, attempt=self.attempt + 1)
        self._rewind_to = at
        self._started_us = time.time_ns() // 1000
        self._step = at + 1
        self._writer, self._append_row = None, no_writer
        if old is not None:
            self._put_ending(old, Outcome(reason="rewound"))
            self._close(old)
            self._earlier.append(Part(old.directory, old.position, old.written))
            self._dropped += old.lost_rows + old.lost_events
        self._ready("rewind()")
        self._end_companion()
        self._attach_companion(self._start_companion())
        if self._identity.external_id:
            note_attempt(self.settings, self._identity.run_id, self.attempt, at)

    def _put_ending(self, writer: SpoolWriter, outcome: Outcome) -> None:
        try:
            writer.note_skipped()
        except NoRoom as error:
            self._drop(writer, error)
        end = {**outcome._asdict(), "metric_seq": writer.row_seq, "actor": self._actor}
        self._put_event(writer, {"type": "RunFinished", **end})

    def _close(self, writer: SpoolWriter) -> None:
        try:
            writer.close()
        except NoRoom as error:
            self._drop(writer, error)

    def _parts(self) -> list[Part]:
        writer = self._writer
        now = [Part(writer.directory, writer.position, writer.written)] if writer is not None else []
        return [*self._earlier, *now]

    def _preempted(self, outcome: Outcome) -> Outcome:
        told = self._preempting and outcome.state != "finished"
        if told or endings.is_by_signal(outcome, self.settings.preempt_signals):
            return outcome._replace(state="preempted")
        return outcome


class DisabledRun(Run):
    """A run that records nothing and touches no disk."""

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        """Do nothing."""

    def rewind(self, step: int) -> None:
        """Do nothing."""

    def _emit(self, body: dict[str, Any]) -> None:
        return


def _over(*_: object) -> None:
    raise LookupError
