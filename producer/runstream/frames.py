"""Metric frames: rows of a spool as `MetricFrame` messages, without an object a point.

The values of a row block are already the body of an Avro `array<double>`; they are copied, not visited. What stands
around them is encoded once a writer (`FrameBuilder`) or once a key set. `tests/producer/test_frames.py` holds the
bytes equal to those of `runstream.events.encode`.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from operator import eq

import fastavro

from runstream import events
from runstream.spool import Position, SegmentHeader
from runstream.spool_reader import RowBlock
from runstream.varints import encode_long, encode_longs

MAX_VALUES = 64 * 1024
MAX_BYTES = 768 * 1024
Counts = tuple[int, int, int]
"""Values of a metric, of them NaN, of them infinite."""
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
_ROW_BYTES = 8 + 10
"""The most that a row adds besides its values: a time of this age and any step."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One encoded MetricFrame: rows `first_seq` to `first_seq + rows - 1` of a writer, spooled up to `end`."""

    value: bytes
    metrics: tuple[str, ...]
    first_seq: int
    rows: int
    not_finite: Mapping[str, tuple[int, int]]
    """Metric to (NaN, infinite) values in this frame, where there are any."""
    end: Position

    @property
    def points(self) -> int:
        return self.rows * len(self.metrics)


class FrameBuilder:
    """Gathers the row blocks of one writer into frames.

    A frame ends where the metrics change or a sequence is missing (a damaged segment), and before it would hold more
    than MAX_VALUES values or MAX_BYTES; blocks are not divided, so a frame exceeds these only when a single block does.
    `counts` are cumulative through the last block added; they go into each frame, so that counting needs no sum over
    messages that may come twice.
    """

    def __init__(self, header: SegmentHeader, counts: Mapping[str, Counts]) -> None:
        self.counts: dict[str, Counts] = dict(counts)
        self.pending_values = 0
        """Values that wait for the next frame."""
        self._head = _head(header)
        self._blocks: list[RowBlock] = []
        self._pending_bytes = 0
        self._next_seq = 0

    @property
    def pending_bytes(self) -> int:
        return self._pending_bytes if self._blocks else 0

    def add(self, block: RowBlock) -> Frame | None:
        """Takes the next block of the writer; the frame before it, if the block does not fit into it."""
        values = block.n * len(block.metrics)
        size = len(block.values) + block.n * _ROW_BYTES
        done = None
        if self._blocks and (
            block.metrics != self._blocks[0].metrics
            or block.first_seq != self._next_seq
            or self.pending_values + values > MAX_VALUES
            or self._pending_bytes + size > MAX_BYTES
        ):
            done = self.flush()
        if not self._blocks:
            self._pending_bytes = len(self._head) + len(_names(block.metrics)) + 30 * len(block.metrics) + 32
        self._blocks.append(block)
        self._next_seq = block.first_seq + block.n
        self.pending_values += values
        self._pending_bytes += size
        return done

    def flush(self) -> Frame | None:
        """What waits as a frame; None when nothing does."""
        blocks = self._blocks
        if not blocks:
            return None
        self._blocks = []
        self.pending_values = 0
        metrics = blocks[0].metrics
        rows = sum(block.n for block in blocks)
        values = blocks[0].values if len(blocks) == 1 else b"".join(block.values for block in blocks)
        not_finite = count_not_finite(metrics, values)
        self._count(metrics, rows, not_finite)
        cumulative = [self.counts[metric] for metric in metrics]
        parts = (
            self._head,
            encode_long(blocks[0].first_seq),
            _names(metrics),
            encode_longs(array("q", _chained(block.steps for block in blocks))),
            encode_longs(array("q", _chained(block.times_us for block in blocks))),
            _one_block(rows * len(metrics), values),
            *(encode_longs(array("q", [count[part] for count in cumulative])) for part in range(3)),
        )
        return Frame(b"".join(parts), metrics, blocks[0].first_seq, rows, not_finite, blocks[-1].end)

    def _count(self, metrics: tuple[str, ...], rows: int, not_finite: Mapping[str, tuple[int, int]]) -> None:
        add_counts(self.counts, metrics, rows, not_finite)


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
