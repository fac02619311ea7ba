"""Metric frames as numpy columns, straight from the bytes of the message.

`read_frame` reads the one schema that today's clients write; frames of any other version go through
`runstream.events.decode` and `frame_of`. Both give the same `Frame`; a property test holds them equal, bit for bit.
Nothing here allocates more than the message can fill: a length is compared with the bytes that are left first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from runstream import events
from runstream_ingest.errors import MessageUnusable
from runstream_ingest.limits import check_header
from runstream_ingest.records import Record
from runstream_ingest.varints import Longs, read_long, read_longs, truncated

MAX_METRICS = 100_000
"""In one frame, all its blocks together."""
MAX_BLOCKS = 4_096
MAX_NAME_BYTES = 1_024
MAX_CACHED_BYTES = 64 << 20
Doubles = NDArray[np.float64]
Counts = tuple[Longs, Longs, Longs]


class Origin(NamedTuple):
    """Who wrote a frame; `run` is the UUID as a number."""

    project: bytes
    run: int
    writer: int
    attempt: int
    rank: int


class KeySet:
    """The metric names of a block, UTF-8, in its order; `order` sorts them by their bytes, None: they are sorted."""

    __slots__ = ("first", "names", "order", "raw")

    def __init__(self, names: tuple[bytes, ...], raw: bytes) -> None:
        self.names = names
        self.raw = raw
        self.first = min(names, default=b"")
        order = sorted(range(len(names)), key=names.__getitem__)
        self.order = None if order == list(range(len(names))) else np.array(order, np.intp)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one set of metrics in a frame: `steps` and `times_us` have N values, `values` is N x M."""

    at: Longs | None
    """Places of the rows in the frame, strictly increasing; None: all rows of the frame, in order."""
    keys: KeySet
    steps: Longs
    times_us: Longs
    values: Doubles
    counts: Counts | None
    """Cumulative n, n_nan, n_inf of each metric through the last row; None when the client did not count."""

    def cut(self, start: int, end: int) -> Rows | None:
        """The rows at the places `start` to `end` - 1 of the frame, counted from `start`; None: there are none.

        The counts stay: what was counted through a later row is durable with it, or was when that row came before.
        """
        at = self.at
        low, high = (start, end) if at is None else (int(i) for i in np.searchsorted(at, (start, end)))
        if low >= high:
            return None
        here = slice(low, high)
        places = None if at is None else at[here] - start
        return Rows(places, self.keys, self.steps[here], self.times_us[here], self.values[here], self.counts)


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows `first_seq` to `first_seq + rows - 1` of one writer; each lies in one of the blocks."""

    record: Record
    origin: Origin
    first_seq: int
    rows: int
    blocks: tuple[Rows, ...]

    @property
    def points(self) -> int:
        return sum([block.values.size for block in self.blocks])

    def trimmed(self, first: int, end: int) -> Frame:
        """The rows with the sequences `first` to `end` - 1, as far as this frame has them, as a frame of their own."""
        first, end = max(first, self.first_seq), min(end, self.first_seq + self.rows)
        start, stop = first - self.first_seq, max(end, first) - self.first_seq
        blocks = (block.cut(start, stop) for block in self.blocks)
        return Frame(self.record, self.origin, first, stop - start, tuple(b for b in blocks if b is not None))


class FrameReader:
    """Reads frames and remembers the key sets of the writers it met, which nearly every frame repeats."""

    def __init__(self) -> None:
        self.header = events.registry().latest["MetricFrame"].header
        self._by_raw: dict[bytes, KeySet] = {}
        self._by_names: dict[tuple[bytes, ...], KeySet] = {}
        self._last: dict[int, list[KeySet]] = {}
        """The key sets of a writer's last frame, which the next one mostly repeats."""
        self._runs: dict[bytes, int] = {}
        self._cached_bytes = 0

    def read(self, data: bytes, record: Record) -> Frame:
        """The frame in `data`, the value of `record`, which begins with `header`. Raises MessageUnusable."""
        size = len(data)
        project, at = self._text(data, 10, "project")
        run_text, at = self._text(data, at, "run_id")
        writer, at = read_long(data, at)
        attempt, at = read_long(data, at)
        rank, at = read_long(data, at)
        first_seq, at = read_long(data, at)
        rows, at = read_long(data, at)
        check_header(project, writer, attempt, rank)
        origin = Origin(project, self._run(run_text), writer, attempt, rank)
        blocks: list[Rows] = []
        met: list[KeySet] = []
        last = self._last.get(writer, met)
        metrics = 0
        while True:
            count, at = _block_count(data, at)
            if not count:
                break
            if len(blocks) + count > MAX_BLOCKS:
                raise _too_many_blocks(len(blocks) + count)
            for place in range(len(blocks), len(blocks) + count):
                block, at = self._rows(data, at, last[place] if place < len(last) else None, metrics)
                metrics += len(block.keys.names)
                blocks.append(block)
                met.append(block.keys)
        if at != size:
            raise MessageUnusable("unreadable", f"{size - at} bytes follow the end of the frame")
        if met != last:
            if len(self._last) >= 100_000:
                self._last.clear()
            self._last[writer] = met
        return _whole(record, origin, first_seq, rows, blocks)

    def _rows(self, data: bytes, at: int, likely: KeySet | None, metrics: int) -> tuple[Rows, int]:
        """The block at byte `at`, behind blocks with `metrics` metrics."""
        places, at = _longs(data, at)
        # An Avro array ends itself, so the same bytes at its place are the same array.
        if likely is not None and data.startswith(likely.raw, at):
            keys, at = likely, at + len(likely.raw)
            if metrics + len(keys.names) > MAX_METRICS:
                raise _too_many(metrics + len(keys.names))
        else:
            keys, at = self._keys(data, at, metrics)
        steps, at = _longs(data, at)
        times_us, at = _longs(data, at)
        values, at = _doubles(data, at)
        n, at = _longs(data, at)
        n_nan, at = _longs(data, at)
        n_inf, at = _longs(data, at)
        return _checked(places, keys, steps, times_us, values, (n, n_nan, n_inf)), at

    def from_event(self, event: Mapping[str, Any], record: Record) -> Frame:
        """The frame of an event that `runstream.events.decode` read. Raises MessageUnusable."""
        project = str(event["project"]).encode()
        check_header(project, event["writer_id"], event["attempt"], event["rank"])
        origin = Origin(project, UUID(event["run_id"]).int, event["writer_id"], event["attempt"], event["rank"])
        if len(event["blocks"]) > MAX_BLOCKS:
            raise _too_many_blocks(len(event["blocks"]))
        metrics = sum(len(block["metrics"]) for block in event["blocks"])
        if metrics > MAX_METRICS:
            raise _too_many(metrics)
        blocks = []
        for block in event["blocks"]:
            keys = self._known(tuple(name.encode() for name in block["metrics"]), b"")
            at, steps, times_us = (_as_longs(block[name]) for name in ("at", "steps", "times_us"))
            n, n_nan, n_inf = (_as_longs(block[name]) for name in ("n", "n_nan", "n_inf"))
            values = np.array(block["values"], np.float64)
            blocks.append(_checked(at, keys, steps, times_us, values, (n, n_nan, n_inf)))
        return _whole(record, origin, event["first_seq"], event["rows"], blocks)

    def _run(self, text: bytes) -> int:
        known = self._runs.get(text)
        if known is not None:
            return known
        try:
            run = UUID(text.decode("ascii"))
        except ValueError:
            run = None
        if run is None or str(run).encode() != text:
            raise MessageUnusable("unreadable", f"run_id {text[:80]!r} is not the canonical lower-case text of a UUID")
        if len(self._runs) >= 100_000:
            self._runs.clear()
        self._runs[text] = run.int
        return run.int

    def _text(self, data: bytes, at: int, what: str) -> tuple[bytes, int]:
        length, at = read_long(data, at)
        end = at + length
        if length < 0:
            raise MessageUnusable("unreadable", f"{what} has the length {length}")
        if end > len(data):
            raise truncated(what, at=len(data), size=len(data))
        text = data[at:end]
        if not text.isascii():
            _check_utf8(text, what)
        return text, end

    def _keys(self, data: bytes, at: int, metrics: int) -> tuple[KeySet, int]:
        start = at
        names: list[bytes] = []
        while True:
            count, at = _block_count(data, at)
            if not count:
                break
            if metrics + len(names) + count > MAX_METRICS:
                raise _too_many(metrics + len(names) + count)
            for _ in range(count):
                name, at = self._text(data, at, "a metric name")
                names.append(name)
        raw = data[start:at]
        keys = self._by_raw.get(raw)
        return keys or self._known(tuple(names), raw), at

    def _known(self, names: tuple[bytes, ...], raw: bytes) -> KeySet:
        if not raw and (known := self._by_names.get(names)):
            return known
        longest = max(map(len, names), default=0)
        if longest > MAX_NAME_BYTES:
            raise MessageUnusable("invalid", f"a metric name has {longest} bytes; the limit is {MAX_NAME_BYTES}")
        if len(set(names)) != len(names):
            raise MessageUnusable("invalid", "a metric stands twice in one frame")
        keys = KeySet(names, raw)
        self._cached_bytes += 100 * len(names) + 2 * len(raw)
        if self._cached_bytes > MAX_CACHED_BYTES:
            self._by_raw.clear()
            self._by_names.clear()
            self._last.clear()
            self._cached_bytes = 0
        if raw:
            self._by_raw[raw] = keys
        else:
            self._by_names[names] = keys
        return keys


