"""Says where a worker stands still: all stacks go to the log when the loop does not turn, or nothing progresses."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import traceback
from typing import Self

import structlog

from runstream_ingest.health import STALL_S, Health
from runstream_ingest.metrics import Metrics

log = structlog.get_logger("runstream.ingest")
LOOK_S = 1.0


class StallWatch:
    """A thread that looks at `health` every `look_s` seconds, for as long as the context lasts.

    It logs once for each time that the loop did not turn for 30 s, and once when no message became durable for
    `stall_s` seconds although some wait and no problem is known that would explain it.
    """

    def __init__(
        self,
        health: Health,
        metrics: Metrics,
        loop: asyncio.AbstractEventLoop,
        *,
        stall_s: float,
        look_s: float = LOOK_S,
    ) -> None:
        self._health = health
        self._metrics = metrics
        self._loop = loop
        self._stall_s = stall_s
        self._look_s = look_s
        self._ended = threading.Event()
        self._told = False
        self._thread = threading.Thread(target=self._run, name="stall watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._look_s):
            stalled = self._health.idle_s > STALL_S or (
                self._health.waiting_s > self._stall_s and not self._health.problems
            )
            if stalled and not self._told:
                self._metrics.stalls.inc()
                log.error(
                    "stalled",
                    loop_idle_s=round(self._health.idle_s, 1),
                    without_progress_s=round(self._health.waiting_s, 1),
                    stacks=stacks(self._loop),
                )
            self._told = stalled


def stacks(loop: asyncio.AbstractEventLoop) -> str:
    """Where each thread and each task of `loop` is."""
    out = io.StringIO()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for number, frame in sys._current_frames().items():
        out.write(f"thread {names.get(number, number)}\n{''.join(traceback.format_stack(frame))}\n")
    for task in asyncio.all_tasks(loop):
        out.write(f"task {task.get_name()}\n")
        task.print_stack(file=out)
    return out.getvalue()
