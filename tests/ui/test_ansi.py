"""Console colours: shown, and nothing else of what an escape sequence can say."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_ui.ansi import as_html, found, plain

_TAG = re.compile(r"</?(?:span|mark)(?: [^>]*)?>")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m rest", '<span class="a-red">red</span> rest'),
        ("\x1b[1;92mok\x1b[m", '<span class="a-bold a-bright-green">ok</span>'),
        ("\x1b[38;5;208mo\x1b[39mx", '<span style="color:#ff8700">o</span>x'),
        ("\x1b[48;2;1;2;3mo", '<span style="background:#010203">o</span>'),
        ("\x1b[38;5;9mo", '<span class="a-bright-red">o</span>'),
        ("\x1b[41;37mo", '<span class="a-white a-on-red">o</span>'),
        ("\x1b[7mo", '<span class="a-inverse">o</span>'),
        ("\x1b[31;7mo", '<span class="a-on-red">o</span>'),
        ("\x1b[2K\x1b[1Ga\x1b[?25lb", "ab"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]8;;https://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[38;5m", ""),
        ("\x1b[999999999999999mx", "x"),
        ("a\x00b\x07c\td", "abc\td"),
    ],
)
def test_a_line_is_shown_with_its_colours(text: str, shown: str) -> None:
    assert as_html(text) == shown


def test_markup_in_a_line_is_text() -> None:
    assert as_html("\x1b[31m<img src=x onerror='x'>") == (
        '<span class="a-red">&lt;img src=x onerror=&#x27;x&#x27;&gt;</span>'
    )


def test_a_sequence_cannot_write_into_an_attribute() -> None:
    assert as_html('\x1b[38;2;1"x;1;1mtext') == ";1;1mtext"
    assert as_html("\x1b[38;2;1;2;3m'\"") == '<span style="color:#010203">&#x27;&quot;</span>'


@given(st.text(alphabet=st.sampled_from("ab<>&\"'\x1b[];:m0123456789?K\x07\\\t")))
def test_without_its_tags_a_line_is_its_plain_text(text: str) -> None:
    assert html.unescape(_TAG.sub("", as_html(text))) == plain(text)


@given(st.text(alphabet=st.sampled_from("ab<&\x1b[1m")), st.sampled_from(["a", "b<", "a|b", "", "m+"]))
def test_hits_are_marked_across_changes_of_colour(text: str, pattern: str) -> None:
    marks = found(text, re.compile(pattern))
    shown = as_html(text, marks)
    assert html.unescape(_TAG.sub("", shown)) == plain(text)
    inside = "".join(re.findall("<mark>(.*?)</mark>", shown))
    assert html.unescape(inside) == "".join(plain(text)[start:end] for start, end in marks)
