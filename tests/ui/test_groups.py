from __future__ import annotations

from collections.abc import Callable

import pytest

from runstream_storage.filters.parser import parse
from runstream_ui.views.groups import condition
from ui.project_data import fill
from ui.ui_pages import Pages, texts


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("adam", 'config.x = "adam"'),
        ('a "b" \\', 'config.x = "a \\"b\\" \\\\"'),
        (0.1, "config.x = 0.1"),
        (-3, "config.x = -3"),
        (True, "config.x = true"),
        (None, "config.x is null"),
    ],
)
def test_the_runs_of_a_group_have_a_filter(key: str | float | bool | None, text: str) -> None:
    assert condition("config.x", key) == text
    parse(text)


@pytest.mark.clickhouse
def test_runs_are_grouped_with_means_and_drawn_as_bands(database: str, pages: Callable[[str], Pages]) -> None:
    fill(database, runs=12, steps=20, with_points=12)
    app = pages(database).open(by="config.optimizer", filter='state = "finished"')
    assert not app.exception
    drawn = "".join(str(element.proto) for element in app.get("bidi_component"))
    assert "groups</b> of runs, means of each" in texts(app)
    for said in ("mean last", "adam", "mean-adam", "spread-adam"):
        assert said in drawn


@pytest.mark.clickhouse
def test_a_group_by_nothing_that_exists_is_pointed_at(database: str, pages: Callable[[str], Pages]) -> None:
    fill(database, runs=1, steps=2)
    app = pages(database).open(by="last(")
    assert not app.exception
    assert 'class="rs-wrong"' in texts(app)
