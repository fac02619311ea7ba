from __future__ import annotations

import math
import struct
import uuid
from array import array
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runstream import events, frames
from runstream.frames import FrameBuilder
from runstream.spool import Position, SegmentHeader
from runstream.spool_reader import RowBlock

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


def built(blocks: list[RowBlock], builder: FrameBuilder | None = None) -> list[frames.Frame]:
    builder = builder or FrameBuilder(header(), {})
    found = [frame for one in blocks if (frame := builder.add(one))]
    last = builder.flush()
    return [*found, last] if last else found


def reference(frame: frames.Frame, blocks: list[RowBlock], counts: dict[str, tuple[int, int, int]]) -> bytes:
    rows = [one for one in blocks if frame.first_seq <= one.first_seq < frame.first_seq + frame.rows]
    cumulative = [counts[metric] for metric in frame.metrics]
    event = {
        "project": "größe",
        "run_id": str(RUN),
        "writer_id": 2**62 + 7,
        "attempt": 2,
        "rank": 3,
        "first_seq": frame.first_seq,
        "metrics": list(frame.metrics),
        "steps": [step for one in rows for step in one.steps],
        "times_us": [time for one in rows for time in one.times_us],
        "values": [value for one in rows for value in array("d", one.values)],
        "n": [count[0] for count in cumulative],
        "n_nan": [count[1] for count in cumulative],
        "n_inf": [count[2] for count in cumulative],
    }
    return events.encode("MetricFrame", event)


def counted(counts: dict[str, tuple[int, int, int]], one: RowBlock) -> None:
    values = array("d", one.values)
    for place, metric in enumerate(one.metrics):
        column = values[place :: len(one.metrics)]
        n, nan, inf = counts.get(metric, (0, 0, 0))
        counts[metric] = (n + len(column), nan + sum(map(math.isnan, column)), inf + sum(map(math.isinf, column)))


doubles = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]) | st.floats()


@st.composite
def row_blocks(draw: st.DrawFn) -> list[RowBlock]:
    key_sets = [("loss",), ("loss", "acc"), ("größe", "x" * 300, "a/b")]
    out: list[RowBlock] = []
    seq = draw(st.integers(0, 2**40))
    for _ in range(draw(st.integers(1, 6))):
        metrics = draw(st.sampled_from(key_sets))
        n = draw(st.integers(1, 5))
        rows = [[draw(doubles) for _ in metrics] for _ in range(n)]
        out.append(block(metrics, seq, rows, draw(st.integers(-(2**62), 2**62))))
        seq += n
    return out


@given(row_blocks())
@settings(max_examples=150, deadline=None)
def test_frames_are_the_bytes_that_fastavro_writes(blocks: list[RowBlock]) -> None:
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


def test_a_frame_ends_where_the_metrics_change() -> None:
    found = built([block(("loss",), 0, [[1.0]]), block(("acc",), 1, [[1.0]]), block(("loss",), 2, [[1.0]])])
    assert [frame.metrics for frame in found] == [("loss",), ("acc",), ("loss",)]
    assert events.decode(found[2].value)[1]["n"] == [2]


def test_a_frame_ends_where_rows_are_missing() -> None:
    found = built([block(("loss",), 0, [[1.0]] * 3), block(("loss",), 5, [[1.0]])])
    assert [(frame.first_seq, frame.rows) for frame in found] == [(0, 3), (5, 1)]


def test_a_frame_keeps_to_its_limits() -> None:
    few = [block(("loss",), seq * 10_000, [[1.0]] * 10_000) for seq in range(10)]
    wide = [block(tuple(f"m{i}" for i in range(100)), seq * 300, [[1.0] * 100] * 300) for seq in range(10)]
    for blocks in (few, wide):
        found = built(blocks)
        assert len(found) > 1
        assert all(frame.points <= frames.MAX_VALUES and len(frame.value) <= frames.MAX_BYTES for frame in found)


def test_counts_go_on_from_those_of_the_cursor() -> None:
    builder = FrameBuilder(header(), {"loss": (10, 2, 1)})
    (frame,) = built([block(("loss",), 10, [[math.nan], [math.inf], [-math.inf], [0.0]])], builder)
    _, event = events.decode(frame.value)
    assert (event["n"], event["n_nan"], event["n_inf"]) == ([14], [3], [3])
    assert frame.not_finite == {"loss": (1, 2)}


def test_a_sum_that_overflows_counts_no_infinity() -> None:
    big = 1.7e308
    assert frames.count_not_finite(("a", "b"), array("d", [big, 1.0, big, 2.0]).tobytes()) == {}


def test_infinities_that_cancel_are_counted() -> None:
    assert frames.count_not_finite(("a",), array("d", [math.inf, -math.inf, 1.0]).tobytes()) == {"a": (0, 2)}


def test_an_empty_builder_has_no_frame() -> None:
    assert FrameBuilder(header(), {}).flush() is None
