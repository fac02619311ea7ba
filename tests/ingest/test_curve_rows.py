"""The rows of `curve` that ingest computes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_samples import NOW_US, RUN, frame, new_run_id, record, uuid_number

from runstream_ingest.clickhouse import Body
from runstream_ingest.frames import Frame, FrameReader
from runstream_ingest.insert import insert_settings
from runstream_ingest.native import Block, Keyed
from runstream_ingest.points import blocks_of
from runstream_storage.connection import connect

COLUMNS = "project, run_id, metric, rank, lvl, bucket"
number = st.one_of(st.floats(-100, 100), st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324]))
step = st.one_of(st.integers(-3000, 40_000), st.sampled_from([-(2**63), 2**63 - 1, 2**62]))


def read(*values: bytes) -> list[Frame]:
    reader = FrameReader()
    return [reader.read(value, record(value, i)) for i, value in enumerate(values)]


def as_rows(block: Block) -> list[tuple[Any, ...]]:
    columns: list[Any] = []
    for name, _, data in block.columns:
        if isinstance(data, Keyed):
            columns.append([data.keys[i].decode() for i in data.places])
        elif name == "run_id":
            columns.append([int(high) << 64 | int(low) for high, low in data])
        else:
            columns.append(data.tolist())
    return list(zip(*columns, strict=True))


def test_a_row_holds_the_extremes_of_a_bucket() -> None:
    (points,) = read(frame(rows=3, metrics=["loss"], steps=[1022, 1023, 1024], values=[3.0, 1.0, 2.0]))
    at = (uuid_number(RUN), "loss", 0)
    assert as_rows(blocks_of([points]).curve) == [
        ("demo", *at, 10, 0, 1.0, 3.0, NOW_US, NOW_US + 1000, 1022, 1023),
        ("demo", *at, 10, 1, 2.0, 2.0, NOW_US + 2000, NOW_US + 2000, 1024, 1024),
        ("demo", *at, 12, 0, 1.0, 3.0, NOW_US, NOW_US + 2000, 1022, 1024),
    ]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(step, number, number), min_size=1, max_size=40), st.integers(0, 39))
def test_rows_are_those_of_a_plain_loop(rows: list[tuple[int, float, float]], cut: int) -> None:
    messages, start = [], 0
    for part in (rows[:cut], rows[cut:]):
        if part:
            values = [value for row in part for value in row[1:]]
            steps = [row[0] for row in part]
            messages.append(frame(rows=len(part), metrics=["b", "a"], first_seq=start, steps=steps, values=values))
        start += len(part)
    expected: defaultdict[tuple[str, int, int], list[tuple[float, int, int]]] = defaultdict(list)
    for i, (at, *pair) in enumerate(rows):
        for metric, value in zip("ba", pair, strict=True):
            for level in (10, 12):
                expected[metric, level, at >> level].append((value, NOW_US + 1000 * i, at))
    found = as_rows(blocks_of(read(*messages)).curve)
    assert len(found) == len(expected)
    for _, _, metric, _, level, bucket, low, high, t0, t1, s0, s1 in found:
        inside = expected[metric, level, bucket]
        finite = [value for value, _, _ in inside if math.isfinite(value)] or [math.nan]
        assert repr((low + 0.0, high + 0.0)) == repr((min(finite) + 0.0, max(finite) + 0.0))
        assert (t0, t1) == (min(t for _, t, _ in inside), max(t for _, t, _ in inside))
        assert (s0, s1) == (min(s for _, _, s in inside), max(s for _, _, s in inside))


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    found = connect(database)
    yield found
    found.close()


@pytest.mark.clickhouse
def test_rows_are_those_of_the_views(client: Client) -> None:
    odd = [math.nan, math.inf, -math.inf, -0.0]
    many = [frame(rows=1, run_id=new_run_id(), rank=i, values=[odd[i % 4], i]) for i in range(60)]
    long = frame(rows=5000, first_seq=10**9, values=[odd[i % 4] if i % 100 < 9 else math.sin(i) for i in range(10_000)])
    back = frame(rows=50, steps=[7919 * i % 4001 - 2000 for i in range(50)])
    blocks = blocks_of(read(*many, long, back))
    insert(client, "points", blocks.points, "own", log_comment="")
    by_views = contents(client)
    client.command("TRUNCATE TABLE curve")
    insert(client, "points", blocks.points, "with curve")
    assert contents(client) == []
    insert(client, "curve", blocks.curve, "with curve")
    assert contents(client) == by_views
    assert len(by_views) > 100


def insert(client: Client, table: str, block: Block, token: str, **changes: Any) -> None:
    body: Any = Body(block.native)
    settings = {**insert_settings(block, token), **changes}
    client.raw_insert(table, column_names=block.names, insert_block=body, settings=settings, fmt="Native")


def contents(client: Client) -> list[str]:
    # `+ 0`: whether 0 or -0 is the least of both is not said.
    query = (
        f"SELECT {COLUMNS}, min(c.min) + 0, max(c.max) + 0, min(t0), max(t1), min(s0), max(s1) FROM curve AS c "
        f"GROUP BY {COLUMNS} ORDER BY {COLUMNS}"
    )
    return [repr(row) for row in client.query(query).result_rows]
