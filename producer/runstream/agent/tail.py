"""One writer's spool on its way out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runstream import awaited, events
from runstream.agent.arrivals import Arrivals
from runstream.agent.awaiting import Awaiting, Ways
from runstream.agent.deposits import MAX_WAITING, Content
from runstream.agent.ledger import Entry, Ledger
from runstream.agent.outboxes import Outboxes
from runstream.agent.uploads import MEDIA, Uploader, media_fields
from runstream.awaited import Awaited
from runstream.errors import EventNotEncodable, MessageRefused, SpoolError, SpoolVersionError, StagedFileLost
from runstream.frames import Frame, FrameBuilder
from runstream.messages import Place
from runstream.spool import Position, delete_acknowledged, delete_spool
from runstream.spool_cursor import Cursor
from runstream.spool_reader import EventRecord, MixedRows, RowBlock, SpoolReader
from runstream.spool_tracking import is_editor, is_tracked, is_worker
from runstream.staging import with_digest
from runstream.transport import Sent

log = logging.getLogger("runstream.agent")
READ_BYTES = 640 * 1024
"""Of the spool at once: what a full frame needs."""
GLANCE_BYTES = 64 * 1024
MERGE_S = 0.2
"""Rows wait at most so long for others to share their frame, and a writer that was quiet does not wait at all."""
ALIVE_EVERY_S = 0.25
SAVE_EVERY_S = 0.1
SAVE_AT_LEAST_EVERY_S = 5.0
BEAT_EVERY_S = 10.0
MAX_WAITING_BYTES = 8 << 20
"""Of control events behind media that are hashed; beyond that the writer's spool is not read on."""

PREEMPTED = "preempted:"
"""Begins the attribute by which a process says that its machine is being taken away; see `Run.preempting`."""

Send = Callable[[str, bytes, bytes], Sent]
"""Sends (topic kind `metrics`, `control` or `logs`, key, value)."""


