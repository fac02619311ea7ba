from __future__ import annotations

import io
from array import array

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstream import varints

LONGS = fastavro.parse_schema({"type": "array", "items": "long"})


def reference(values: array[int]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, LONGS, values)
    return out.getvalue()


@given(
    start=st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**56) | st.integers(0, 20000),
    stride=st.integers(0, 3) | st.integers(-(2**20), 2**20),
    count=st.integers(0, 2500),
)
@settings(max_examples=150, deadline=None)
def test_runs_of_longs_are_the_bytes_of_fastavro(start: int, stride: int, count: int) -> None:
    values = array("q", [((start + i * stride + 2**63) % 2**64) - 2**63 for i in range(count)])
    assert varints.encode_longs(values) == reference(values)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 127), min_size=32, max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_longs_are_the_bytes_of_fastavro(values: list[int]) -> None:
    assert varints.encode_longs(array("q", values)) == reference(array("q", values))


@pytest.mark.parametrize("bits", range(64))
def test_one_odd_value_among_equals_is_not_lost(bits: int) -> None:
    for odd in (2**bits - 1, -(2**bits)):
        for place in (1, 500, 1023):
            values = array("q", [1_764_000_000_000_000]) * 1024
            values[place] = odd
            assert varints.encode_longs(values) == reference(values)