def _checked(at: Longs, keys: KeySet, steps: Longs, times_us: Longs, values: Doubles, counts: Counts) -> Rows:
    """A block whose arrays go together. Raises MessageUnusable."""
    rows, columns = len(steps), len(keys.names)
    if len(times_us) != rows or len(values) != rows * columns:
        raise MessageUnusable(
            "invalid",
            f"{rows} steps, {len(times_us)} times and {columns} metrics do not go with {len(values)} values "
            f"(expected {rows} times and {rows * columns} values)",
        )
    if len(at) not in (0, rows):
        raise MessageUnusable("invalid", f"{len(at)} places do not go with {rows} steps")
    counted: Counts | None = None
    n, n_nan, n_inf = counts
    if len(n) or len(n_nan) or len(n_inf):
        if not len(n) == len(n_nan) == len(n_inf) == columns:
            n, n_nan, n_inf = _completed(counts, columns)
        if int((n | n_nan | n_inf).min()) < 0:
            raise MessageUnusable("invalid", "a count is negative")
        counted = (n, n_nan, n_inf)
    return Rows(at if len(at) else None, keys, steps, times_us, values.reshape(rows, columns), counted)


def _whole(record: Record, origin: Origin, first_seq: int, rows: int, blocks: list[Rows]) -> Frame:
    """A frame whose blocks hold each of its rows once. Raises MessageUnusable."""
    if not 0 <= first_seq < 1 << 63:
        raise MessageUnusable("invalid", f"first_seq is {first_seq}; it counts from 0")
    held = sum([len(block.steps) for block in blocks])
    if rows != held:
        raise MessageUnusable("invalid", f"the blocks hold {held} rows of {rows}")
    if first_seq + rows >= 1 << 63:
        raise MessageUnusable("invalid", f"first_seq {first_seq} and {rows} rows exceed 63 bits")
    if len(blocks) > 1 or (blocks and blocks[0].at is not None):
        _check_places(rows, blocks)
    return Frame(record, origin, first_seq, rows, tuple(blocks))


