"""Each page in Streamlit's harness, over real data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runstream.objects import open_store
from ui.project_data import HOSTILE, add_artifact, fill
from ui.ui_pages import Pages, texts
from ui.values_data import png

pytestmark = pytest.mark.clickhouse
Open = Callable[[str], Pages]


@pytest.fixture(scope="module")
def digits(module_database: str) -> tuple[str, list[str]]:
    return module_database, fill(module_database, runs=30, steps=40, names=["newest", HOSTILE]).run_ids


@pytest.fixture
def filled(digits: tuple[str, list[str]], pages: Open) -> tuple[Pages, list[str]]:
    return pages(digits[0]), digits[1]


def test_the_home_page_says_how_many_runs_there_are_and_which_is_best(filled: tuple[Pages, list[str]]) -> None:
    app = filled[0].open()
    assert not app.exception
    shown = texts(app)
    assert "<b>30</b> runs" in shown
    assert "1 running" in shown
    assert "best val/acc" in shown


def test_a_filter_in_the_link_narrows_the_table(filled: tuple[Pages, list[str]]) -> None:
    app = filled[0].open(filter='state = "failed"')
    assert not app.exception
    assert "<b>3</b> of 30 runs" in texts(app)


def test_a_wrong_filter_is_pointed_at_and_the_runs_stay(filled: tuple[Pages, list[str]]) -> None:
    shown = texts(filled[0].open(filter="config.lr <"))
    assert 'class="rs-wrong"' in shown
    assert "^" in shown
    assert "<b>30</b> runs" in shown


def test_a_filter_that_matches_nothing_says_what_to_do(filled: tuple[Pages, list[str]]) -> None:
    assert "No run matches the filter" in texts(filled[0].open(filter='name = "no such run"'))


def test_a_run_shows_its_state_commit_and_every_metric(filled: tuple[Pages, list[str]]) -> None:
    pages, run_ids = filled
    app = pages.open("run", project="digits", run=run_ids[0])
    assert not app.exception
    shown = texts(app)
    assert '<h1 dir="auto" title="newest">newest</h1>' in shown
    assert "running" in shown
    assert "8c1f0a92b + changes" in shown
    for metric in ("train/loss", "train/acc", "val/loss", "val/acc", "lr", "epoch"):
        assert f'title="{metric}"' in shown


@pytest.mark.parametrize("tab", ["Params", "Metrics", "Artifacts", "Environment"])
def test_every_tab_of_a_run_opens(filled: tuple[Pages, list[str]], tab: str) -> None:
    pages, run_ids = filled
    app = pages.open("run", project="digits", run=run_ids[0], tab=tab)
    assert not app.exception


@pytest.mark.parametrize("run_id", ["nonsense", "00000000-0000-7000-8000-000000000000", "' OR 1=1 --", "<b>x</b>"])
def test_a_link_to_a_run_that_is_not_there_says_so(filled: tuple[Pages, list[str]], run_id: str) -> None:
    app = filled[0].open("run", project="digits", run=run_id)
    assert not app.exception
    assert "No such run" in texts(app)


def test_a_link_may_name_a_run_by_its_name(filled: tuple[Pages, list[str]]) -> None:
    assert "newest</h1>" in texts(filled[0].open("run", project="digits", run="newest"))


@pytest.mark.parametrize("tab", ["Charts", "Params", "Metrics", "Parallel", "Scatter"])
def test_runs_are_compared(filled: tuple[Pages, list[str]], tab: str) -> None:
    pages, run_ids = filled
    app = pages.open("compare", project="digits", runs=",".join(run_ids[:3]), tab=tab)
    assert not app.exception
    assert app.multiselect(key="compared").value == run_ids[:3]


def test_comparing_nothing_says_what_to_do(filled: tuple[Pages, list[str]]) -> None:
    assert "Nothing to compare yet" in texts(filled[0].open("compare", project="digits"))


def test_a_query_in_the_link_is_answered(filled: tuple[Pages, list[str]]) -> None:
    app = filled[0].open("sql", project="digits", q="SELECT count() AS n FROM v_runs")
    assert not app.exception
    assert "<b>1 row</b>" in texts(app)
    assert int(app.dataframe[0].value["n"].iloc[0]) == 30


def test_a_wrong_query_is_answered_with_the_place_and_the_reason(filled: tuple[Pages, list[str]]) -> None:
    app = filled[0].open("sql", project="digits", q="SELECT nope FROM v_runs")
    assert not app.exception
    assert "nope" in texts(app)
    assert 'class="rs-wrong"' in texts(app)


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE runs",
        "INSERT INTO runs (project) VALUES ('x')",
        "ALTER TABLE runs DELETE WHERE 1",
        "SYSTEM SHUTDOWN",
    ],
)
def test_the_sql_page_cannot_write(filled: tuple[Pages, list[str]], query: str) -> None:
    pages, _ = filled
    app = pages.open("sql", project="digits", q=query)
    assert 'class="rs-wrong"' in texts(app)
    assert "<b>30</b> runs" in texts(pages.open())


def test_the_views_are_documented_beside_the_editor(filled: tuple[Pages, list[str]]) -> None:
    shown = texts(filled[0].open("sql", project="digits"))
    for column in ("run_id", "run_name", "created_at"):
        assert f"<th>{column}</th>" in shown


@pytest.mark.s3
def test_artifacts_are_listed_with_their_versions_and_files(database: str, pages: Open, tmp_path: Path) -> None:
    filled = fill(database, runs=3, steps=5)
    files = {"model.pt": b"weights", "dir/confusion.png": png(2, 2, lambda x, y: x + y)}
    add_artifact(database, filled, open_store((tmp_path / "objects").as_uri()), files)
    opened = pages(database)
    app = opened.open("artifacts", project="digits", artifact="classifier", file="dir/confusion.png")
    assert not app.exception
    shown = texts(app)
    assert 'title="alias">best' in shown
    assert "images/" in shown


def test_a_project_without_runs_shows_how_to_log_one(database: str, pages: Open) -> None:
    app = pages(database).open()
    assert not app.exception
    assert "runstream.init(" in texts(app)


def test_a_server_that_is_away_is_named_without_its_password(pages: Open) -> None:
    app = pages("http://reader:s3cret@127.0.0.1:9/runstream").open()
    assert not app.exception
    shown = texts(app)
    assert "does not answer" in shown
    assert "127\\.0\\.0\\.1" in shown
    assert "s3cret" not in shown


@pytest.mark.parametrize("page", ["runs", "run", "compare", "artifacts", "sql", "health"])
def test_what_a_run_is_called_is_text_on_every_page(filled: tuple[Pages, list[str]], page: str) -> None:
    pages, run_ids = filled
    app = pages.open(page, project="digits", run=run_ids[1], runs=",".join(run_ids[:2]), sel=",".join(run_ids[:2]))
    assert not app.exception
    assert "<img src=x" not in texts(app)


def test_a_long_name_is_cut_in_the_middle_of_the_header_with_the_whole_on_hover(database: str, pages: Open) -> None:
    name = "start-" + "x" * 190 + "-end"
    run_id = fill(database, runs=1, steps=5, names=[name]).run_ids[0]
    shown = texts(pages(database).open("run", project="digits", run=run_id))
    assert f'title="{name}"' in shown
    assert f">{name}<" not in shown
    assert "-end</h1>" in shown


def test_many_hundred_selected_runs_are_an_ordinary_selection(database: str, pages: Open) -> None:
    run_ids = fill(database, runs=900, steps=5, with_points=3).run_ids
    app = pages(database).open(sel=",".join(run_ids))
    assert not app.exception
    shown = texts(app)
    assert 'class="rs-wrong"' not in shown
    assert "The first 30 of 900 selected runs are drawn" in shown
    assert "Compare 900" in {button.label for button in app.button}


def test_of_very_many_groups_it_is_said_that_the_largest_are_shown(database: str, pages: Open) -> None:
    fill(database, runs=230, steps=5, with_points=3)
    shown = texts(pages(database).open(by="config.seed"))
    assert "the 200 largest groups</b> of runs" in shown
    assert "<b>3 groups</b> of runs" in texts(pages(database).open(by="group"))


def test_of_very_many_runs_the_comparison_says_which_it_has(database: str, pages: Open) -> None:
    run_ids = fill(database, runs=40, steps=5, with_points=3).run_ids
    shown = texts(pages(database).open("compare", project="digits", runs=",".join(run_ids), tab="Params"))
    assert "The first 30 of 40 runs are compared" in shown
