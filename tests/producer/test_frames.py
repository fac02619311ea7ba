from __future__ import annotations

import math
import struct
import uuid
from array import array
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runstream import events, frames
from runstream.frames import FrameBuilder
from runstream.spool import Position, SegmentHeader
from runstream.spool_reader import MixedRows, RowBlock, RowPart

RUN = uuid.UUID("019a0000-0000-7000-8000-000000000001")
NOW_US = 1_764_000_000_000_000


def header(**changes: Any) -> SegmentHeader:
    fields: dict[str, Any] = {
        "run_id": RUN,
        "writer_id": 2**62 + 7,
        "segment": 1,
        "attempt": 2,
        "rank": 3,
        "pid": 1,
        "process_start": 0,
        "pid_namespace": 0,
        "created_us": 0,
        "boot_id": bytes(16),
        "first_row_seq": 0,
        "first_event_seq": 0,
        "project": "größe",
        "host": "h",
    }
    return SegmentHeader(**{**fields, **changes})


def block(metrics: tuple[str, ...], first_seq: int, rows: list[list[float]], step: int = 0) -> RowBlock:
    n = len(rows)
    values = array("d", [value for row in rows for value in row]).tobytes()
    steps = list(range(step, step + n))
    times = [NOW_US + first_seq + i for i in range(n)]
    return RowBlock(metrics, first_seq, n, steps, times, values, Position(1, 100 + first_seq + n, first_seq + n, 0))


def built(blocks: Sequence[RowBlock | MixedRows], builder: FrameBuilder | None = None) -> list[frames.Frame]:
    builder = builder or FrameBuilder(header(), {})
    found = [frame for one in blocks if (frame := builder.add(one))]
    last = builder.flush()
    return [*found, last] if last else found


Row = tuple[int, tuple[str, ...], int, int, bytes]
"""Sequence, metrics, step, time and values of a row."""


def rows_of(read: RowBlock | MixedRows) -> list[Row]:
    if isinstance(read, RowBlock):
        read = MixedRows(read.first_seq, read.n, (part_of(read, list(range(read.n))),), read.last_us, read.end)
    found = []
    for part in read.parts:
        width = 8 * len(part.metrics)
        for i, at in enumerate(part.at):
            values = part.values[i * width : (i + 1) * width]
            found.append((read.first_seq + at, part.metrics, part.steps[i], part.times_us[i], values))
    return sorted(found)


def part_of(one: RowBlock, at: list[int]) -> RowPart:
    return RowPart(one.metrics, at, one.steps, one.times_us, one.values)


def mixed(blocks: list[RowBlock]) -> MixedRows:
    """The rows of consecutive blocks as the reader gives those of alternating key sets."""
    rows = [row for one in blocks for row in rows_of(one)]
    first = rows[0][0]
    parts = []
    for metrics in dict.fromkeys(row[1] for row in rows):
        mine = [row for row in rows if row[1] == metrics]
        at, steps, times = ([row[place] for row in mine] for place in (0, 2, 3))
        values = b"".join(row[4] for row in mine)
        parts.append(RowPart(metrics, [seq - first for seq in at], steps, times, values))
    return MixedRows(first, len(rows), tuple(parts), rows[-1][3], blocks[-1].end)


def reference(
    frame: frames.Frame, read: Sequence[RowBlock | MixedRows], counts: dict[str, tuple[int, int, int]]
) -> bytes:
    """The frame as fastavro writes it; `counts` are those through its last row."""
    rows = [row for one in read for row in rows_of(one) if 0 <= row[0] - frame.first_seq < frame.rows]
    sets = dict.fromkeys(part.metrics for one in read for part in parts_of(one, frame))
    blocks = []
    for metrics in sets:
        mine = [row for row in rows if row[1] == metrics]
        cumulative = [counts[metric] for metric in metrics]
        blocks.append(
            {
                "at": [row[0] - frame.first_seq for row in mine] if len(sets) > 1 else [],
                "metrics": list(metrics),
                "steps": [row[2] for row in mine],
                "times_us": [row[3] for row in mine],
                "values": [value for row in mine for value in array("d", row[4])],
                "n": [count[0] for count in cumulative],
                "n_nan": [count[1] for count in cumulative],
                "n_inf": [count[2] for count in cumulative],
            }
        )
    event = {
        "project": "größe",
        "run_id": str(RUN),
        "writer_id": 2**62 + 7,
        "attempt": 2,
        "rank": 3,
        "first_seq": frame.first_seq,
        "rows": frame.rows,
        "blocks": blocks,
    }
    return events.encode("MetricFrame", event)


def parts_of(read: RowBlock | MixedRows, frame: frames.Frame) -> Sequence[RowBlock | RowPart]:
    if not frame.first_seq <= read.first_seq < frame.first_seq + frame.rows:
        return ()
    return read.parts if isinstance(read, MixedRows) else (read,)


def counted(counts: dict[str, tuple[int, int, int]], read: RowBlock | MixedRows) -> None:
    for _, metrics, _, _, values in rows_of(read):
        for metric, value in zip(metrics, array("d", values), strict=True):
            n, nan, inf = counts.get(metric, (0, 0, 0))
            counts[metric] = (n + 1, nan + math.isnan(value), inf + math.isinf(value))


doubles = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]) | st.floats()


