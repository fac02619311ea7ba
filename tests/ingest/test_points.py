from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_samples import NOW_US, RUN, frame, mixed, new_run_id, record, uuid_number

from runstream_ingest.frames import Frame, FrameReader
from runstream_ingest.native import Block, Keyed, Parts
from runstream_ingest.points import blocks_of
from runstream_ingest.versions import version, versions

OTHER = "01932e8c-8f2a-7aaa-8bbb-ffffffffffff"
number = st.floats(allow_nan=True, allow_infinity=True)


def read(*values: bytes, partition: int = 0) -> list[Frame]:
    reader = FrameReader()
    return [reader.read(value, record(value, 10 + i, partition=partition)) for i, value in enumerate(values)]


def as_rows(block: Block) -> list[dict[str, Any]]:
    columns = {}
    for name, _, data in block.columns:
        if isinstance(data, Keyed):
            columns[name] = [data.keys[i].decode() for i in data.places]
        elif isinstance(data, Parts):
            columns[name] = list(zip(*(part.tolist() for part in data.columns), strict=True))
        elif name == "run_id":
            columns[name] = [int(high) << 64 | int(low) for high, low in data]
        else:
            columns[name] = data.tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_a_frame_becomes_one_row_a_point_with_where_it_came_from() -> None:
    points = blocks_of(read(frame(rows=2, metrics=["loss", "acc"], rank=3, attempt=1), partition=5)).points
    assert as_rows(points) == [
        {
            "project": "demo",
            "run_id": uuid_number(RUN),
            "metric": metric,
            "rank": 3,
            "step": step,
            "ts_us": NOW_US + 1000 * step,
            "value": step + place / 100,
            "ver": version(1, NOW_US + 1000 * step, 77),
            "attempt": 1,
            "writer": 77,
            "src_partition": 5,
            "src_offset": 10,
        }
        for metric, place in (("acc", 1), ("loss", 0))
        for step in range(2)
    ]


def test_rows_stand_in_the_order_of_the_sort_key() -> None:
    metrics = ["b", "a", "c"]
    frames = read(
        frame(rows=2, metrics=metrics, run_id=OTHER, writer_id=1),
        frame(rows=2, metrics=metrics),
        frame(rows=2, metrics=metrics, run_id=OTHER, writer_id=1, first_seq=2),
        frame(rows=2, metrics=metrics, project="another"),
    )
    points = blocks_of(frames).points

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        # ClickHouse compares the second half of a UUID first.
        run = row["run_id"]
        return row["project"], run & (1 << 64) - 1, run >> 64, row["metric"], row["rank"], row["step"]

    rows = as_rows(points)
    assert rows == sorted(rows, key=key)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-50, 50), number, number), min_size=1, max_size=30), st.integers(1, 29))
def test_the_summary_is_that_of_a_plain_loop(rows: list[tuple[int, float, float]], cut: int) -> None:
    messages, start = [], 0
    for part in (rows[:cut], rows[cut:]):
        if part:
            values = [value for row in part for value in row[1:]]
            messages.append(
                frame(rows=len(part), metrics=["b", "a"], first_seq=start, steps=[r[0] for r in part], values=values)
            )
        start += len(part)
    summary = blocks_of(read(*messages)).metric_summary
    found = {row["metric"]: row for row in as_rows(summary)}
    assert sorted(found) == ["a", "b"]
    for place, metric in enumerate(["b", "a"]):
        points = [(step, version(0, NOW_US + i * 1000, 77), pair[place]) for i, (step, *pair) in enumerate(rows)]
        numbers = [value for _, _, value in points if not math.isnan(value)]
        row = found[metric]
        first, last = min(points, key=lambda p: p[:2]), max(points, key=lambda p: p[:2])
        if numbers:
            assert (row["min"], row["max"]) == (min(numbers), max(numbers))
        else:
            assert math.isnan(row["min"])
            assert math.isnan(row["max"])
        assert repr(row["first"]) == repr(first)
        assert repr(row["last"]) == repr((0, *last))
        assert (row["first_us"], row["last_us"]) == (NOW_US, NOW_US + (len(rows) - 1) * 1000)
        assert (row["n"], row["n_nan"], row["n_inf"]) == (len(rows), 0, 0)


def test_counts_are_the_largest_of_the_frames_whatever_their_order() -> None:
    newer, older = frame(first_seq=3, n=[6, 6], n_nan=[2, 1]), frame(n=[3, 3], n_nan=[0, 1])
    summary = blocks_of(read(newer, older)).metric_summary
    assert [(row["n"], row["n_nan"]) for row in as_rows(summary)] == [(6, 2), (6, 1)]


