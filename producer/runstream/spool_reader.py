"""Reading a spool, while it is written or after its writer is gone."""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import zlib
from itertools import chain
from pathlib import Path
from typing import Any, cast

from runstream.errors import SpoolError
from runstream.spool import (
    END,
    EVENT,
    EVENT_BODY,
    FRAME,
    KEYS,
    RECORD,
    ROW,
    ROW_BODY,
    Position,
    SegmentHeader,
    aligned,
    read_header,
    segment_numbers,
    segment_path,
    writer_lives,
)

_ROW = struct.Struct("<IIQqq")
"""What stands before the values of a row: length, CRC, kind and key set as one number, step, time."""
_SAME_IN_A_ROW = 64
"""After so many rows of one key set, whole columns are faster than row by row."""
MAX_MIXED_KEY_SETS = 64
MAX_MIXED_NAME_BYTES = 64 * 1024
"""Of key sets that are read together, so that they fit one message."""


@dataclasses.dataclass(frozen=True, slots=True)
class RowBlock:
    """Consecutive rows with the same metrics: row i has the sequence `first_seq + i`."""

    metrics: tuple[str, ...]
    first_seq: int
    n: int
    steps: list[int]
    times_us: list[int]
    values: bytes
    """n x len(metrics) little-endian doubles, row-major: the body of an Avro `array<double>` block as it is."""
    end: Position
    """Where the reader stands once this block is dealt with."""

    @property
    def last_us(self) -> int:
        return self.times_us[-1]


@dataclasses.dataclass(frozen=True, slots=True)
class RowPart:
    """The rows of one key set among MixedRows: row i has the sequence `first_seq + at[i]`."""

    metrics: tuple[str, ...]
    at: list[int]
    steps: list[int]
    times_us: list[int]
    values: bytes

    @property
    def n(self) -> int:
        return len(self.at)


@dataclasses.dataclass(frozen=True, slots=True)
class MixedRows:
    """Consecutive rows of key sets that alternate: `n` rows from `first_seq` on, by key set."""

    first_seq: int
    n: int
    parts: tuple[RowPart, ...]
    last_us: int
    """Time of the last row."""
    end: Position


@dataclasses.dataclass(frozen=True, slots=True)
class EventRecord:
    """A control event: `body["type"]` is its kind, the rest its fields without those of the header."""

    seq: int
    time_us: int
    body: dict[str, Any]
    end: Position


@dataclasses.dataclass(frozen=True, slots=True)
class _KeySet:
    metrics: tuple[str, ...]
    stride: int
    """Bytes of a row's record: rows of one key set lie at this constant distance."""
    start: int
    """Kind and key set of each row as one number."""
    checked: struct.Struct
    values: struct.Struct
    name_bytes: int

    @classmethod
    def of(cls, number: int, metrics: tuple[str, ...]) -> _KeySet:
        values = 8 * len(metrics)
        stride = RECORD.size + ROW_BODY.size + values
        checked = struct.Struct(f"<{FRAME.size}x{stride - FRAME.size}s")
        row = struct.Struct(f"<{_ROW.size}x{values}s")
        return cls(metrics, stride, ROW | number << 32, checked, row, sum(map(len, metrics)))

    def whole_rows(self, data: memoryview) -> int:
        """How many whole rows of this key set stand at the start of `data`.

        Row by row in Python would take longer than the rest of reading, so whole columns are compared at once, in
        windows that grow, so that a few rows do not make each one look at all that follows.
        """
        total, rows, window = 0, len(data) // self.stride, 2
        while total < rows:
            size = min(window, rows - total)
            n = self._whole_rows(data[total * self.stride : (total + size) * self.stride])
            total += n
            if n < size:
                break
            window *= 8
        return total

    def _whole_rows(self, data: memoryview) -> int:
        width = self.stride // 8
        words, halves = data.cast("q"), data.cast("I")
        n = _leading(words[1::width].tolist(), self.start)
        n = min(n, _leading(halves[:: 2 * width].tolist(), self.stride - FRAME.size))
        stored = halves[1 :: 2 * width].tolist()[:n]
        computed = list(map(zlib.crc32, chain.from_iterable(self.checked.iter_unpack(data[: n * self.stride]))))
        if computed == stored:
            return n
        return next(i for i in range(n) if computed[i] != stored[i])

    def block(self, data: memoryview, first_seq: int, end: Position) -> RowBlock:
        words = data.cast("q")
        values = b"".join(chain.from_iterable(self.values.iter_unpack(data)))
        width = self.stride // 8
        steps, times_us = words[2::width].tolist(), words[3::width].tolist()
        return RowBlock(self.metrics, first_seq, len(steps), steps, times_us, values, end)


