"""The agent: every spool of a data directory, over one transport."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runstream.agent.lock import AgentLock
from runstream.agent.tail import Tail
from runstream.agent.uploads import Uploader
from runstream.errors import SpoolError
from runstream.identity import host_name
from runstream.messages import Message
from runstream.objects import Uploads
from runstream.settings import Settings
from runstream.spool import is_closed, list_spools
from runstream.spool_reader import SpoolReader
from runstream.transport import Sent, TellsQueryable, Transport

log = logging.getLogger("runstream.agent")
MAX_IN_FLIGHT_BYTES = 32 << 20
SCAN_EVERY_S = 0.25
ASK_EVERY_S = 1.0
"""What is queryable, while a spool is kept only for that."""
RETRY_SPOOL_S = 30.0
LEAVE_AFTER_S = 5.0
STOP_WITHIN_S = 5.0
POLL_S = (0.05, 0.25)
"""Pause between two looks at the spools: rows came lately, or not. Who edits something on a page waits for it."""
MOST_PAUSE_S = 5.0
BUSY_FOR_S = 5.0
MAX_OPEN_FILES = 128
"""With more spools than this, each is opened for every look: a host may have left thousands."""
OPEN_AT_ONCE = 256


@dataclass(slots=True)
class Counters:
    """What this agent has done since it started."""

    messages: int = 0
    bytes: int = 0
    points: int = 0
    events: int = 0
    in_flight_bytes: int = 0
    refused_messages: int = 0
    finished_writers: int = 0
    unreadable_spools: int = 0


class Agent:
    """Sends what the spools under `directory` hold, until it is stopped.

    Memory: at most MAX_IN_FLIGHT_BYTES of messages (and the one being added) are unacknowledged at any time, however
    long the other side is down and however much is spooled; then reading pauses. To that add at most a frame (0.8 MiB),
    8 MiB of control events behind media that are hashed and 1 MiB of what the object store was awaited for (and the
    one being added) for each writer, and what the transport needs for itself.

    `stay`: go on when no writer lives and all is acknowledged. `skip_living`: leave the spools of processes that run.
    The lock of the data directory is held while `run` runs. `counters`, `lag` and `tails` may be read at any time from
    the same event loop.
    """

    def __init__(
        self,
        directory: Path,
        transport: Transport,
        objects: Uploads,
        settings: Settings,
        *,
        stay: bool = True,
        skip_living: bool = False,
        leave_after_s: float = LEAVE_AFTER_S,
        on_round: Callable[[], None] | None = None,
    ) -> None:
        self.counters = Counters()
        self.tails: dict[Path, Tail] = {}
        self.skipped: set[Path] = set()
        """Spools of living writers that were left alone."""
        self.unreadable: dict[Path, str] = {}
        """Spools that cannot be read, and why."""
        self._spool_dir = directory / "spool"
        self._lock = directory / "agent.lock"
        self._refused_dir = directory / "refused"
        self._transport = transport
        self._uploader = Uploader(objects)
        self._prefix = settings.topic_prefix
        self._keep_until_queryable = settings.keep == "clickhouse"
        self._asking: asyncio.Task[None] | None = None
        self._ask_at = 0.0
        self._actor = f"agent@{host_name()}"
        self._stay = stay
        self._skip_living = skip_living
        self._leave_after_s = leave_after_s
        self._on_round = on_round
        self._retry: dict[Path, float] = {}
        self._scan_at = 0.0
        self._rows_at = 0.0
        self._round_s = 0.0
        self._room = asyncio.Event()

    @property
    def uploader(self) -> Uploader:
        """Counts uploaded files and bytes."""
        return self._uploader

    def lag(self) -> dict[Path, int]:
        """Bytes of each writer's spool that are not read yet (what is preallocated included)."""
        return {directory: tail.unread_bytes for directory, tail in self.tails.items()}

    async def run(self, stop: asyncio.Event) -> None:
        """Ships until `stop` is set, or, without `stay`, until there is nothing left to wait for.

        Starts and closes the transport. After `stop`, what was read is given STOP_WITHIN_S to arrive; the rest stays in
        the spool. Raises AgentRunning when another process serves this directory, and whatever broke the transport.
        """
        await self._transport.start()
        try:
            while True:
                with AgentLock(self._lock) as lock:
                    try:
                        await self._serve(stop, lock)
                    finally:
                        await self._settle()
                # A process that found the lock held a moment ago relies on us.
                if stop.is_set() or not (self._stay or any(self._openable())):
                    return
        finally:
            await self._uploader.close()
            await self._transport.close()

    async def _serve(self, stop: asyncio.Event, lock: AgentLock) -> None:
        quiet_since: float | None = None
        while not stop.is_set():
            now = time.monotonic()
            if lock.is_lost:
                log.warning("%s is gone, with its directory or alone: what was read is let go", self._lock)
                return
            self._discover(now)
            behind = await self._round(stop)
            self._ask_what_is_queryable(now)
            self._keep()
            if self._on_round is not None:
                self._on_round()
            now = time.monotonic()
            if not self._stay and not self.tails:
                quiet_since = now if quiet_since is None else quiet_since
                if now - quiet_since >= self._leave_after_s:
                    return
            else:
                quiet_since = None
            if behind:
                await asyncio.sleep(0)
            else:
                await _wait(stop, self._pause(now))

    def _pause(self, now: float) -> float:
        """Seconds to the next look; many spools are looked at less often, so that waiting stays cheap."""
        if now - self._rows_at < BUSY_FOR_S:
            return min(MOST_PAUSE_S, max(POLL_S[0], 5 * self._round_s))
        return min(MOST_PAUSE_S, max(POLL_S[1], 100 * self._round_s))

    # -- spools

    def _openable(self) -> list[Path]:
        spools = list_spools(self._spool_dir)
        return [spool for spool in spools if spool not in self.unreadable and spool not in self.skipped]

    def _discover(self, now: float) -> None:
        if now < self._scan_at:
            return
        opened = 0
        for directory in list_spools(self._spool_dir):
            if directory not in self.tails and now >= self._retry.get(directory, 0.0):
                self._open(directory, now)
                opened += 1
                if opened == OPEN_AT_ONCE:
                    return
        took = time.monotonic() - now
        self._scan_at = now + min(MOST_PAUSE_S, max(SCAN_EVERY_S, 20 * took))

    def _open(self, directory: Path, now: float) -> None:
        try:
            if self._skip_living and (directory in self.skipped or _lives(directory)):
                self.skipped.add(directory)
                return
            self.tails[directory] = Tail(
                *(directory, self._send, self._uploader, self._actor, self._refused_dir),
                tells=isinstance(self._transport, TellsQueryable),
                keep=self._keep_until_queryable,
            )
        except (SpoolError, OSError) as error:
            self._give_up_for_now(directory, error, now)
        else:
            self.unreadable.pop(directory, None)
            self._rows_at = now

    def _give_up_for_now(self, directory: Path, error: Exception, now: float) -> None:
        """One spool that cannot be read must not stop the others."""
        if directory not in self.unreadable:
            self.counters.unreadable_spools += 1
            log.error("writer=%s cannot be read: %s; looking again every %.0f s", directory, error, RETRY_SPOOL_S)
        self.unreadable[directory] = str(error)
        self._retry[directory] = now + RETRY_SPOOL_S

    async def _round(self, stop: asyncio.Event) -> bool:
        """One look at every spool; whether one of them has much more to read."""
        behind = False
        began = time.monotonic()
        waited = 0.0
        for directory, tail in list(self.tails.items()):
            if self.counters.in_flight_bytes >= MAX_IN_FLIGHT_BYTES:
                before = time.monotonic()
                has_room = await self._has_room(stop)
                waited += time.monotonic() - before
                if not has_room:
                    break
            now = time.monotonic()
            try:
                size = tail.poll(now)
                tail.beat(now)
            except (SpoolError, OSError) as error:
                await self._drop(directory, error, now)
                continue
            if len(self.tails) > MAX_OPEN_FILES:
                tail.reader.close()
            if size:
                behind = behind or tail.behind
                self._rows_at = now
                await asyncio.sleep(0)
        # The next round begins with another spool, so that a full pipe is shared fairly.
        if len(self.tails) > 1:
            first = next(iter(self.tails))
            self.tails[first] = self.tails.pop(first)
        if not behind:
            self._round_s = time.monotonic() - began - waited
        return behind

    async def _has_room(self, stop: asyncio.Event) -> bool:
        self._room.clear()
        await _wait(self._room, 0.5)
        return self.counters.in_flight_bytes < MAX_IN_FLIGHT_BYTES and not stop.is_set()

    def _ask_what_is_queryable(self, now: float) -> None:
        asks = self._asking is not None and not self._asking.done()
        if asks or now < self._ask_at or not any(tail.waits_for_queries for tail in self.tails.values()):
            return
        self._ask_at = now + ASK_EVERY_S
        self._asking = asyncio.create_task(self._note_what_is_queryable())

    async def _note_what_is_queryable(self) -> None:
        assert isinstance(self._transport, TellsQueryable)
        try:
            committed = await self._transport.queryable()
        except Exception as error:  # noqa: BLE001 - whatever it is, the spools are kept and it is asked again
            log.warning("what is queryable cannot be asked: %s: %s", type(error).__name__, error)
            return
        for tail in self.tails.values():
            tail.passed(committed)

    def _keep(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        for directory, tail in list(self.tails.items()):
            if tail.keep(now, at_once=at_once):
                self._forget(directory)
                self.counters.finished_writers += 1

    async def _drop(self, directory: Path, error: Exception, now: float) -> None:
        tail = self.tails[directory]
        self._forget(directory)
        await tail.close()
        self._give_up_for_now(directory, error, now)

    def _forget(self, directory: Path) -> None:
        tail = self.tails.pop(directory)
        self.counters.points += tail.points
        self.counters.events += tail.events

    @property
    def points(self) -> int:
        """Points sent so far, of all writers."""
        return self.counters.points + sum(tail.points for tail in self.tails.values())

    @property
    def events(self) -> int:
        """Control events of the writers sent so far."""
        return self.counters.events + sum(tail.events for tail in self.tails.values())

    # -- sending

    def _send(self, kind: str, key: bytes, value: bytes) -> Sent:
        message = Message(f"{self._prefix}.{kind}", key, value)
        size = message.size
        self.counters.in_flight_bytes += size
        future = self._transport.send(message)
        future.add_done_callback(lambda done: self._sent(size, done))
        return future

    def _sent(self, size: int, done: Sent) -> None:
        self.counters.in_flight_bytes -= size
        self._room.set()
        if done.cancelled():
            return
        if done.exception() is None:
            self.counters.messages += 1
            self.counters.bytes += size
        else:
            self.counters.refused_messages += 1

    async def _settle(self) -> None:
        """What was read gets a little time to arrive; then all is let go."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        for tail in self.tails.values():
            with contextlib.suppress(OSError, SpoolError):
                tail.flush()
        deadline = time.monotonic() + STOP_WITHIN_S
        while self.counters.in_flight_bytes and (left := deadline - time.monotonic()) > 0:
            self._room.clear()
            await _wait(self._room, left)
        try:
            self._keep(at_once=True)
        finally:
            for tail in self.tails.values():
                await tail.close()
            for directory in list(self.tails):
                self._forget(directory)


def _lives(directory: Path) -> bool:
    with SpoolReader(directory) as reader:
        return not is_closed(directory) and reader.writer_alive()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
