from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from runstream_ui.urls import file_link, join_list, run_link, split_list


@given(st.lists(st.text(min_size=1), unique=True))
def test_a_list_comes_back_from_a_link_as_it_went_in(items: list[str]) -> None:
    assert split_list(join_list(items)) == items


def test_a_link_to_a_run_survives_any_project_name() -> None:
    link = run_link("a&b=c/ü#", "0193f1a2")
    assert parse_qs(urlsplit(link).query) == {"project": ["a&b=c/ü#"], "run": ["0193f1a2"]}


def test_a_link_to_a_file_stays_one_path_segment() -> None:
    assert file_link("ab", "../a b?.png") == "files/ab/..%2Fa%20b%3F.png"
