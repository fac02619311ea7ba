"""Events that wait for staged files: sent one after the other, once the object store has what they name."""

from __future__ import annotations

import asyncio
import heapq
import logging
import shutil
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from runstream import awaited, events
from runstream.agent.ledger import Entry
from runstream.awaited import STAGED, Awaited
from runstream.errors import EventNotEncodable, MessageRefused, StagedFileLost
from runstream.messages import Place
from runstream.spool import Position
from runstream.staging import with_digest
from runstream.transport import Sent

log = logging.getLogger("runstream.agent")
LOGGED = "ArtifactLogged"
MAX_UNACKNOWLEDGED_BYTES = 1 << 20
"""Of one writer's events that were awaited; beyond that the next one waits, whatever became ready meanwhile."""
READ_AGAIN_S = 30.0


class Ways(NamedTuple):
    """What becomes of the events, in the hands of who reads the spool."""

    upload: Callable[[Path, dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]
    """Brings the files of an ArtifactStaged of the writer's directory into the store; the fields of its event."""
    send: Callable[[bytes], Sent]
    head: Callable[[int, int], dict[str, Any]]
    """The fields of the header for a place and a time."""
    put_aside: Callable[[Awaited, Exception], None]
    """Keeps a record that cannot be sent."""
    release: Callable[[Entry], None]
    """The cursor need not wait for it any more."""
    failed: Callable[[BaseException], None]
    """Told of what must stop this spool."""


@dataclass(slots=True, eq=False)
class _One:
    seq: int
    record: Awaited | None = None
    """None: it is written down, and read when its turn comes, so that many cost no memory."""
    stage: str = ""
    """What can go once it is acknowledged."""
    holds: Entry | None = None
    """What the cursor waits for where the record could not be written down."""
    sent: bool = False


class Awaiting:
    """What one writer's events wait for, in its order: so versions of an artifact appear as they were logged.

    `saved`: the cursor. `tells`: the transport tells what is queryable; else what it acknowledged is.
    """

    def __init__(self, directory: Path, ways: Ways, saved: Position, *, actor: str, tells: bool) -> None:
        self._directory = directory
        self._ways = ways
        self._saved = saved
        self._actor = actor
        self._tells = tells
        self._turns = awaited.kept(directory)
        """A heap of those that are not under way."""
        self._ones = {seq: _One(seq) for seq in self._turns}
        self._done: list[int] = []
        """A heap of those that are acknowledged."""
        self._place = awaited.sent(directory) if tells else None
        self._unacknowledged = 0
        self._has_room = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    def __bool__(self) -> bool:
        """Whether something is awaited."""
        return bool(self._ones)

    @property
    def waits_for_queries(self) -> bool:
        """Whether something that was sent is not known to be queryable."""
        return self._place is not None

    def add(self, record: Awaited, entry: Entry) -> dict[str, Any]:
        """Take care of `record`; the fields of the EventAwaited that takes its place.

        `entry` is that of its place; it waits for the whole where the record cannot be written down (disk full).
        """
        one = self._ones.get(record.seq)
        if one is None:
            one = self._ones[record.seq] = _One(record.seq)
            self._keep(one, record, entry)
            if not self._goes_at_once(one, record):
                heapq.heappush(self._turns, record.seq)
        elif not one.sent:  # by an agent that died; what it wrote may be torn
            self._keep(one, record, entry)
        return self._said(record)

    def start(self) -> None:
        """Go on with what is not under way yet."""
        if self._work is None and self._turns:
            self._work = asyncio.create_task(self._bring_all())
            self._work.add_done_callback(self._worked)

    def settle(self, saved: Position) -> None:
        """Let go of what is acknowledged and lies before the saved cursor: nobody will read its record again."""
        self._saved = saved
        while self._done and self._done[0] < saved.event_seq:
            one = self._ones.pop(heapq.heappop(self._done))
            awaited.remove(self._directory, one.seq)
            if one.stage:
                shutil.rmtree(self._directory / one.stage, ignore_errors=True)

    def passed(self, committed: Mapping[tuple[str, int], int]) -> None:
        """Everything before these offsets, by topic and partition, is in the database."""
        place = self._place
        if place is not None and place.offset < committed.get((place.topic, place.partition), 0):
            self._place = None
            awaited.forget_sent(self._directory)

    async def close(self) -> None:
        """Let go; the next agent begins again with what was not acknowledged."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    def _keep(self, one: _One, record: Awaited, entry: Entry) -> None:
        try:
            awaited.keep(self._directory, record)
        except OSError as error:
            log.warning("writer=%s awaited seq=%d: %s", self._directory, record.seq, error)
            one.record, one.holds = record, entry
            entry.waits += 1

    def _goes_at_once(self, one: _One, record: Awaited) -> bool:
        """What means a version whose files are stored need not wait for those of the next one."""
        if record.body.get("type") == STAGED:
            return False
        try:
            self._send_edit(one, record)
        except (StagedFileLost, EventNotEncodable):
            return False
        return True

    async def _bring_all(self) -> None:
        while self._turns:
            while self._unacknowledged >= MAX_UNACKNOWLEDGED_BYTES:
                self._has_room.clear()
                await self._has_room.wait()
            one = self._ones[heapq.heappop(self._turns)]
            record = one.record or await self._read(one)
            if record is not None:
                await self._bring(one, record)

    async def _read(self, one: _One) -> Awaited | None:
        """None: there is no record that could be sent, and no more to do for it."""
        while True:
            try:
                return awaited.read(self._directory, one.seq)
            except (FileNotFoundError, ValueError) as error:
                self._cannot_be_read(one, error)
                return None
            except OSError as error:
                log.warning("writer=%s seq=%d: %s; again in %.0f s", self._directory, one.seq, error, READ_AGAIN_S)
                await asyncio.sleep(READ_AGAIN_S)

    def _cannot_be_read(self, one: _One, error: Exception) -> None:
        """Somebody removed what was written down, or the machine died before the disk had it."""
        if one.seq >= self._saved.event_seq:
            del self._ones[one.seq]  # the spool has it, and is read from there
            return
        self._ways.put_aside(Awaited(one.seq, 0, {"damaged": awaited.damaged_text(self._directory, one.seq)}), error)
        self._over(one)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._work = None
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            self._ways.failed(error)

    async def _bring(self, one: _One, record: Awaited) -> None:
        try:
            if record.body.get("type") != STAGED:
                self._send_edit(one, record)
                return
            one.stage = record.body["stage"]
            fields = await self._ways.upload(self._directory, record.body)
            value = events.encode(LOGGED, {**self._ways.head(-1, record.time_us), **fields})
        except (StagedFileLost, EventNotEncodable) as error:
            self._ways.put_aside(record, error)
            self._lose(one, record, error)
        else:
            self._send(one, record, value)

    def _send_edit(self, one: _One, record: Awaited) -> None:
        """Raises StagedFileLost while the version that it means is not stored."""
        fields = with_digest(self._directory, record.body)
        kind = fields.pop("type")
        self._send(one, record, events.encode(kind, {**self._ways.head(-1, record.time_us), **fields}))

    def _lose(self, one: _One, record: Awaited, error: Exception) -> None:
        """Say that it will not come."""
        why = str(error).replace(f"{self._directory}/", "").encode("utf-8", "replace").decode()
        event = {**self._ways.head(-1, record.time_us), **self._said(record), "lost": why}
        self._send(one, None, events.encode("EventAwaited", event))

    def _send(self, one: _One, record: Awaited | None, value: bytes) -> None:
        """`record`: what is lost when the broker refuses the message."""
        one.sent, one.record = True, None
        self._unacknowledged += len(value)
        size = len(value)
        self._ways.send(value).add_done_callback(lambda sent: self._acknowledge(one, record, size, sent))

    def _said(self, record: Awaited) -> dict[str, Any]:
        body = record.body
        if body.get("type") == STAGED:
            files, size = awaited.extent(self._directory, body)
            what = {"kind": LOGGED, "name": body["name"], "type": body["artifact_type"], "files": files, "size": size}
        else:
            what = {"kind": body["type"], "name": body["model"], "type": body["action"]}
        return {"actor": body.get("actor", "") or self._actor, **what}

    def _acknowledge(self, one: _One, record: Awaited | None, size: int, sent: Sent) -> None:
        if sent.cancelled():
            return
        self._unacknowledged -= size
        self._has_room.set()
        error = sent.exception()
        if isinstance(error, MessageRefused):
            if record is not None:  # the transport has kept it
                self._lose(one, record, error)
                return
        elif error is not None:
            self._ways.failed(error)
            return
        elif (place := sent.result()) is not None and self._tells:
            self._note(place)
        self._over(one)

    def _over(self, one: _One) -> None:
        heapq.heappush(self._done, one.seq)
        if one.holds is not None:
            self._ways.release(one.holds)

    def _note(self, place: Place) -> None:
        self._place = place
        try:
            awaited.note_sent(self._directory, place)
        except OSError as error:  # then the next agent does not know that it has to be asked for
            log.warning("writer=%s %s: %s", self._directory, place, error)