def _check_places(rows: int, blocks: list[Rows]) -> None:
    """Each of `rows` places stands once in the blocks, which hold `rows` rows. Raises MessageUnusable."""
    taken = np.zeros(rows, np.bool_)
    for block in blocks:
        at = block.at
        if at is None:
            if len(block.steps) not in (0, rows):
                raise MessageUnusable("invalid", f"{len(block.steps)} of {rows} rows have no places")
            taken |= len(block.steps) > 0
            continue
        if at[0] < 0 or at[-1] >= rows or (at[1:] <= at[:-1]).any():
            raise MessageUnusable("invalid", f"places do not rise strictly within 0 and {rows - 1}")
        taken[at] = True
    if not taken.all():
        raise MessageUnusable("invalid", f"place {int(taken.argmin())} stands in no block, so another stands in two")


def _block_count(data: bytes, at: int) -> tuple[int, int]:
    """Items of the next block of an array, 0: its end. A negative count has the block's size in bytes behind it."""
    count, at = read_long(data, at)
    if count < 0:
        _, at = read_long(data, at)
        count = -count
    if count > len(data) - at:
        raise truncated(f"a block of {count} items", at=len(data), size=len(data))
    return count, at


def _longs(data: bytes, at: int) -> tuple[Longs, int]:
    parts: list[Longs] = []
    while True:
        count, at = _block_count(data, at)
        if not count:
            break
        part, at = read_longs(data, at, count)
        parts.append(part)
    if len(parts) == 1:
        return parts[0], at
    return (np.concatenate(parts) if parts else np.empty(0, np.int64)), at


def _doubles(data: bytes, at: int) -> tuple[Doubles, int]:
    parts: list[Doubles] = []
    while True:
        count, at = _block_count(data, at)
        if not count:
            break
        if 8 * count > len(data) - at:
            raise truncated(f"{count} values", at=len(data), size=len(data))
        parts.append(np.frombuffer(data, "<f8", count, at))
        at += 8 * count
    if len(parts) == 1:
        return parts[0], at
    return (np.concatenate(parts) if parts else np.empty(0, np.float64)), at


def _completed(counts: Counts, columns: int) -> Counts:
    """Counts of which each is there or left out."""
    if any(len(count) not in (0, columns) for count in counts):
        lengths = ", ".join(str(len(count)) for count in counts)
        raise MessageUnusable("invalid", f"n, n_nan and n_inf have {lengths} values for {columns} metrics")
    n, n_nan, n_inf = (count if len(count) else np.zeros(columns, np.int64) for count in counts)
    return n, n_nan, n_inf


def _as_longs(values: Sequence[int]) -> Longs:
    return np.array(values, np.int64)


def _check_utf8(text: bytes, what: str) -> None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise MessageUnusable("unreadable", f"{what} is not UTF-8: {error}") from None


def _too_many_blocks(count: int) -> MessageUnusable:
    return MessageUnusable("invalid", f"a frame of {count} blocks; the limit is {MAX_BLOCKS}")


def _too_many(count: int) -> MessageUnusable:
    return MessageUnusable("invalid", f"a frame of {count} metrics; the limit is {MAX_METRICS}")
