"""Events that wait for staged files: sent one after the other, once the object store has what they name."""

from __future__ import annotations

import asyncio
import contextlib
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
    record: Awaited
    holds: Entry | None = None
    """What the cursor waits for where the record could not be written down."""
    sent: bool = False
    done: bool = False
    """It was acknowledged."""


class Awaiting:
    """What one writer's events wait for, in its order: so versions of an artifact appear as they were logged.

    `tells`: the transport tells what is queryable; else what it acknowledged is.
    """

    def __init__(self, directory: Path, ways: Ways, *, actor: str, tells: bool) -> None:
        self._directory = directory
        self._ways = ways
        self._actor = actor
        self._tells = tells
        found, damaged = awaited.load(directory)
        for path in damaged:
            log.error("writer=%s path=%s an event that was awaited cannot be read", directory, path)
        self._ones = {record.seq: _One(record) for record in found}
        self._place = awaited.sent(directory) if tells else None
        self._work: asyncio.Task[None] | None = None

    def __contains__(self, seq: int) -> bool:
        return seq in self._ones

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
        if record.seq not in self._ones:
            one = self._ones[record.seq] = _One(record)
            try:
                awaited.keep(self._directory, record)
            except OSError as error:
                log.warning("writer=%s awaited seq=%d: %s", self._directory, record.seq, error)
                one.holds = entry
                entry.waits += 1
        return self._said(record)

    def start(self) -> None:
        """Go on with what is not under way yet."""
        if self._work is None and any(not one.sent for one in self._ones.values()):
            self._work = asyncio.create_task(self._bring_all())
            self._work.add_done_callback(self._worked)

    def settle(self, saved: Position) -> None:
        """Let go of what is acknowledged and lies before the saved cursor: nobody will read its record again."""
        for seq, one in list(self._ones.items()):
            if one.done and seq < saved.event_seq:
                awaited.remove(self._directory, seq)
                if one.record.body.get("type") == STAGED:
                    shutil.rmtree(self._directory / one.record.body["stage"], ignore_errors=True)
                del self._ones[seq]

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
            with contextlib.suppress(asyncio.CancelledError):
                await self._work

    async def _bring_all(self) -> None:
        while waiting := [seq for seq, one in self._ones.items() if not one.sent]:
            await self._bring(self._ones[min(waiting)])

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._work = None
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            self._ways.failed(error)

    async def _bring(self, one: _One) -> None:
        record = one.record
        try:
            if record.body.get("type") == STAGED:
                kind, fields = LOGGED, await self._ways.upload(self._directory, record.body)
            else:
                fields = with_digest(self._directory, record.body)
                kind = fields.pop("type")
            value = events.encode(kind, {**self._ways.head(-1, record.time_us), **fields})
        except (StagedFileLost, EventNotEncodable) as error:
            self._lose(one, error)
            return
        one.sent = True
        self._ways.send(value).add_done_callback(lambda sent: self._acknowledge(one, sent, may_be_refused=True))

    def _lose(self, one: _One, error: Exception) -> None:
        """Keep what cannot be sent, and say that it will not come."""
        self._ways.put_aside(one.record, error)
        one.sent = True
        event = {**self._ways.head(-1, one.record.time_us), **self._said(one.record)}
        event["lost"] = str(error).replace(f"{self._directory}/", "")
        value = events.encode("EventAwaited", event)
        self._ways.send(value).add_done_callback(lambda sent: self._acknowledge(one, sent, may_be_refused=False))

    def _said(self, record: Awaited) -> dict[str, Any]:
        body = record.body
        if body.get("type") == STAGED:
            files, size = awaited.extent(self._directory, body)
            what = {"kind": LOGGED, "name": body["name"], "type": body["artifact_type"], "files": files, "size": size}
        else:
            what = {"kind": body["type"], "name": body["model"], "type": body["action"]}
        return {"actor": body.get("actor", "") or self._actor, **what}

    def _acknowledge(self, one: _One, sent: Sent, *, may_be_refused: bool) -> None:
        if sent.cancelled():
            return
        error = sent.exception()
        if isinstance(error, MessageRefused):
            if may_be_refused:  # the transport has kept it
                self._lose(one, error)
                return
        elif error is not None:
            self._ways.failed(error)
            return
        elif (place := sent.result()) is not None and self._tells:
            self._note(place)
        one.done = True
        if one.holds is not None:
            self._ways.release(one.holds)

    def _note(self, place: Place) -> None:
        self._place = place
        try:
            awaited.note_sent(self._directory, place)
        except OSError as error:  # then the next agent does not know that it has to be asked for
            log.warning("writer=%s %s: %s", self._directory, place, error)
