"""Text of two steps or runs, compared."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstream_ui.text_diff import changes, diff_html, words_marked

_TAG = re.compile(r"</?(?:ins|del)>")
_LINES = st.lists(st.sampled_from(["the cat sat", "the dog sat", "<b>", "", "a & b", "ünï"]), max_size=8).map("\n".join)


def test_the_words_that_changed_are_marked() -> None:
    assert words_marked("the cat sat", "the dog sat") == ("the <del>cat</del> sat", "the <ins>dog</ins> sat")


def test_lines_with_nothing_in_common_are_not_marked_inside() -> None:
    assert words_marked("alpha", "1 2 3") == ("alpha", "1 2 3")


@given(st.text(alphabet='ab <&>"\x1b\u00fc'), st.text(alphabet='ab <&>"\x1b\u00fc'))
def test_marks_add_nothing_but_marks(old: str, new: str) -> None:
    left, right = words_marked(old, new)
    assert (html.unescape(_TAG.sub("", left)), html.unescape(_TAG.sub("", right))) == (old, new)


@pytest.mark.parametrize("layout", ["side by side", "inline"])
def test_markup_in_a_text_and_in_a_heading_is_text(layout: str) -> None:
    shown = diff_html("<img src=x>\nsame", "<b>\nsame", left="<i>a", right="b", layout=layout)  # type: ignore[arg-type]
    assert "<img" not in shown
    assert "<b>" not in shown
    assert "<i>" not in shown


@settings(max_examples=50)
@given(_LINES, _LINES)
def test_inline_shows_every_line_of_both(old: str, new: str) -> None:
    shown = diff_html(old, new, left="a", right="b", layout="inline")
    removed, added = changes(old, new)
    assert shown.count('class="rs-del"') == removed
    assert shown.count('class="rs-ins"') == added


def test_long_equal_stretches_are_folded() -> None:
    same = "\n".join(f"line {number}" for number in range(200))
    assert "lines the same" in diff_html(f"{same}\na", f"{same}\nb", left="a", right="b", layout="inline")


def test_a_line_of_a_megabyte_is_compared_as_a_whole() -> None:
    left, _ = words_marked("word " * 200_000, "other " * 200_000)
    assert "<del>" not in left
