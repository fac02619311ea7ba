from __future__ import annotations

from io import BytesIO

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstream_ingest.errors import MessageUnusable
from runstream_ingest.varints import FEW, read_long, read_longs

LONG = fastavro.parse_schema({"type": "long"})
any_long = st.integers(-(2**63), 2**63 - 1)
short = st.integers(-200, 200)


def encoded(values: list[int]) -> bytes:
    out = BytesIO()
    for value in values:
        fastavro.schemaless_writer(out, LONG, value)
    return out.getvalue()


@settings(max_examples=200)
@given(
    st.one_of(st.lists(any_long, min_size=1, max_size=90), st.lists(short, min_size=1, max_size=90)),
    st.binary(max_size=12),
    st.binary(max_size=12),
)
def test_numbers_come_back_wherever_they_stand(values: list[int], before: bytes, after: bytes) -> None:
    body = encoded(values)
    found, end = read_longs(before + body + after, len(before), len(values))
    assert found.tolist() == values
    assert end == len(before) + len(body)


@pytest.mark.parametrize("count", [1, FEW - 1, FEW, 500])
def test_numbers_cut_off_anywhere_are_refused(count: int) -> None:
    body = encoded([2**62 - 1, -1, 0] * count)[:-1]
    for size in range(0, len(body), max(1, len(body) // 60)):
        with pytest.raises(MessageUnusable, match=r"truncated|unreadable"):
            read_longs(body[:size], 0, 3 * count)


@pytest.mark.parametrize("count", [2, 100])
def test_a_number_of_more_than_ten_bytes_is_refused(count: int) -> None:
    data = b"\xff" * 11 + b"\x01" + bytes(count)
    with pytest.raises(MessageUnusable, match="unreadable"):
        read_longs(data, 0, count)
    with pytest.raises(MessageUnusable, match="unreadable"):
        read_long(data, 0)


def test_a_huge_count_allocates_nothing() -> None:
    with pytest.raises(MessageUnusable, match="truncated"):
        read_longs(bytes(100), 0, 2**62)


@pytest.mark.parametrize("spelling", [b"\x82\x00", b"\x82\x80\x80\x00"])
def test_a_number_with_needless_bytes_means_the_same(spelling: bytes) -> None:
    assert read_long(spelling, 0) == (1, len(spelling))
    found, _ = read_longs(spelling * 60, 0, 60)
    assert found.tolist() == [1] * 60
    assert found.dtype == np.int64