@st.composite
def row_blocks(draw: st.DrawFn) -> list[RowBlock | MixedRows]:
    key_sets = [("loss",), ("loss", "acc"), ("größe", "x" * 300, "a/b")]
    out: list[RowBlock | MixedRows] = []
    seq = draw(st.integers(0, 2**40))
    for _ in range(draw(st.integers(1, 6))):
        blocks: list[RowBlock] = []
        for _ in range(draw(st.sampled_from([1, 1, 2, 4]))):
            metrics = draw(st.sampled_from(key_sets))
            n = draw(st.integers(1, 5))
            rows = [[draw(doubles) for _ in metrics] for _ in range(n)]
            blocks.append(block(metrics, seq, rows, draw(st.integers(-(2**62), 2**62))))
            seq += n
        out.append(blocks[0] if len(blocks) == 1 else mixed(blocks))
        seq += draw(st.sampled_from([0, 0, 0, 7]))
    return out


@given(row_blocks())
@settings(max_examples=150, deadline=None)
def test_frames_are_the_bytes_that_fastavro_writes(blocks: list[RowBlock | MixedRows]) -> None:
    counts: dict[str, tuple[int, int, int]] = {}
    done = 0
    for frame in built(blocks):
        while done < len(blocks) and blocks[done].first_seq < frame.first_seq + frame.rows:
            counted(counts, blocks[done])
            done += 1
        assert frame.value == reference(frame, blocks, counts)
        assert frame.end == blocks[done - 1].end
    assert done == len(blocks)


def test_a_long_block_is_the_bytes_that_fastavro_writes() -> None:
    rows = [[i * 0.1, float(i)] for i in range(5000)]
    one = block(("loss", "acc"), 10, rows, 8000)
    (frame,) = built([one])
    assert frame.value == reference(frame, [one], {"loss": (5000, 0, 0), "acc": (5000, 0, 0)})
    assert frame.points == 10_000


def test_blocks_with_the_same_metrics_share_a_frame() -> None:
    found = built([block(("loss",), seq, [[1.0]]) for seq in range(100)])
    assert [(frame.first_seq, frame.rows) for frame in found] == [(0, 100)]


def test_key_sets_that_alternate_share_a_frame() -> None:
    (found,) = built([block(("loss",) if seq % 2 else ("acc",), seq, [[1.0]]) for seq in range(100)])
    _, event = events.decode(found.value)
    assert [(one["metrics"], one["at"], one["n"]) for one in event["blocks"]] == [
        (["acc"], list(range(0, 100, 2)), [50]),
        (["loss"], list(range(1, 100, 2)), [50]),
    ]


def test_a_metric_of_several_key_sets_is_counted_over_all_of_them() -> None:
    one = mixed([block(("loss",), 0, [[1.0]]), block(("loss", "acc"), 1, [[math.nan, 1.0]])])
    (found,) = built([one])
    _, event = events.decode(found.value)
    assert [(one["n"], one["n_nan"]) for one in event["blocks"]] == [([2], [1]), ([2, 1], [1, 0])]


def test_a_frame_has_few_key_sets() -> None:
    found = built([block((f"m{seq}",), seq, [[1.0]]) for seq in range(2 * frames.MAX_KEY_SETS)])
    assert [frame.rows for frame in found] == [frames.MAX_KEY_SETS] * 2


def test_a_frame_ends_where_rows_are_missing() -> None:
    found = built([block(("loss",), 0, [[1.0]] * 3), block(("loss",), 5, [[1.0]])])
    assert [(frame.first_seq, frame.rows) for frame in found] == [(0, 3), (5, 1)]


def test_a_frame_keeps_to_its_limits() -> None:
    few = [block(("loss",), seq * 10_000, [[1.0]] * 10_000) for seq in range(10)]
    many: list[MixedRows] = []
    wide = [block(tuple(f"m{i}" for i in range(100)), seq * 300, [[1.0] * 100] * 300) for seq in range(10)]
    for at in range(10):
        long_names = tuple(f"{'x' * 500}{at}{i}" for i in range(200))
        many.append(mixed([block(long_names, 2 * at, [[1.0] * 200]), block(("loss",), 2 * at + 1, [[1.0]])]))
    for blocks in (few, wide, many):
        found = built(blocks)
        assert len(found) > 1
        assert all(frame.points <= frames.MAX_VALUES and len(frame.value) <= frames.MAX_BYTES for frame in found)


def test_counts_go_on_from_those_of_the_cursor() -> None:
    builder = FrameBuilder(header(), {"loss": (10, 2, 1)})
    (frame,) = built([block(("loss",), 10, [[math.nan], [math.inf], [-math.inf], [0.0]])], builder)
    _, event = events.decode(frame.value)
    (one,) = event["blocks"]
    assert (one["n"], one["n_nan"], one["n_inf"]) == ([14], [3], [3])
    assert frame.counted == {("loss",): (4, {"loss": (1, 2)})}


def test_a_sum_that_overflows_counts_no_infinity() -> None:
    big = 1.7e308
    assert frames.count_not_finite(("a", "b"), array("d", [big, 1.0, big, 2.0]).tobytes()) == {}


def test_infinities_that_cancel_are_counted() -> None:
    assert frames.count_not_finite(("a",), array("d", [math.inf, -math.inf, 1.0]).tobytes()) == {"a": (0, 2)}


def test_an_empty_builder_has_no_frame() -> None:
    assert FrameBuilder(header(), {}).flush() is None
