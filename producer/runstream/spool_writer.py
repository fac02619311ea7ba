"""Writing a spool: rows and events packed into a mapped file, complete the moment the call returns."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import time
import uuid
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from time import time_ns
from typing import Any, NamedTuple, SupportsFloat

from runstream.identity import boot_id, host_name, pid_namespace, process_start
from runstream.notices import warn
from runstream.spool import (
    END,
    END_BODY,
    END_BYTES,
    EVENT,
    EVENT_BODY,
    FRAME,
    KEYS,
    MAX_EVENT_BYTES,
    RECORD,
    ROW,
    Position,
    SegmentHeader,
    aligned,
    hold_lock,
    segment_path,
    writer_dir,
)
from runstream.spool_records import KeySet, encoded, record, reserve
from runstream.spool_room import SPILL, NoRoom, OnFull, Room
from runstream.spool_shedding import gap_event

pack_frame = FRAME.pack
crc32 = zlib.crc32
CHECK_EVERY_US = 1_000_000
LOOK_AFTER_EVERY = 30
"""Checks, so about half a minute of logging."""
MAX_WAITING_BYTES = 64 << 20
"""Of events in memory for which there is no room on the disk."""
SAY_SHED_EVERY_S = 60.0
LAST_WORDS_BYTES = 4096
"""Kept free in each segment, so that a run can end properly on a full disk."""
FREE = bytes(4)


class _Staged(NamedTuple):
    """A new segment on its way into use, and the one it takes over from."""

    number: int
    temporary: Path
    data: mmap.mmap
    fd: int
    start: int
    size: int
    next_bytes: int
    old_map: mmap.mmap | None
    old_fd: int


class SpoolWriter:
    """One process's part of a run, as a directory of segments.

    Not thread-safe: its owner holds a lock around each call. `append_row` and `append_event` raise NoRoom
    when there is none; then nothing was written, sequences do not move, and a later call tries again, at most once a
    second. A call cut short by an exception from a signal handler leaves a whole spool.
    """

    def __init__(
        self,
        spool_dir: Path,
        *,
        run_id: uuid.UUID,
        writer_id: int,
        project: str,
        attempt: int,
        rank: int,
        segment_bytes: int,
        segment_max_bytes: int,
        max_bytes: int = 0,
        on_full: OnFull = SPILL,
        actor: str = "",
        allocate: Callable[[int, int], None] | None = None,
        look_after: Callable[[], None] | None = None,
    ) -> None:
        self.directory = writer_dir(spool_dir, run_id, writer_id)
        self.run_id = run_id
        self.writer_id = writer_id
        self.project = project
        self.attempt = attempt
        self.rank = rank
        self.row_seq = 0
        self.event_seq = 0
        self.last_us = 0
        self.lost_rows = 0
        """Rows that were in a segment file which somebody removed, or that were given up for newer ones."""
        self.skipped_rows = 0
        """Rows that were left out; see `skip_row`."""
        self.lost_events = 0
        """Events for which there was no room to the end."""
        self.closed = False
        self.on_check: Callable[[], None] | None = None
        """Called about once a second while rows come."""
        self._room = Room(
            self.directory,
            segment_bytes=segment_bytes,
            segment_max_bytes=segment_max_bytes,
            max_bytes=max_bytes,
            on_full=on_full,
            look_after=look_after,
        )
        self._actor = actor
        self._skipped_from = -1
        """Sequence of the first row that was left out since there was room last; -1: none was."""
        self._skipped_for = ""
        self._shed_rows = (0, 0)
        """First and end sequence of the stretch of rows given up last, and how far events have said so."""
        self._shed_said = 0
        self._shed_for = ""
        self._say_shed_at = 0.0
        self._allocate = allocate or reserve
        self._look_after = look_after
        self._checks = 0
        self._map: mmap.mmap | None = None
        self._staged: _Staged | None = None
        """A segment that is made and not yet in use; see `_adopt`."""
        self._fd = -1
        self._lock_fd = -1
        self._number = 0
        self._pos = 0
        self._limit = -1
        self._first_row_seq = 0
        self._check_at = 0
        self._waiting: list[dict[str, Any]] = []
        self._waiting_bytes = 0
        self._flushing = False
        self._in_segment: list[KeySet] = []

    @property
    def position(self) -> Position:
        """The place behind the last record."""
        return Position(self._number, self._pos, self.row_seq, self.event_seq)

    @property
    def written(self) -> int:
        """Rows that were written, without those that were left out."""
        return self.row_seq - self.skipped_rows

    @property
    def waiting_events(self) -> int:
        """Events in memory because there was no room for them; they go before the next record."""
        return len(self._waiting)

    def append_row(self, keys: KeySet, step: int, values: Iterable[SupportsFloat]) -> None:
        """Write one row. Raises struct.error for a value or step that does not fit, and then writes nothing."""
        now = time_ns() // 1000
        if now >= self._check_at:
            self._check(now)
        if now <= self.last_us:
            if now < self._check_at - CHECK_EVERY_US:  # the clock was set back
                self._check(now)
            now = self.last_us + 1
        row = keys.pack(keys.start, step, now, *values)
        pos = self._pos
        if pos > keys.last_offset:
            self._make_room_for_row(keys)
            pos = self._pos
        data: Any = self._map
        if data[pos + 8]:  # an exception hit between this write and the bookkeeping below
            self._catch_up()
            self.append_row(keys, step, values)
            return
        data[pos : pos + keys.size] = pack_frame(keys.length, crc32(row)) + row
        self._pos = pos + keys.size
        self.row_seq += 1
        self.last_us = now

    def append_event(self, body: dict[str, Any]) -> None:
        """Write one event, or keep it in memory until there is room.

        Raises ValueError for one of more than MAX_EVENT_BYTES, OSError when too many are kept already.
        """
        text = encoded(body)
        size = len(text)
        if size > MAX_EVENT_BYTES:
            raise ValueError(f"an event of more than {MAX_EVENT_BYTES} bytes: {body.get('type')}")
        if self._waiting:
            with contextlib.suppress(NoRoom):
                self._rotate(END_BYTES)
        if not self._waiting:
            with contextlib.suppress(NoRoom):
                self._put_event(body, text)
                return
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise self._room.refusal()
        self._waiting.append(body)
        self._waiting_bytes += size

    def skip_row(self, reason: str) -> None:
        """Leave out a row for which there was no room.

        It uses up a sequence, so that the gap shows on the run; the reason is recorded as soon as there is room.
        """
        if self._skipped_from < 0:
            self._skipped_from, self._skipped_for = self.row_seq, reason
        self.row_seq += 1
        self.skipped_rows += 1
        for keys in self._in_segment:  # a segment has no gaps inside: rows go on in the next one
            keys.last_offset = -1

    def note_skipped(self) -> None:
        """Record which rows are missing, before the last words: no row may follow. Raises as `append_event`."""
        for note in self._shed_note():
            self.append_event(note)
        if self._skipped_from >= 0:
            note, self._skipped_from = self._skipped(), -1
            self.append_event(note)

    def make_room(self) -> None:
        """Write down the events that wait. Raises NoRoom."""
        self._room.retry_now()
        self._rotate(END_BYTES)

    def flush_waiting(self) -> bool:
        """Whether no event waits in memory any more."""
        if self._waiting:
            with contextlib.suppress(NoRoom):
                self.make_room()
        return not self._waiting

    def close(self) -> None:
        """End the spool; unused space goes back to the disk. Raises NoRoom when it has no segment at all."""
        if self.closed:
            return
        if self._map is None or self._waiting:
            self._room.retry_now()
            try:
                self._rotate(END_BYTES)
            except NoRoom:
                if self._map is None:
                    raise
                self._put_last_words()
        self._put_end(1)
        self.closed = True
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self._pos)
        self.abandon()

    def abandon(self) -> None:
        """Let go of files and memory without a word in the spool, as a forked child must."""
        if self._staged is not None:
            staged, self._staged = self._staged, None
            if self._map is not staged.data:
                staged.data.close()
                os.close(staged.fd)
        if self._map is not None:
            self._map.close()
            self._map = None
        for fd in (self._fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock_fd = -1
        self._forget_keys()

    # -- records

    def _put(self, kind: int, argument: int, body: bytes, beyond: int = 0) -> None:
        """Write a record, up to `beyond` bytes into what each segment keeps free."""
        packed = record(kind, argument, body)
        if self._staged is not None:
            self._adopt()
        if self._map is None or self._pos + len(packed) > self._limit + beyond:
            self._rotate(len(packed))
        data: Any = self._map
        if data[self._pos + 8]:
            self._catch_up()
            self._put(kind, argument, body, beyond)
            return
        data[self._pos : self._pos + len(packed)] = packed
        self._pos += len(packed)
        self.event_seq += kind == EVENT

    def _put_event(self, body: dict[str, Any], text: bytes | None = None, beyond: int = 0) -> None:
        """`text`: what `encoded` makes of it, where that is known."""
        now = max(time_ns() // 1000, self.last_us + 1)
        self._put(EVENT, 0, EVENT_BODY.pack(now) + (text or encoded(body)), beyond)
        self.last_us = now

    def _put_last_words(self) -> None:
        """Of the events that wait, those that fit into what was kept free, the newest first of all."""
        room = LAST_WORDS_BYTES
        kept: list[dict[str, Any]] = []
        for body in reversed(self._waiting):
            room -= aligned(RECORD.size + EVENT_BODY.size + len(encoded(body)))
            if room < 0:
                break
            kept.insert(0, body)
        self.lost_events = len(self._waiting) - len(kept)
        self._waiting.clear()
        self._waiting_bytes = 0
        for body in kept:
            self._put_event(body, beyond=LAST_WORDS_BYTES)

    def _put_end(self, final: int) -> None:
        self._put(END, final, END_BODY.pack(self.row_seq, self.event_seq), beyond=LAST_WORDS_BYTES + END_BYTES)

    def _make_room_for_row(self, keys: KeySet) -> None:
        names = json.dumps(keys.metrics).encode()
        needed = aligned(RECORD.size + len(names)) + keys.size
        if self._staged is not None:
            self._adopt()
        written = keys.last_offset >= 0
        skipping = self._skipped_from >= 0
        if self._map is None or skipping or self._pos + (keys.size if written else needed) > self._limit:
            self._room.wait_for(lambda: self._rotate(needed))
        if keys.last_offset < 0:
            self._put(KEYS, keys.number, names)
            keys.last_offset = self._limit - keys.size
            self._in_segment.append(keys)

    def _catch_up(self) -> None:
        """Finish what an exception from a signal handler cut short."""
        self._step_over()
        if self._staged is not None:
            self._adopt()

    def _step_over(self) -> None:
        """Count the rows and events that are in the file but not in the counters."""
        data: Any = self._map
        while self._pos + RECORD.size < len(data):
            length, _, kind, _ = RECORD.unpack_from(data, self._pos)
            if length == 0 or kind == END:
                return
            if kind in (ROW, EVENT):
                where = self._pos + RECORD.size + (8 if kind == ROW else 0)
                self.last_us = max(self.last_us, EVENT_BODY.unpack_from(data, where)[0])
            self.row_seq += kind == ROW
            self.event_seq += kind == EVENT
            self._pos += aligned(FRAME.size + length)

    # -- segments

    def _check(self, now: int) -> None:
        """Once a second: has somebody removed the file under us? And now and then what `look_after` does."""
        self._check_at = now + CHECK_EVERY_US
        self._checks += 1
        if self._look_after is not None and self._checks % LOOK_AFTER_EVERY == 0:
            self._look_after()
        if self.on_check is not None:
            self.on_check()
        if self._fd >= 0 and os.fstat(self._fd).st_nlink == 0:
            lost = (self.row_seq if self._skipped_from < 0 else self._skipped_from) - self._first_row_seq
            self.lost_rows += lost
            warn(f"{self.directory} was removed with up to {lost} rows that may not have been sent; a new one is begun")
            self.abandon()

    def _rotate(self, needed: int) -> None:
        """Go on in a new segment with room for `needed` bytes, events that waited first."""
        now = time.monotonic()
        self._room.refuse_until_retry(now)
        try:
            if self._staged is None:
                self._room.stage(lambda: self._stage(needed), self._give_up_oldest)
            self._adopt()
        except OSError as error:
            raise self._room.denied(error, now) from error
        self._room.granted()
        if self._flushing:
            return  # what waits is larger than a segment; the outer call goes on with it
        try:
            self._flushing = True
            while self._waiting:
                self._put_event(self._waiting[0])
                self._waiting_bytes -= len(encoded(self._waiting.pop(0)))
            if self._skipped_from >= 0:
                self._put_event(self._skipped())
                self._skipped_from = -1
            if now >= self._say_shed_at:  # an event for each segment would keep each of them from being removed
                for note in self._shed_note():
                    self._say_shed_at = now + SAY_SHED_EVERY_S
                    self._put_event(note)
        finally:
            self._flushing = False

    def _skipped(self) -> dict[str, Any]:
        return gap_event(self.writer_id, self._skipped_from, self.row_seq, self._skipped_for, self._actor)

    def _give_up_oldest(self, error: OSError) -> bool:
        """Make room by giving up the oldest rows; False: there are none before this segment."""
        given_up = self._room.give_up_oldest(self._number)
        if given_up is None:
            return False
        first, end = given_up
        if end > first:
            self.lost_rows += end - first
            if self._shed_rows[1] != first:
                self._wait_with(self._shed_note())
                self._shed_rows, self._shed_said = (first, first), first
                self._say_shed_at = 0.0
            self._shed_rows = (self._shed_rows[0], end)
            self._shed_for = f"the oldest rows were given up: {error.strerror or error}"
        return True

    def _shed_note(self) -> list[dict[str, Any]]:
        """The event on the rows given up last, if it has something new to say."""
        first, end = self._shed_rows
        if self._shed_said == end:
            return []
        self._shed_said = end
        return [gap_event(self.writer_id, first, end, self._shed_for, self._actor)]

    def _wait_with(self, bodies: list[dict[str, Any]]) -> None:
        self._waiting += bodies
        self._waiting_bytes += sum(len(encoded(body)) for body in bodies)

    def _stage(self, needed: int) -> None:
        """Make the next segment with room for `needed` bytes. Raises OSError, and then nothing has changed."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._lock_fd < 0:
            self._lock_fd = hold_lock(self.directory)
        number = self._number + 1
        start = len(self._header(number))
        size = max(self._room.next_bytes, aligned(start + needed + END_BYTES + 2 * LAST_WORDS_BYTES))
        self._room.refuse_above_cap(size)
        path = segment_path(self.directory, number)
        temporary = path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            self._allocate(fd, size)
            data = mmap.mmap(fd, size)
            doubled = self._room.doubled_bytes
            self._staged = _Staged(number, temporary, data, fd, start, size, doubled, self._map, self._fd)
        except BaseException:
            if self._staged is None:
                os.close(fd)
                with contextlib.suppress(OSError):
                    temporary.unlink()
            raise

    def _adopt(self) -> None:
        """Go on in the staged segment.

        A signal handler's exception can end this between any two steps, and the writer is used again afterwards. So
        each step may be repeated, the old segment stays mapped to the end, and no row finds a place until all is done:
        every other method comes here first while a segment is staged.
        """
        assert self._staged is not None
        staged = self._staged
        if self._map is not staged.data:
            if self._map is not None:
                self._step_over()
            data: Any = staged.data
            data[: staged.start] = self._header(staged.number)
            if self._map is not None:
                end = record(END, 0, END_BODY.pack(self.row_seq, self.event_seq))
                self._map[self._pos : self._pos + len(end)] = end
            with contextlib.suppress(FileNotFoundError):  # renamed before the exception
                staged.temporary.rename(staged.temporary.with_suffix(".seg"))
            self._forget_keys()
            self._map = staged.data
        self._number, self._fd = staged.number, staged.fd
        self._pos, self._limit = staged.start, staged.size - END_BYTES - LAST_WORDS_BYTES
        self._first_row_seq = self.row_seq
        self._room.next_bytes = staged.next_bytes
        self._staged = None
        if staged.old_map is not None:
            staged.old_map.close()
            os.close(staged.old_fd)

    def _forget_keys(self) -> None:
        """Each segment stands alone: names are written again before their first row in the next."""
        for keys in self._in_segment:
            keys.last_offset = -1
        self._in_segment.clear()
        self._limit = -1

    def _header(self, number: int) -> bytes:
        pid = os.getpid()
        return SegmentHeader(
            run_id=self.run_id,
            writer_id=self.writer_id,
            segment=number,
            attempt=self.attempt,
            rank=self.rank,
            pid=pid,
            process_start=process_start(pid),
            pid_namespace=pid_namespace(),
            created_us=time_ns() // 1000,
            boot_id=boot_id(),
            first_row_seq=self.row_seq,
            first_event_seq=self.event_seq,
            project=self.project,
            host=host_name(),
        ).pack()
