from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runstream_ingest import stretches
from runstream_ingest.stretches import Stretches

PIECE = st.tuples(st.integers(0, 30), st.integers(0, 30))


def numbers(held: Stretches) -> set[int]:
    return {n for start, end in zip(held[::2], held[1::2], strict=True) for n in range(start, end)}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.booleans(), PIECE)), PIECE)
def test_stretches_are_a_set_of_numbers(changes: list[tuple[bool, tuple[int, int]]], asked: tuple[int, int]) -> None:
    held: Stretches = []
    expected: set[int] = set()
    for adds, (start, end) in changes:
        (stretches.add if adds else stretches.remove)(held, start, end)
        expected = expected | set(range(start, end)) if adds else expected - set(range(start, end))
        assert held == sorted(set(held)), "starts and ends rise, and no two stretches touch"
        assert numbers(held) == expected
    found = [n for piece in stretches.missing(held, *asked) for n in range(*piece)]
    assert found == [n for n in range(*asked) if n not in expected]
    for number in expected:
        start, end = stretches.around(held, number)
        assert number in range(start, end)
        assert set(range(start, end)) <= expected