def test_a_replayed_older_row_of_the_same_step_is_not_the_last() -> None:
    early = frame(rows=1, steps=[9], values=[1.0, 1.0])
    late = frame(rows=1, first_seq=1, steps=[9], values=[2.0, 2.0])
    for messages in ((early, late), (late, early)):
        summary = blocks_of(read(*messages)).metric_summary
        assert {row["last"][3] for row in as_rows(summary)} == {2.0}
        assert {row["first"][2] for row in as_rows(summary)} == {1.0}


def test_frames_without_points_make_no_rows() -> None:
    blocks = blocks_of(read(frame(rows=0), frame(rows=2, metrics=[])))
    assert [block.rows for block in blocks] == [0, 0, 0]
    assert all(block.native for block in blocks)


def test_more_metrics_than_a_byte_counts_are_told_apart() -> None:
    metrics = [f"m{i:05}" for i in range(300)]
    points = blocks_of(read(frame(rows=1, metrics=metrics))).points
    assert [row["metric"] for row in as_rows(points)] == metrics


def test_rows_of_several_key_sets_keep_their_values() -> None:
    (found,) = read(mixed(("loss",), ("acc", "loss"), ("loss",), first_seq=5))
    points, summary, _ = blocks_of([found])
    rows = sorted((row["metric"], row["step"], row["value"], row["ts_us"]) for row in as_rows(points))
    assert rows == [
        ("acc", 6, 6.0, NOW_US + 6000),
        ("loss", 5, 5.0, NOW_US + 5000),
        ("loss", 6, 6.01, NOW_US + 6000),
        ("loss", 7, 7.0, NOW_US + 7000),
    ]
    assert sorted((row["metric"], row["last"][1]) for row in as_rows(summary)) == [("acc", 6), ("loss", 6), ("loss", 7)]


def test_many_small_writers_give_the_rows_that_each_gives_alone() -> None:
    sets = [["loss"], ["b", "a", "c"], ["a", "b", "c"]]
    frames = read(
        *(
            frame(
                rows=1 + i % 3,
                metrics=sets[i % len(sets)],
                run_id=new_run_id(),
                writer_id=1 + i,
                attempt=i % 300,
                rank=i % 5,
                project=f"p{i % 4}",
                **({"n": [], "n_nan": [], "n_inf": []} if i % 7 == 0 else {}),
            )
            for i in range(90)
        )
    )
    frames += read(*(frame(rows=2, metrics=["loss"], first_seq=5 * i, run_id=OTHER, rank=9) for i in range(3)))
    frames += read(frame(rows=1000, run_id=OTHER))
    together, alone = blocks_of(frames), [blocks_of([one]) for one in frames[:90]]
    alone += [blocks_of(frames[90:93]), blocks_of(frames[93:])]
    for table in range(3):
        expected = [repr(row) for pair in alone for row in as_rows(pair[table])]
        assert sorted(repr(row) for row in as_rows(together[table])) == sorted(expected)


def test_steps_in_disorder_stand_in_the_summary() -> None:
    first, second = read(frame(rows=3), frame(rows=2, metrics=["x"], first_seq=3))
    summary = blocks_of([first, second], {(first.origin, id(first.blocks[0].keys)): (-5, 7)}).metric_summary
    found = {row["metric"]: (row["redo_lo"], row["redo_hi"]) for row in as_rows(summary)}
    assert found == {"acc": (-5, 7), "loss": (-5, 7), "x": (2**63 - 1, -(2**63))}


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 2**63 - 1)), min_size=1, max_size=5),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
)
def test_versions_of_arrays_are_the_versions_of_their_times(who: list[tuple[int, int]], times: list[int]) -> None:
    attempts = np.array([attempt for attempt, _ in who], np.uint16)
    writers = np.array([writer for _, writer in who], np.uint64)
    expected = [[version(attempt, time_us, writer) for time_us in times] for attempt, writer in who]
    found = versions(attempts[:, None], np.array([times] * len(who), np.int64), writers[:, None])
    assert found.tolist() == expected


def test_a_version_orders_by_attempt_then_time() -> None:
    assert version(0, NOW_US, 63) < version(0, NOW_US + 1, 0) < version(1, 0, 0) < version(65535, 0, 0) < 2**64
    assert version(3, 1_735_689_600_000_001, 5) == 3 << 56 | 1 << 6 | 5