class Tail:
    """Reads one writer's spool, sends it, and keeps its cursor.

    `tells`: the transport tells what is queryable; else what it acknowledged is. `keep`: the spool stays until it is
    queryable, also where its process did not ask for that. Opening raises SpoolError when the spool cannot be read.
    """

    def __init__(
        self,
        directory: Path,
        send: Send,
        uploader: Uploader,
        actor: str,
        refused_dir: Path,
        *,
        tells: bool = False,
        keep: bool = False,
    ) -> None:
        cursor = Cursor.load(directory)
        try:
            self.reader = SpoolReader(directory, cursor.position)
        except SpoolVersionError:
            raise
        except SpoolError as error:
            if cursor.position == Position():
                raise
            log.warning("writer=%s cursor does not fit (%s); sending again from the first segment", directory, error)
            # Who was ended, and how, stays: a second end at another time would be another end.
            cursor = Cursor(finished=cursor.finished, ending=cursor.ending, preempted=cursor.preempted)
            self.reader = SpoolReader(directory)
        self.directory = directory
        self._edits = is_editor(directory)
        """The writer edits from outside: no part of a run that lives or ends."""
        self.alive = True
        """Whether the writer's process ran when it was last looked at."""
        self.gone = False
        """The writer is gone and its spool is read to the end."""
        self.finished = cursor.finished
        """All is acknowledged, the end included."""
        self.behind = False
        """There is much more to read at once."""
        self.points = 0
        self.events = 0
        self.failure: BaseException | None = None
        self._send = send
        self._uploader = uploader
        self._actor = actor
        self._refused_dir = refused_dir
        self._header = self.reader.header
        self._key = str(self._header.run_id).encode()
        self._tells = tells
        self._keep = keep
        self._tracks = False
        self._preempted = cursor.preempted
        self._given_end = cursor.ending
        self._ledger = Ledger(cursor.position, cursor.counts, cursor.queryable, cursor.sent)
        self._look_whether_tracked()
        self._builder = FrameBuilder(self._header, cursor.counts)
        self._control: deque[tuple[EventRecord, Entry, int]] = deque()
        self._control_bytes = 0
        self._hashing: asyncio.Task[None] | None = None
        ways = Ways(
            upload=uploader.upload,
            send=lambda value: send("control", self._key, value),
            head=self._head,
            put_aside=self._keep_aside,
            release=self._ledger.done,
            failed=self._failed,
        )
        self._awaiting = Awaiting(directory, ways, cursor.position, actor=actor, tells=tells)
        self._stages: deque[tuple[Position, Path]] = deque()
        self._media_waiting = 0
        self._arrivals = Arrivals()
        self._ending: Entry | None = None
        self._ending_acknowledged = False
        self._ending_place: Place | None = None
        self._saved_position = cursor.position
        self._saved: tuple[object, ...] = (cursor.position, cursor.queryable, cursor.tracked)
        self._save_at = 0.0
        self._flushed_at = 0.0
        self._look_at = 0.0
        self._alive_us = 0
        """When the writer was last known to live."""
        self._beat_at = time.monotonic() + BEAT_EVERY_S
        self._beat: Sent | None = None
        self._chunk = GLANCE_BYTES
        self._outboxes = Outboxes(directory, lambda kind, value: send(kind, self._key, value), self._head)

    # -- reading

    def poll(self, now: float) -> int:
        """Reads once and sends what is due; about how many bytes there were. `now`: monotonic seconds."""
        self.behind = False
        self._awaiting.start()
        if self._arrivals.due(now):
            self._tell_arrivals(now)
        return self._poll(now) + self._outboxes.poll(now, writer_gone=self.gone)

    def _poll(self, now: float) -> int:
        if self.gone or self._control_bytes > MAX_WAITING_BYTES:
            return 0
        if self._media_waiting and self._uploader.deposits.waiting > MAX_WAITING:
            return 0
        if now >= self._look_at and not self.reader.closed:
            self._look_at = now + ALIVE_EVERY_S
            self.alive = self.reader.writer_alive()
            if self.alive:
                self._alive_us = time.time_ns() // 1000
            self._look_whether_tracked()
        start = before = self.reader.position
        damaged = len(self.reader.damaged_segments)
        records = self.reader.read_mixed(self._chunk)
        for number in self.reader.damaged_segments[damaged:]:
            log.error("writer=%s segment=%d is damaged; its rest is lost", self.directory, number)
        for record in records:
            if isinstance(record, EventRecord):
                self._alive_us = max(self._alive_us, record.time_us)
                self._take_event(record, before)
            else:
                self._alive_us = max(self._alive_us, record.last_us)
                self._take_rows(record)
            before = record.end
        if self._builder.pending_values and now - self._flushed_at >= MERGE_S:
            self._flush_rows(now)
        if not records and (self.reader.closed or not self.alive):
            self._reached_the_end()
        place = self.reader.position
        size = place.offset - start.offset if place.segment == start.segment else self._chunk
        self.behind = bool(records) and size >= GLANCE_BYTES // 2
        self._chunk = READ_BYTES if self.behind else GLANCE_BYTES
        return size

    def flush(self) -> None:
        """Sends what was read and waits for company."""
        now = time.monotonic()
        self._flush_rows(now)
        self._tell_arrivals(now)

    @property
    def unread_bytes(self) -> int:
        """Bytes on disk that are not read yet, what is preallocated included."""
        return 0 if self.gone or self.reader.closed else self.reader.unread_bytes()

    @property
    def pending_bytes(self) -> int:
        """Bytes in memory that wait here, besides those in flight."""
        return self._builder.pending_bytes + self._control_bytes

    def _take_rows(self, rows: RowBlock | MixedRows) -> None:
        frame = self._builder.add(rows)
        if frame is not None:
            self._send_frame(frame)

    def _flush_rows(self, now: float) -> None:
        self._flushed_at = now
        frame = self._builder.flush()
        if frame is not None:
            self._send_frame(frame)

    def _send_frame(self, frame: Frame) -> None:
        entry = self._ledger.add_frame(frame)
        self.points += frame.points
        self._deliver("metrics", frame.value, entry)

    def _deliver(self, topic: str, value: bytes, entry: Entry) -> None:
        self._send(topic, self._key, value).add_done_callback(lambda sent: self._acknowledge(entry, sent))

    def _acknowledge(self, entry: Entry, sent: Sent) -> None:
        if sent.cancelled():
            return
        error = sent.exception()
        if error is not None and not isinstance(error, MessageRefused):
            self.failure = error
        elif entry is self._ending and not (self.reader.closed or self.gone):
            # Who restarts between the ending and the END record must see the ending, or would call the run killed.
            self._ending_acknowledged = True
            self._ending_place = None if error is not None else sent.result()
        else:
            self._ledger.done(entry, None if error is not None else sent.result())

    # -- control events, in their order

    def _take_event(self, record: EventRecord, before: Position) -> None:
        if record.body.get("type") == "Attributes" and any(
            name.startswith(PREEMPTED) for name in record.body.get("values", ())
        ):
            self._preempted = True
        self._flush_rows(time.monotonic())
        entry = self._ledger.add_event(record.end)
        same = before.segment == record.end.segment
        size = record.end.offset - before.offset if same else 1024
        self._control.append((record, entry, size))
        self._control_bytes += size
        self._send_control()

    def _send_control(self) -> None:
        while self._control and self._hashing is None:
            record, entry, _ = self._control[0]
            kind = record.body.get("type")
            if kind == MEDIA:
                content = self._uploader.deposits.content_of_small(self._file_of(record))
                if content is None:
                    self._hashing = asyncio.create_task(self._hash_and_send(record, entry))
                    self._hashing.add_done_callback(self._hashed)
                    return
                self._pop_control()
                self._send_media(record, entry, content)
                continue
            self._pop_control()
            self._send_or_await(record, entry)

    def _send_or_await(self, record: EventRecord, entry: Entry) -> None:
        """What waits for files gives its place in the sequence to word of it, and is sent when they are stored."""
        if not awaited.waits(record.body):
            fields = with_digest(self.directory, record.body)
            self._send_event(str(fields.pop("type", "")), fields, record, entry)
            return
        said = self._awaiting.add(Awaited(record.seq, record.time_us, record.body), entry)
        self._send_event("EventAwaited", said, record, entry)
        self._awaiting.start()

    def _pop_control(self) -> None:
        _, _, size = self._control.popleft()
        self._control_bytes -= size

    async def _hash_and_send(self, record: EventRecord, entry: Entry) -> None:
        try:
            content = await self._uploader.deposits.content_of(self._file_of(record))
        except StagedFileLost as error:
            self._put_aside(record, entry, error)
        else:
            self._send_media(record, entry, content)

    def _send_media(self, record: EventRecord, entry: Entry, content: Content) -> None:
        """Send what names the content, and bring the content into the store in the background."""
        if not self._send_event("MediaLogged", media_fields(record.body, content), record, entry):
            return
        entry.waits = 3  # for both events to be acknowledged, and for the bytes
        self._stages.append((record.end, self.directory / record.body["stage"]))
        self._media_waiting += 1

        def stored(lost: StagedFileLost | None) -> None:
            self._media_waiting -= 1
            self._arrivals.add(content.sha256, entry, lost=lost is not None)
            if lost is None:
                self._ledger.done(entry)
            else:
                self._put_aside(record, entry, lost)

        self._uploader.deposits.store_later(self._file_of(record), content, stored)

    def _tell_arrivals(self, now: float) -> None:
        told, entries = self._arrivals.take(now)
        if not entries:
            return
        event = {**self._head(-1, time.time_ns() // 1000), "actor": self._actor, **told}

        def acknowledged(sent: Sent) -> None:
            for entry in entries:
                self._acknowledge(entry, sent)

        self._send("control", self._key, events.encode("MediaStored", event)).add_done_callback(acknowledged)

    def _file_of(self, record: EventRecord) -> Path:
        return Path(self.directory, record.body["stage"], record.body["file"])

    def _hashed(self, task: asyncio.Task[None]) -> None:
        self._hashing = None
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            self._failed(error)
            return
        self._pop_control()
        self._send_control()

    def _send_event(self, kind: str, fields: dict[str, Any], record: EventRecord, entry: Entry) -> bool:
        """Whether it could be sent; else it is put aside."""
        event = {**self._head(record.seq, record.time_us), **_with_numbers(fields)}
        try:
            value = events.encode(kind, event)
        except EventNotEncodable as error:
            self._put_aside(record, entry, error)
            return False
        if kind == "RunFinished":
            self._ending = entry
        self.events += 1
        self._deliver("control", value, entry)
        return True

    def _failed(self, error: BaseException) -> None:
        self.failure = error

    def _put_aside(self, record: EventRecord, entry: Entry, error: Exception) -> None:
        self._keep_aside(record, error)
        self._ledger.done(entry)

    def _keep_aside(self, record: EventRecord | Awaited, error: Exception) -> None:
        kept_at = self._refused_dir / f"{record.time_us}-{self.directory.name}-{record.seq}.json"
        kept_at.parent.mkdir(parents=True, exist_ok=True)
        kept_at.write_text(json.dumps(record.body))
        log.error("writer=%s seq=%d cannot be sent, kept_at=%s: %s", self.directory, record.seq, kept_at, error)

    def _head(self, seq: int, time_us: int) -> dict[str, Any]:
        header = self._header
        return {
            "project": header.project,
            "run_id": str(header.run_id),
            "writer_id": header.writer_id,
            "attempt": header.attempt,
            "rank": header.rank,
            "seq": seq,
            "time_us": time_us,
        }

    # -- the writer's life

    def beat(self, now: float) -> None:
        """Sends a heartbeat when one is due, the writer lives, and the last one has arrived."""
        if self._edits or not self.alive or self.reader.closed:
            return
        if now < self._beat_at or (self._beat and not self._beat.done()):
            return
        self._beat_at = now + BEAT_EVERY_S
        event = {
            **self._head(-1, time.time_ns() // 1000),
            "actor": self._actor,
            "metric_seq": self._ledger.position.row_seq,
            "spooled_bytes": self.unread_bytes,
        }
        self._beat = self._send("control", self._key, events.encode("Heartbeat", event))

    def _reached_the_end(self) -> None:
        if self.gone:
            return
        self.gone = True
        self._flush_rows(time.monotonic())
        place = self.reader.position
        if self._ending is not None:
            if self._ending_acknowledged:
                self._ledger.done(self._ending, self._ending_place)
        elif not (self._edits or self.reader.closed or self.finished) and (place.row_seq or place.event_seq):
            self._end_as_killed(place)

    def _end_as_killed(self, place: Position) -> None:
        """Ends the writer always in the same way: however often it is sent, also by a later agent, it is one end."""
        if self._given_end is None:
            log.info("writer=%s pid=%d is gone without finish()", self.directory, self._header.pid)
            # What was left long ago and is sent only now ended then.
            time_us = self._alive_us + 1 if self._alive_us else time.time_ns() // 1000
            if is_worker(self.directory):
                # Pools terminate their workers: what became of the run, the main process says.
                state, exit_code = "finished", 0
                reason = f"worker {self._header.pid} was ended; its run goes on without it"
            else:
                state, exit_code = "preempted" if self._preempted else "killed", -1
                reason = f"process {self._header.pid} is gone without finish()"
            self._given_end = {
                "state": state,
                "exit_code": exit_code,
                "reason": reason,
                "metric_seq": place.row_seq,
                "time_us": time_us,
            }
            self._save(time.monotonic(), finishes=False)
        fields = dict(self._given_end)
        record = EventRecord(-1, fields.pop("time_us"), {"type": "RunFinished", "actor": self._actor, **fields}, place)
        self._control.append((record, self._ledger.add_event(place), 0))
        self._send_control()

    # -- the cursor

    @property
    def idle(self) -> bool:
        """Whether all that was read has been sent and acknowledged; what is awaited has its place only."""
        return not (self._ledger or self._control or self._hashing or self._builder.pending_values)

    def keep(self, now: float, *, at_once: bool = False) -> bool:
        """Saves the cursor when it has moved and removes what is acknowledged; True: this spool needs no more care.

        A cursor that cannot be saved (disk full) stays behind; then some of it is sent again after a restart.
        """
        if self.failure is not None:
            raise self.failure
        if at_once:
            self._outboxes.save()
        if self.idle:
            self._ledger.read_up_to(self.reader.position)
        finishes = self.gone and self.idle and not self.finished and not self._awaiting
        moved = (self._ledger.position, self._queryable, self._tracks) != self._saved
        if (moved or finishes) and (now >= self._save_at or at_once or finishes):
            self._save(now, finishes)
        self._awaiting.settle(self._saved_position)
        if not self.finished:
            return False
        self._look_whether_tracked()
        if self.waits_for_queries or not self._outboxes.done:
            return False
        self.reader.close()
        delete_spool(self.directory)
        return True

    @property
    def waits_for_queries(self) -> bool:
        """Whether something is kept only until it is queryable."""
        waits = self._ledger.waits_for_queries or self._awaiting.waits_for_queries
        return self._tracks and self._tells and waits

    def passed(self, committed: Mapping[tuple[str, int], int]) -> None:
        """Everything before these offsets, by topic and partition, is in the database."""
        self._ledger.passed(committed)
        self._awaiting.passed(committed)

    @property
    def _queryable(self) -> Position:
        return self._ledger.queryable if self._tells else self._ledger.position

    def _look_whether_tracked(self) -> None:
        if not self._tracks and (not self._tells or self._keep or is_tracked(self.directory)):
            self._tracks = True
            self._ledger.track()
            self._saved = ()

    def _save(self, now: float, finishes: bool) -> None:
        position, queryable = self._ledger.position, self._queryable
        began = time.monotonic()
        cursor = Cursor(
            position=position,
            queryable=queryable,
            tracked=self._tracks,
            finished=finishes or self.finished,
            sent=self._ledger.sent,
            ending=self._given_end,
            preempted=self._preempted,
            counts=self._ledger.counts,
        )
        try:
            cursor.save(self.directory)
            delete_acknowledged(self.directory, queryable if self._tracks else position)
        except OSError as error:
            log.warning("writer=%s cursor: %s", self.directory, error)
            if self.directory.exists():
                self._save_at = now + 1.0
                return
            # Somebody removed the spool: what was sent is all that there will be of it.
        self._saved_position = position
        self._saved = (position, queryable, self._tracks)
        if finishes:
            self.finished = True
        # Many metrics make a large cursor: saving may take a twentieth of the time.
        self._save_at = now + min(SAVE_AT_LEAST_EVERY_S, max(SAVE_EVERY_S, 20 * (time.monotonic() - began)))
        while self._stages and self._stages[0][0] <= position:
            shutil.rmtree(self._stages.popleft()[1], ignore_errors=True)

    async def close(self) -> None:
        """Lets go of the spool; uploads under way begin again with the next agent."""
        await self._awaiting.close()
        if self._hashing is not None:
            self._hashing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._hashing
        self._outboxes.close()
        self.reader.close()


def _with_numbers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers that JSON cannot hold are spooled as "NaN", "Infinity" and "-Infinity"."""
    values = fields.get("values")
    if not isinstance(values, list):
        return dict(fields)
    numbers = [
        {**value, "number": float(n)} if isinstance(n := value.get("number"), str) else value for value in values
    ]
    return {**fields, "values": numbers}
