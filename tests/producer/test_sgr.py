"""Colours of a line: runs over its characters, by the side of a model that gives each character its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runstream.masking import MASK
from runstream.sgr import Runs, after, from_text, moved, painted, style, to_text

CODES = st.sampled_from(["", "31", "1;32", "38;2;1;2;3"])
STROKES = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 8), CODES), max_size=12)
PIECES = st.lists(st.tuples(st.sampled_from(["ab", "c", " ", "***", "ab "]), st.booleans()), max_size=8)


def cells(runs: Runs, length: int) -> list[str]:
    codes, found = dict(runs), [""]
    for place in range(length):
        found.append(codes.get(place, found[-1]))
    return found[1:]


def drawn(strokes: list[tuple[int, int, str]]) -> Runs:
    runs: Runs = []
    for start, length, codes in strokes:
        runs = painted(runs, start, start + length, codes)
    return runs


@given(STROKES)
def test_what_is_written_over_has_the_later_colour(strokes: list[tuple[int, int, str]]) -> None:
    model = [""] * 24
    for start, length, codes in strokes:
        model[start : start + length] = [codes] * length
    runs = drawn(strokes)
    assert cells(runs, 24) == model
    assert from_text(to_text(runs)) == runs


@given(pieces=PIECES, strokes=STROKES)
def test_masking_moves_the_colours_of_what_is_left(
    pieces: list[tuple[str, bool]], strokes: list[tuple[int, int, str]]
) -> None:
    text = "".join("#" * 5 if secret else piece for piece, secret in pieces)
    masked = "".join(MASK if secret else piece for piece, secret in pieces)
    runs = drawn(strokes)
    before, behind = cells(runs, len(text)), cells(moved(runs, text, masked, MASK), len(masked))
    kept = [code for letter, code in zip(text, before, strict=True) if letter not in "#*"]
    assert [code for letter, code in zip(masked, behind, strict=True) if letter != "*"] == kept


@given(
    st.lists(
        st.integers(0, 120).map(str) | st.sampled_from(["38;5;7", "48;5;200", "38;2;9;8", ":", "99999"]), max_size=9
    )
)
def test_parameters_say_at_once_what_came_one_by_one(codes: list[str]) -> None:
    whole = ""
    for one in codes:
        whole = after(whole, one)
    assert style(whole) == style(after("", whole))
    assert len(whole) <= 60


@given(st.text())
def test_any_text_is_read_as_runs_or_as_none(text: str) -> None:
    assert from_text(to_text(from_text(text))) == from_text(text)
