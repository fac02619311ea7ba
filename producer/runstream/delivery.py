"""Waiting until what was logged has arrived, and saying what is left at the end of a run."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from runstream import awaited
from runstream.awaited import Amount
from runstream.identity import lock_is_held
from runstream.launch import agent_wanted, ensure_agent
from runstream.notices import note, warn
from runstream.settings import Settings
from runstream.spool import Position, segment_numbers
from runstream.spool_cursor import Places, places
from runstream.spool_tracking import is_tracked, track

POLL_S = 0.05
LOOK_EVERY_S = 1.0
START_AGENT_EVERY_S = 15.0
"""One that has just been started takes a while to be there."""
NOBODY_S = 5.0
"""Without an agent or `runstream up` on this directory for so long, waiting has no end,"""
NOBODY_STARTS_S = 60.0
"""or for so long, where an agent is started on demand."""
DURABILITIES = ("kafka", "clickhouse")


class Part(NamedTuple):
    """One writer's spool, and the place behind its last record."""

    directory: Path
    end: Position
    rows: int
    """Written to it."""


class Left(NamedTuple):
    """What of a run has not arrived: rows in its spools, and what only waits for the object store."""

    rows: int
    amount: Amount
    is_behind: bool
    """Whether the spools themselves are not read to their end."""


class Waiting:
    """Looks whether parts of a run have arrived, again and again, as cheaply as it can."""

    def __init__(self, parts: Sequence[Part], durability: str = "kafka", *, embedded: bool = False) -> None:
        self._left = list(parts)
        self._queryable = durability == "clickhouse"
        # Embedded, what is sent is queryable; else a spool that is gone was so only if somebody looked.
        self._tracked = {part.directory: embedded or is_tracked(part.directory) for part in parts}
        self.unknown: list[Part] = []
        """Parts that were sent and removed before anybody could see that they are queryable."""
        if self._queryable:
            for part in parts:
                track(part.directory)

    def over(self) -> bool:
        """Whether all that can be known has arrived; see `unknown`."""
        self._left = [part for part in self._left if not self._arrived(part)]
        return not self._left

    def left(self) -> Left:
        rows, amount, behind = 0, Amount(), False
        for part in self._left:
            found = places(part.directory)
            rows += part.end.row_seq - (self._place(found).row_seq if found is not None else 0)
            amount += awaited.amount(part.directory, part.end.event_seq)
            behind = behind or found is None or not self._passed(part, found)
        return Left(max(0, rows), amount, behind)

    def _arrived(self, part: Part) -> bool:
        found = places(part.directory)
        if found is None:
            if segment_numbers(part.directory):
                return False
            if self._queryable and not self._tracked[part.directory]:
                self.unknown.append(part)
            return True
        self._tracked[part.directory] = self._tracked[part.directory] or found.tracked
        return self._passed(part, found) and not self._awaits(part)

    def _passed(self, part: Part, found: Places) -> bool:
        place, end = self._place(found), part.end
        return place[:2] >= end[:2] or place[2:] >= end[2:] or (found.finished and not self._queryable)

    def _awaits(self, part: Part) -> bool:
        if awaited.is_awaited(part.directory, part.end.event_seq):
            return True
        return self._queryable and awaited.sent(part.directory) is not None

    def _place(self, found: Places) -> Position:
        return found.queryable if self._queryable else found.position


def wait_for(
    settings: Settings, parts: Sequence[Part], durability: str, timeout_s: float | None, *, tracked: bool = False
) -> bool:
    """Whether all of `parts` arrived within `timeout_s` (None: no limit). `tracked`: their spools were to be kept until
    they are queryable from the first, so one that is gone is.

    Ends early, with a warning, when nobody serves the data directory and when it cannot be known.
    """
    waiting = Waiting(parts, durability, embedded=tracked or settings.kafka is None)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    look_at, start_at = 0.0, time.monotonic() + START_AGENT_EVERY_S
    starts = agent_wanted(settings) and settings.agent in ("auto", "thread")
    patience_s = NOBODY_STARTS_S if starts else NOBODY_S
    nobody_since: float | None = None
    while not waiting.over():
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            if (left := waiting.left()).amount.artifacts:
                warn(f"wait(): {left.amount}")
            return False
        if now >= look_at:
            look_at = now + LOOK_EVERY_S
            if now >= start_at:
                start_at = now + START_AGENT_EVERY_S
                ensure_agent(settings, os.environ)
            served = lock_is_held(settings.agent_lock)
            nobody_since = None if served else nobody_since or now
        if nobody_since is not None and now - nobody_since >= patience_s:
            warn(
                f"wait(): no agent and no `runstream up` serves {settings.dir}, so nothing will arrive; start one, or "
                f"send what is there with `runstream sync {settings.dir}` after the run"
            )
            return False
        time.sleep(POLL_S)
    if waiting.unknown:
        warn(
            "wait(durability='clickhouse'): a part of this run was sent and removed before it was queryable; "
            "set RUNSTREAM_KEEP=clickhouse to know"
        )
    return not waiting.unknown


def say_what_is_left(settings: Settings, name: str, url: str | None, parts: Sequence[Part], dropped: int) -> None:
    """Wait for the agent, when this run has one, and say in one line what became of the run's rows."""
    lost = f" {dropped:,} rows or events are lost, for lack of room." if dropped else ""
    rows = f"{sum(part.rows for part in parts):,} rows"
    if not agent_wanted(settings):
        where = f"see {url}" if url else f"kept in {settings.spool_dir}; `runstream up` shows them"
        if settings.mode == "offline":
            where = f"kept in {parts[-1].directory}; send them with `runstream sync {settings.dir}`"
        (warn if lost else note)(f"run {name} is over: {rows}, {where}.{lost}")
        return
    left = wait_until_sent(parts, settings.finish_timeout_s)
    if left is None:
        (warn if lost else note)(f"run {name} is over: {rows}, all sent{f', see {url}' if url else ''}.{lost}")
        return
    said = f"{left.rows:,} of {rows} wait in {parts[-1].directory}" if left.is_behind else f"{rows}, all sent"
    if left.amount.artifacts:
        said += f"; {left.amount}"
    warn(
        f"run {name} is over: {said}. The agent goes on (log: {settings.logs_dir / 'agent.log'}); "
        f"`runstream sync {settings.dir}` sends what is left, too.{lost}"
    )


def wait_until_sent(parts: Sequence[Part], timeout_s: float) -> Left | None:
    """Wait until each cursor has passed its end and nothing is awaited, or the spool is gone; None then.

    Ctrl-C ends the wait only: what is in the spool is safe.
    """
    deadline = time.monotonic() + timeout_s
    waiting = Waiting(parts)
    try:
        while not waiting.over():
            if time.monotonic() >= deadline:
                return waiting.left()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        return waiting.left()
    return None
