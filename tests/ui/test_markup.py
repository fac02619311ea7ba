from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from runstream_ui.markup import chart_script, in_chart, in_html, in_markdown

MARKER = "--x_x--0_0--"


def test_html_is_shown_as_it_was_written() -> None:
    assert in_html("<b onclick='x'>&\"") == "&lt;b onclick=&#x27;x&#x27;&gt;&amp;&quot;"


@given(st.text())
def test_no_character_that_opens_a_tag_or_ends_an_attribute_survives(text: str) -> None:
    assert not set(in_html(text)) & set("<>\"'")


@given(st.text(alphabet="*_`[]()#:$!<>~|\\abc ", max_size=40))
def test_every_character_that_markdown_reads_is_escaped(text: str) -> None:
    escaped = in_markdown(text)
    position = 0
    while position < len(escaped):
        if escaped[position] == "\\":
            position += 2
        else:
            assert escaped[position] not in "*_`[]()#:$!<>~|"
            position += 1


@given(st.lists(st.sampled_from([MARKER, MARKER[:6], MARKER[6:], "alert(1)", "x"]), max_size=8).map("".join))
def test_no_text_of_a_user_reaches_a_chart_as_a_script(text: str) -> None:
    options = in_chart({"series": [{"name": text, text: (text, 1.0)}]})
    assert MARKER not in json.dumps(options)


def test_points_and_other_values_of_a_chart_stay_as_they_are() -> None:
    options = {"data": [[1.0, None], [2, True], (3.5, 4.0)], "names": ["a", 1, None], "empty": []}
    assert json.dumps(in_chart(options)) == json.dumps(options)


def test_a_script_of_ours_is_marked_for_the_chart() -> None:
    assert chart_script("function () {}") == f"{MARKER}function () {{}}{MARKER}"
