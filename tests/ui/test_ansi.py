"""Console colours: shown, and nothing else of what a line or its styles could say."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_ui.ansi import as_html, found

_TAG = re.compile(r"</?(?:span|mark)(?: [^>]*)?>")
_STYLES = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["", "31", "1;92", "7", "48;2;1;2;3"]))).map(
    lambda runs: " ".join(f"{place}:{codes}" for place, codes in sorted(dict(runs).items()))
)


@pytest.mark.parametrize(
    ("text", "styles", "shown"),
    [
        ("plain", "", "plain"),
        ("", "0:31", ""),
        ("red rest", "0:31 3:", '<span class="a-red">red</span> rest'),
        ("ok", "0:1;92", '<span class="a-bold a-bright-green">ok</span>'),
        ("ox", "0:38;2;255;135;0 1:", '<span style="color:light-dark(#a65800,#ff8700)">o</span>x'),
        ("o", "0:38;2;120;120;120;48;2;1;2;3", '<span style="color:#787878;background:#010203">o</span>'),
        ("o", "0:48;2;1;2;3", '<span style="color:#ffffff;background:#010203">o</span>'),
        ("o", "0:37;48;2;1;2;3", '<span style="color:#ffffff;background:#010203">o</span>'),
        ("o", "0:37;41", '<span class="a-white a-on-red">o</span>'),
        ("o", "0:7", '<span class="a-inverse">o</span>'),
        ("o", "0:7;31", '<span class="a-on-red">o</span>'),
        ("abc", "99:31", "abc"),
        ("abc", '0:31"><script>', "abc"),
        ("abc", "0:31;999999999", "abc"),
    ],
)
def test_a_line_is_shown_with_its_colours(text: str, styles: str, shown: str) -> None:
    assert as_html(text, styles) == shown


def test_markup_in_a_line_is_text() -> None:
    assert as_html("<img src=x onerror='x'>", "0:31") == (
        '<span class="a-red">&lt;img src=x onerror=&#x27;x&#x27;&gt;</span>'
    )


@given(st.text(alphabet="ab<>&\"'[];:m0?K\\\t"), _STYLES | st.text(alphabet='0123456789:; "<x'))
def test_without_its_tags_a_line_is_its_text(text: str, styles: str) -> None:
    assert html.unescape(_TAG.sub("", as_html(text, styles))) == text


@given(st.text(alphabet="ab<&m"), _STYLES, st.sampled_from(["a", "b<", "a|b", "", "m+"]))
def test_hits_are_marked_across_changes_of_colour(text: str, styles: str, pattern: str) -> None:
    marks = found(text, re.compile(pattern))
    shown = as_html(text, styles, marks)
    assert html.unescape(_TAG.sub("", shown)) == text
    inside = "".join(re.findall("<mark>(.*?)</mark>", shown))
    assert html.unescape(inside) == "".join(text[start:end] for start, end in marks)
