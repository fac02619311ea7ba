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

MAX_METRICS = 50_000
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
    """The metric names of a frame, UTF-8, in its order; `order` sorts them by their bytes, None: they are sorted."""

    __slots__ = ("names", "order", "raw")

    def __init__(self, names: tuple[bytes, ...], raw: bytes) -> None:
        self.names = names
        self.raw = raw
        order = sorted(range(len(names)), key=names.__getitem__)
        self.order = None if order == list(range(len(names))) else np.array(order, np.intp)


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows `first_seq` and following of one writer: `steps` and `times_us` have N values, `values` is N x M."""

    record: Record
    origin: Origin
    first_seq: int
    keys: KeySet
    steps: Longs
    times_us: Longs
    values: Doubles
    counts: Counts | None
    """Cumulative n, n_nan, n_inf of each metric through the last row; None when the client did not count."""

    @property
    def points(self) -> int:
        return self.values.size


class FrameReader:
    """Reads frames and remembers the key sets of the writers it met, which nearly every frame repeats."""

    def __init__(self) -> None:
        self.header = events.registry().latest["MetricFrame"].header
        self._by_raw: dict[bytes, KeySet] = {}
        self._by_names: dict[tuple[bytes, ...], KeySet] = {}
        self._last: dict[int, KeySet] = {}
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
        check_header(project, writer, attempt, rank)
        if first_seq < 0:
            raise MessageUnusable("invalid", f"first_seq is {first_seq}; it counts from 0")
        origin = Origin(project, self._run(run_text), writer, attempt, rank)
        keys, at = self._keys(data, at, writer)
        steps, at = _longs(data, at, "steps")
        times_us, at = _longs(data, at, "times_us")
        values, at = _doubles(data, at)
        n, at = _longs(data, at, "n")
        n_nan, at = _longs(data, at, "n_nan")
        n_inf, at = _longs(data, at, "n_inf")
        if at != size:
            raise MessageUnusable("unreadable", f"{size - at} bytes follow the end of the frame")
        return _checked(record, origin, first_seq, keys, steps, times_us, values, (n, n_nan, n_inf))

    def from_event(self, event: Mapping[str, Any], record: Record) -> Frame:
        """The frame of an event that `runstream.events.decode` read. Raises MessageUnusable."""
        project = str(event["project"]).encode()
        check_header(project, event["writer_id"], event["attempt"], event["rank"])
        if not 0 <= event["first_seq"] < 1 << 63:
            raise MessageUnusable("invalid", f"first_seq is {event['first_seq']}; it counts from 0")
        origin = Origin(project, UUID(event["run_id"]).int, event["writer_id"], event["attempt"], event["rank"])
        if len(event["metrics"]) > MAX_METRICS:
            raise _too_many(len(event["metrics"]))
        keys = self._known(tuple(name.encode() for name in event["metrics"]), b"")
        counts = (_as_longs(event["n"]), _as_longs(event["n_nan"]), _as_longs(event["n_inf"]))
        steps, times_us = _as_longs(event["steps"]), _as_longs(event["times_us"])
        values = np.array(event["values"], np.float64)
        return _checked(record, origin, event["first_seq"], keys, steps, times_us, values, counts)

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

    def _keys(self, data: bytes, at: int, writer: int) -> tuple[KeySet, int]:
        last = self._last.get(writer)
        # An Avro array ends itself, so the same bytes at its place are the same array.
        if last is not None and data.startswith(last.raw, at):
            return last, at + len(last.raw)
        start = at
        names: list[bytes] = []
        while True:
            count, at = _block_count(data, at)
            if not count:
                break
            if len(names) + count > MAX_METRICS:
                raise _too_many(len(names) + count)
            for _ in range(count):
                name, at = self._text(data, at, "a metric name")
                names.append(name)
        raw = data[start:at]
        keys = self._by_raw.get(raw)
        if keys is None:
            keys = self._known(tuple(names), raw)
        if len(self._last) >= 100_000:
            self._last.clear()
        self._last[writer] = keys
        return keys, at

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


def _checked(
    record: Record,
    origin: Origin,
    first_seq: int,
    keys: KeySet,
    steps: Longs,
    times_us: Longs,
    values: Doubles,
    counts: Counts,
) -> Frame:
    rows, columns = len(steps), len(keys.names)
    if len(times_us) != rows or len(values) != rows * columns:
        raise MessageUnusable(
            "invalid",
            f"{rows} steps, {len(times_us)} times and {columns} metrics do not go with {len(values)} values "
            f"(expected {rows} times and {rows * columns} values)",
        )
    if first_seq + rows >= 1 << 63:
        raise MessageUnusable("invalid", f"first_seq {first_seq} and {rows} rows exceed 63 bits")
    counted: Counts | None = None
    n, n_nan, n_inf = counts
    if len(n) or len(n_nan) or len(n_inf):
        if not len(n) == len(n_nan) == len(n_inf) == columns:
            n, n_nan, n_inf = _completed(counts, columns)
        if int((n | n_nan | n_inf).min()) < 0:
            raise MessageUnusable("invalid", "a count is negative")
        counted = (n, n_nan, n_inf)
    return Frame(record, origin, first_seq, keys, steps, times_us, values.reshape(rows, columns), counted)


def _block_count(data: bytes, at: int) -> tuple[int, int]:
    """Items of the next block of an array, 0: its end. A negative count has the block's size in bytes behind it."""
    count, at = read_long(data, at)
    if count < 0:
        _, at = read_long(data, at)
        count = -count
    if count > len(data) - at:
        raise truncated(f"a block of {count} items", at=len(data), size=len(data))
    return count, at


def _longs(data: bytes, at: int, what: str) -> tuple[Longs, int]:
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


def _too_many(count: int) -> MessageUnusable:
    return MessageUnusable("invalid", f"a frame of {count} metrics; the limit is {MAX_METRICS}")