class _Gathering:
    """Rows of one key set among those of others, while they are read."""

    __slots__ = ("at", "keys", "length", "steps", "stride", "times_us", "values")

    def __init__(self, keys: _KeySet) -> None:
        self.keys = keys
        self.stride = keys.stride
        self.length = keys.stride - FRAME.size
        self.at: list[int] = []
        self.steps: list[int] = []
        self.times_us: list[int] = []
        self.values: list[bytes] = []

    def part(self) -> RowPart:
        return RowPart(self.keys.metrics, self.at, self.steps, self.times_us, b"".join(self.values))


def _leading(numbers: list[int], wanted: int) -> int:
    """How many of the first `numbers` are `wanted`."""
    if numbers.count(wanted) == len(numbers):
        return len(numbers)
    return next(i for i, number in enumerate(numbers) if number != wanted)


class SpoolReader:
    """Reads one writer's spool in order, from `position` on.

    A reader sees a snapshot: a record that the writer is just putting down is not complete yet and comes with a later
    `read()`. Opening raises SpoolError when there is no segment with a whole header or no record at `position`, and
    SpoolVersionError when the spool is of a newer format.
    """

    def __init__(self, directory: Path, position: Position | None = None) -> None:
        self.directory = directory
        numbers = segment_numbers(directory)
        if not numbers:
            raise SpoolError(directory, "holds no segments")
        self.closed = False
        """Whether the writer's last record has been read."""
        self.damaged_segments: list[int] = []
        """Segments left before their end, because a record in them is torn or damaged."""
        self._fd = -1
        self._keys: dict[int, _KeySet] = {}
        if position is None or position.segment < numbers[0]:
            self._enter(numbers[0])
        else:
            self._enter(position.segment)
            self._skip_to(position)

    def __enter__(self) -> SpoolReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; reading goes on where it stood."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def writer_alive(self) -> bool:
        """Whether the process that writes this spool still runs; a closed spool has none."""
        return not self.closed and writer_lives(self.directory, self.header)

    def unread_bytes(self) -> int:
        """Bytes of records and free space behind the position, at most the size of the remaining segments."""
        total = -self.position.offset
        for number in segment_numbers(self.directory):
            if number >= self.position.segment:
                total += segment_path(self.directory, number).stat().st_size
        return max(0, total)

    def read(self, max_bytes: int = 1 << 20) -> list[RowBlock | EventRecord]:
        """What follows, in order, from about `max_bytes` of the spool; empty: nothing (more) is there now.

        A block is also cut where `max_bytes` end. To learn that nothing will ever follow, ask `writer_alive()` first
        and read after that: an empty answer then means the end (or `closed`).
        """
        # Only `read_mixed` makes MixedRows.
        return cast("list[RowBlock | EventRecord]", self._read(max_bytes, mixed=False))

    def read_mixed(self, max_bytes: int = 1 << 20) -> list[RowBlock | MixedRows | EventRecord]:
        """As `read`, but rows of key sets that alternate come together: much faster where they do."""
        return self._read(max_bytes, mixed=True)

    def _read(self, max_bytes: int, *, mixed: bool) -> list[RowBlock | MixedRows | EventRecord]:
        while not self.closed:
            before = self.position
            records = self._parse(self._chunk(max_bytes), mixed=mixed)
            if records:
                return records
            if self.position == before and not self._go_on():
                break
        return []

    # -- segments

    def _enter(self, number: int) -> None:
        path = segment_path(self.directory, number)
        try:
            header, start = read_header(path)
        except OSError as error:
            raise SpoolError(path, f"cannot be read: {error}") from error
        self.close()
        self.header: SegmentHeader = header
        self._keys = {}
        self._ended = False
        self._read_again = True
        self.position = Position(number, start, header.first_row_seq, header.first_event_seq)

    def _go_on(self) -> bool:
        """Enter the next segment when this one has no more; False: there is nothing to go on to yet."""
        here = self.position
        following = [number for number in segment_numbers(self.directory) if number > here.segment]
        if not following:
            return False
        if not self._ended and self._read_again:
            # The writer opens a segment after its last record in the one before, which may be newer than our snapshot.
            self._read_again = False
            return True
        ended = self._ended
        self._enter(following[0])
        if not ended and (here.row_seq, here.event_seq) != self.position[2:]:
            self.damaged_segments.append(here.segment)
        return True

    def _skip_to(self, position: Position) -> None:
        """Take up `position` in the segment just entered, with the key sets that stand before it."""
        start = self.position.offset
        data = self._bytes_at(start, max(0, position.offset - start))
        at, row_seq, event_seq = 0, *self.position[2:]
        while at + RECORD.size <= len(data):
            length, _, kind, argument = RECORD.unpack_from(data, at)
            if length < FRAME.size:
                break
            if kind == KEYS:
                self._learn(argument, tuple(json.loads(data[at + RECORD.size : at + FRAME.size + length])))
            at += aligned(FRAME.size + length)
            self._ended = kind == END
            self.closed = kind == END and argument == 1
            row_seq += kind == ROW
            event_seq += kind == EVENT
        if not position.offset:
            return
        found = Position(position.segment, start + at, row_seq, event_seq)
        if found != position:  # of another file: damaged, or one whose rows its writer gave up
            raise SpoolError(segment_path(self.directory, position.segment), f"no record of {position}")
        self.position = position

    def _bytes_at(self, offset: int, size: int) -> bytes:
        if self._fd < 0:
            self._fd = os.open(segment_path(self.directory, self.position.segment), os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._fd, size, offset)

    def _chunk(self, max_bytes: int) -> bytes:
        """A snapshot of what follows; longer than `max_bytes` only when a single record is."""
        offset = self.position.offset
        try:
            data = self._bytes_at(offset, max(RECORD.size, max_bytes))
        except FileNotFoundError:
            if segment_numbers(self.directory)[-1:] <= [self.position.segment]:
                raise
            self._ended = True  # its writer gave this segment up
            return b""
        if len(data) < RECORD.size:
            return b""
        size = FRAME.size + FRAME.unpack_from(data)[0]
        if size > len(data) and offset + size <= os.fstat(self._fd).st_size:
            data = self._bytes_at(offset, size)
        return data

    # -- records

    def _parse(self, data: bytes, *, mixed: bool) -> list[RowBlock | MixedRows | EventRecord]:
        """The whole records at the start of `data`; moves the position behind them."""
        out: list[RowBlock | MixedRows | EventRecord] = []
        view = memoryview(data)
        at, stretch = 0, False
        segment, base, row_seq, event_seq = self.position
        while at + RECORD.size <= len(data) and not self._ended:
            length, crc, kind, argument = RECORD.unpack_from(data, at)
            end = at + FRAME.size + length
            if length < FRAME.size or end > len(data):
                break
            if kind == ROW:
                if mixed and not stretch:
                    rows, parts, stop, last_us, stretch = self._mixed(data, at)
                    if len(parts) > 1:
                        row_seq += rows
                        here = Position(segment, base + stop, row_seq, event_seq)
                        out.append(MixedRows(row_seq - rows, rows, parts, last_us, here))
                        at = stop
                        continue
                stretch = False
                keys = self._keys.get(argument)
                n = 0 if keys is None else keys.whole_rows(view[at:])
                if keys is None or n == 0:
                    break
                stop = at + n * keys.stride
                row_seq += n
                here = Position(segment, base + stop, row_seq, event_seq)
                out.append(keys.block(view[at:stop], row_seq - n, here))
                at = stop
                continue
            if zlib.crc32(view[at + FRAME.size : end]) != crc:
                break
            body = data[at + RECORD.size : end]
            at = aligned(end)
            if kind == KEYS:
                self._learn(argument, tuple(json.loads(body)))
            elif kind == EVENT:
                event_seq += 1
                (time_us,) = EVENT_BODY.unpack_from(body)
                here = Position(segment, base + at, row_seq, event_seq)
                out.append(EventRecord(event_seq - 1, time_us, json.loads(body[EVENT_BODY.size :]), here))
            elif kind == END:
                self._ended = True
                self.closed = argument == 1
        self.position = Position(segment, base + at, row_seq, event_seq)
        return out

    def _mixed(self, data: bytes, at: int) -> tuple[int, tuple[RowPart, ...], int, int, bool]:
        """The rows from `at` on, one by one, up to a long stretch of one key set.

        How many they are, the rows by key set (nothing is made of a single one), their end, the time of the last one,
        and whether such a stretch was found.
        """
        found: dict[int, _Gathering] = {}
        size, row, crc32 = len(data), _ROW, zlib.crc32
        n = same = name_bytes = last_us = last = 0
        stretch = False
        while at + _ROW.size <= size:
            length, crc, start, step, time_us = row.unpack_from(data, at)
            part = found.get(start)
            if part is None:
                keys = self._keys.get(start >> 32) if start & 0xFFFFFFFF == ROW else None
                if keys is None:
                    break
                name_bytes += keys.name_bytes
                if found and (name_bytes > MAX_MIXED_NAME_BYTES or len(found) >= MAX_MIXED_KEY_SETS):
                    break
                part = _Gathering(keys)
            end = at + part.stride
            if length != part.length or end > size or crc32(data[at + FRAME.size : end]) != crc:
                break
            if start != last:
                found[start] = part
                last, same = start, 0
            elif (same := same + 1) >= _SAME_IN_A_ROW:
                stretch = True
                break
            part.at.append(n)
            part.steps.append(step)
            part.times_us.append(time_us)
            part.values.append(data[at + row.size : end])
            last_us = time_us
            n += 1
            at = end
        parts = tuple(part.part() for part in found.values()) if len(found) > 1 else ()
        return n, parts, at, last_us, stretch

    def _learn(self, number: int, metrics: tuple[str, ...]) -> None:
        self._keys[number] = _KeySet.of(number, metrics)
