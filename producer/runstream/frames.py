"""Metric frames: rows of a spool as `MetricFrame` messages, without an object a point.

The values of rows with the same metrics are already the body of an Avro `array<double>`; they are copied, not visited.
What stands around them is encoded once a writer (`FrameBuilder`) or once a key set. `tests/producer/test_frames.py`
holds the bytes equal to those of `runstream.events.encode`.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from operator import eq

import fastavro

from runstream import events
from runstream.spool import Position, SegmentHeader
from runstream.spool_reader import MixedRows, RowBlock, RowPart
from runstream.varints import encode_long, encode_longs

MAX_VALUES = 64 * 1024
MAX_BYTES = 768 * 1024
MAX_KEY_SETS = 256
Counts = tuple[int, int, int]
"""Values of a metric, of them NaN, of them infinite."""
Counted = tuple[int, Mapping[str, tuple[int, int]]]
"""Rows of one set of metrics, and the (NaN, infinite) values among them, of metrics that have any."""
_STRINGS = fastavro.parse_schema({"type": "array", "items": "string"})
_HEAD = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Head",
        "fields": [
            {"name": "project", "type": "string"},
            {"name": "run_id", "type": "string"},
            {"name": "writer_id", "type": "long"},
            {"name": "attempt", "type": "int"},
            {"name": "rank", "type": "int"},
        ],
    }
)
_ROW_BYTES = 8 + 10 + 3
"""The most that a row adds besides its values: a time of this age, any step and its place."""
_LENGTHS_BYTES = 32


@dataclass(frozen=True, slots=True)
class Frame:
    """One encoded MetricFrame: rows `first_seq` to `first_seq + rows - 1` of a writer, spooled up to `end`."""

    value: bytes
    first_seq: int
    rows: int
    points: int
    counted: Mapping[tuple[str, ...], Counted]
    """What the frame adds to the counts, by set of metrics."""
    end: Position


class FrameBuilder:
    """Gathers the rows of one writer into frames.

    A frame ends where a sequence is missing (a damaged segment), and before it would hold more than MAX_VALUES values,
    MAX_BYTES or MAX_KEY_SETS; what the reader gives at once is not divided, so a frame exceeds these only when that
    does. Rows of several key sets share it, one block a key set. `counts` are cumulative through the last rows added;
    they go into each frame, so that counting needs no sum over messages that may come twice.
    """

    def __init__(self, header: SegmentHeader, counts: Mapping[str, Counts]) -> None:
        self.counts: dict[str, Counts] = dict(counts)
        self.pending_values = 0
        """Values that wait for the next frame."""
        self._head = _head(header)
        self._gathered: dict[tuple[str, ...], list[tuple[int, RowBlock | RowPart]]] = {}
        self._pending_bytes = 0
        self._first_seq = 0
        self._next_seq = 0
        self._end = Position()

    @property
    def pending_bytes(self) -> int:
        return self._pending_bytes if self._gathered else 0

    def add(self, rows: RowBlock | MixedRows) -> Frame | None:
        """Takes the next rows of the writer; the frame before them, if they do not fit into it."""
        parts = rows.parts if isinstance(rows, MixedRows) else (rows,)
        values = sum(part.n * len(part.metrics) for part in parts)
        size, key_sets = self._room_for(parts)
        done = None
        if self._gathered and (
            rows.first_seq != self._next_seq
            or self.pending_values + values > MAX_VALUES
            or self._pending_bytes + size > MAX_BYTES
            or key_sets > MAX_KEY_SETS
        ):
            done = self.flush()
            size, _ = self._room_for(parts)
        if not self._gathered:
            self._first_seq = rows.first_seq
            self._pending_bytes = len(self._head) + _LENGTHS_BYTES
        place = rows.first_seq - self._first_seq
        for part in parts:
            self._gathered.setdefault(part.metrics, []).append((place, part))
        self._next_seq = rows.first_seq + rows.n
        self._end = rows.end
        self.pending_values += values
        self._pending_bytes += size
        return done

    def _room_for(self, parts: Sequence[RowBlock | RowPart]) -> tuple[int, int]:
        """The most bytes that `parts` add to the frame, and the key sets that it then has."""
        size, key_sets = 0, len(self._gathered)
        for part in parts:
            size += len(part.values) + part.n * _ROW_BYTES
            if part.metrics not in self._gathered:
                key_sets += 1
                size += len(_names(part.metrics)) + 30 * len(part.metrics) + _LENGTHS_BYTES
        return size, key_sets

    def flush(self) -> Frame | None:
        """What waits as a frame; None when nothing does."""
        gathered, points = self._gathered, self.pending_values
        if not gathered:
            return None
        self._gathered = {}
        self.pending_values = 0
        joined = {metrics: _joined_values(pieces) for metrics, pieces in gathered.items()}
        counted = {
            metrics: (sum(part.n for _, part in pieces), count_not_finite(metrics, joined[metrics]))
            for metrics, pieces in gathered.items()
        }
        for metrics, (rows, not_finite) in counted.items():
            add_counts(self.counts, metrics, rows, not_finite)
        rows = self._next_seq - self._first_seq
        chunks = [self._head, encode_long(self._first_seq), encode_long(rows), encode_long(len(gathered))]
        for metrics, pieces in gathered.items():
            chunks += self._block(metrics, pieces, joined[metrics], alone=len(gathered) == 1)
        chunks.append(b"\x00")
        return Frame(b"".join(chunks), self._first_seq, rows, points, counted, self._end)

    def _block(
        self,
        metrics: tuple[str, ...],
        pieces: list[tuple[int, RowBlock | RowPart]],
        values: bytes,
        *,
        alone: bool,
    ) -> Iterator[bytes]:
        cumulative = [self.counts[metric] for metric in metrics]
        yield b"\x00" if alone else encode_longs(array("q", _chained(_places(place, part) for place, part in pieces)))
        yield _names(metrics)
        yield encode_longs(array("q", _chained(part.steps for _, part in pieces)))
        yield encode_longs(array("q", _chained(part.times_us for _, part in pieces)))
        yield _one_block(len(values) // 8, values)
        for kind in range(3):
            yield encode_longs(array("q", [count[kind] for count in cumulative]))


def _joined_values(pieces: list[tuple[int, RowBlock | RowPart]]) -> bytes:
    return pieces[0][1].values if len(pieces) == 1 else b"".join(part.values for _, part in pieces)


def _places(place: int, part: RowBlock | RowPart) -> list[int]:
    """The places in a frame of the rows of `part`, which begin or are counted from `place`."""
    if isinstance(part, RowBlock):
        return list(range(place, place + part.n))
    return [place + at for at in part.at] if place else part.at


def add_counts(
    counts: dict[str, Counts], metrics: Iterable[str], rows: int, not_finite: Mapping[str, tuple[int, int]]
) -> None:
    """Adds `rows` values of each metric to `counts`, of them NaN and infinite as `not_finite` says."""
    for metric in metrics:
        n, n_nan, n_inf = counts.get(metric, (0, 0, 0))
        nan, inf = not_finite.get(metric, (0, 0))
        counts[metric] = (n + rows, n_nan + nan, n_inf + inf)


def count_not_finite(metrics: tuple[str, ...], values: bytes) -> dict[str, tuple[int, int]]:
    """(NaN, infinite) values of each metric that has any; `values` are rows of little-endian doubles."""
    doubles = array("d", values)
    # A sum with a NaN or an infinity in it is not finite; an overflow of finite values only costs the exact count.
    if math.isfinite(sum(doubles)):
        return {}
    found: dict[str, tuple[int, int]] = {}
    for place, metric in enumerate(metrics):
        column = doubles[place :: len(metrics)]
        if math.isfinite(sum(column)):
            continue
        nan = len(column) - sum(map(eq, column, column))
        inf = column.count(math.inf) + column.count(-math.inf)
        if nan or inf:
            found[metric] = (nan, inf)
    return found


def _head(header: SegmentHeader) -> bytes:
    out = BytesIO()
    out.write(events.registry().latest["MetricFrame"].header)
    fields = {
        "project": header.project,
        "run_id": str(header.run_id),
        "writer_id": header.writer_id,
        "attempt": header.attempt,
        "rank": header.rank,
    }
    fastavro.schemaless_writer(out, _HEAD, fields)
    return out.getvalue()


@lru_cache(maxsize=256)
def _names(metrics: tuple[str, ...]) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, _STRINGS, metrics)
    return out.getvalue()


def _one_block(count: int, body: bytes) -> bytes:
    """An Avro array of one block whose items are encoded in `body`."""
    return b"".join((encode_long(count), body, b"\x00")) if count else b"\x00"


def _chained(parts: Iterable[list[int]]) -> list[int]:
    lists = list(parts)
    return lists[0] if len(lists) == 1 else [item for part in lists for item in part]
