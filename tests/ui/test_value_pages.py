"""The tabs of rich values, console and machines in Streamlit's harness, over real data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from runstream.objects import open_store
from runstream_ui import context
from runstream_ui.settings import UiSettings
from ui.project_data import HOSTILE, fill
from ui.ui_pages import Pages, texts
from ui.values_data import Values, fill_values

pytestmark = pytest.mark.clickhouse
Open = Callable[[str], Pages]

TABS = ("System", "Media", "Histograms", "Tables", "Text", "Console")
EMPTY = {
    "System": "RUNSTREAM_SYSTEM=1",
    "Media": "runstream.Image(",
    "Histograms": "run.watch(model)",
    "Tables": "runstream.Table(",
    "Text": "model.generate(",
    "Console": "RUNSTREAM_CONSOLE=1",
}


@pytest.fixture(scope="module")
def digits(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, list[str]]:
    """(database, object store, run ids): the first two runs have values, the third is called what is hostile and has
    names of the same kind, the fourth has nothing, the fifth a picture and an empty text."""
    objects = tmp_path_factory.mktemp("values").as_uri()
    run_ids = fill(module_database, runs=5, steps=60, running=0, names=["one", "two", HOSTILE]).run_ids
    store = open_store(objects)
    fill_values(module_database, store, run_ids[:2], steps=60)
    values = Values(module_database, store, steps=60)
    values.media(run_ids[2], HOSTILE, 1, b"{}", kind="file", mime="text/html", caption=HOSTILE)
    values.texts(run_ids[2], HOSTILE, {1: HOSTILE, 2: f"{HOSTILE}\n{HOSTILE}"}, mime="text/markdown")
    for name in (HOSTILE, *(f"{HOSTILE}/{number}" for number in range(14)), "gradients/a", "gradients/b"):
        values.histograms(run_ids[2], name, {1: ([0.0, 1.0], [3.0])})
    values.table(run_ids[2], HOSTILE, 1, [(HOSTILE, "string")], [[HOSTILE]])
    values.console(run_ids[2], [HOSTILE, "\x1b]0;title\x07\x00" + HOSTILE])
    values.samples(run_ids[2], HOSTILE, "cpu.percent", [1.0, float("nan"), float("inf"), 2.0], device=HOSTILE)
    values.media(run_ids[4], "picture", 1, b"1", kind="image", mime="image/png")
    values.texts(run_ids[4], "note", {1: ""})
    values.close()
    return module_database, objects, run_ids


@pytest.fixture
def opened(digits: tuple[str, str, list[str]], pages: Open) -> tuple[Pages, list[str]]:
    database, objects, run_ids = digits
    over = pages(database)
    context.configure(UiSettings(clickhouse=database, s3=objects))
    return over, run_ids


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_shows_what_the_run_logged(opened: tuple[Pages, list[str]], tab: str) -> None:
    pages, run_ids = opened
    app = pages.open("run", project="digits", run=run_ids[0], tab=tab)
    assert not app.exception
    assert EMPTY[tab] not in texts(app)


@pytest.mark.parametrize("tab", TABS)
def test_a_run_without_any_says_the_very_code_to_get_some(opened: tuple[Pages, list[str]], tab: str) -> None:
    pages, run_ids = opened
    app = pages.open("run", project="digits", run=run_ids[3], tab=tab)
    assert not app.exception
    assert EMPTY[tab] in texts(app)


@pytest.mark.parametrize("tab", TABS)
def test_what_somebody_logged_is_text_on_every_tab(opened: tuple[Pages, list[str]], tab: str) -> None:
    pages, run_ids = opened
    app = pages.open("run", project="digits", run=run_ids[2], tab=tab)
    assert not app.exception
    # In Markdown, HTML is text by itself: Streamlit renders none.
    shown = "\n".join(str(getattr(element, "value", None) or element.proto.body) for element in app.get("html"))
    assert "<img src=x" not in shown


@pytest.mark.parametrize("tab", [tab for tab in TABS if tab != "Console"])
def test_runs_are_compared_by_their_values(opened: tuple[Pages, list[str]], tab: str) -> None:
    pages, run_ids = opened
    app = pages.open("compare", project="digits", runs=",".join(run_ids), tab=tab)
    assert not app.exception


@pytest.mark.parametrize("at", ["30", "-5", "99999999999999999999", "nonsense"])
def test_a_step_in_the_link_is_looked_at_or_the_nearest_one(opened: tuple[Pages, list[str]], at: str) -> None:
    pages, run_ids = opened
    app = pages.open("run", project="digits", run=run_ids[0], tab="Media", at=at)
    assert not app.exception
    expected = {"30": "<b>30</b>", "-5": "<b>0</b>"}.get(at, "newest")
    assert expected in texts(app)


def test_texts_of_two_runs_are_compared_word_by_word(opened: tuple[Pages, list[str]]) -> None:
    pages, run_ids = opened
    link = {"runs": ",".join(run_ids[:2]), "tab": "Text", "text": "samples/story", "text-mode": "Differences"}
    shown = texts(pages.open("compare", project="digits", **link))
    assert "<del>" in shown
    assert "<ins>" in shown


def test_two_equal_texts_are_said_to_be_equal(opened: tuple[Pages, list[str]]) -> None:
    pages, run_ids = opened
    link = {"text": "samples/story", "text-mode": "Differences", "left-step": "0", "right-step": "0"}
    shown = texts(pages.open("run", project="digits", run=run_ids[0], tab="Text", **link))
    assert "The two texts are the same." in shown


def test_texts_are_found_in_all_steps(opened: tuple[Pages, list[str]]) -> None:
    pages, run_ids = opened
    shown = texts(pages.open("run", project="digits", run=run_ids[0], tab="Text", **{"text-search": "EPOCH 30"}))
    assert "<b>1</b> times" in shown


def test_markdown_loads_no_picture_of_another_server(opened: tuple[Pages, list[str]]) -> None:
    pages, run_ids = opened
    app = pages.open("run", project="digits", run=run_ids[0], tab="Text", text="report/markdown")
    assert "## Epoch 30" in texts(app)
    assert "![" not in texts(app)


def test_a_table_is_filtered_in_the_link_and_a_wrong_filter_is_explained(opened: tuple[Pages, list[str]]) -> None:
    pages, run_ids = opened
    link = {"tab": "Tables", "table": "val/predictions"}
    shown = texts(
        pages.open("run", project="digits", run=run_ids[0], **link, **{"table-filter": "label = cat and id < 9"})
    )
    assert "<b>3</b> of 240 rows" in shown
    shown = texts(pages.open("run", project="digits", run=run_ids[0], **link, **{"table-filter": "nope = 1"}))
    assert 'class="rs-wrong"' in shown
    assert "<b>240</b> rows" in shown


def test_tables_of_two_steps_are_compared(opened: tuple[Pages, list[str]]) -> None:
    pages, run_ids = opened
    link = {"table": "val/predictions", "table-mode": "Differences", "left-step": "0", "right-step": "59"}
    app = pages.open("run", project="digits", run=run_ids[0], tab="Tables", **link)
    assert not app.exception
    assert "239 changed, 1 same" in texts(app)


@pytest.mark.parametrize(
    ("link", "count"),
    [
        ({"find": "RuntimeError"}, "<b>1</b> line matches"),
        ({"find": "runtimeerror", "find-case": "true"}, "<b>0</b> lines"),
        ({"find": "step (7|9) ", "find-regex": "true"}, "<b>2</b> lines"),
        ({"find": "gradient norm", "stream": "stderr"}, "<b>5</b> lines"),
        ({"find": "all-reduce", "rank": "1"}, "<b>120</b> lines"),
    ],
)
def test_the_console_is_searched(opened: tuple[Pages, list[str]], link: dict[str, str], count: str) -> None:
    pages, run_ids = opened
    app = pages.open("run", project="digits", run=run_ids[0], tab="Console", **link)
    assert not app.exception
    assert count in texts(app)


def test_a_wrong_regular_expression_is_explained(opened: tuple[Pages, list[str]]) -> None:
    pages, run_ids = opened
    app = pages.open("run", project="digits", run=run_ids[0], tab="Console", find="(", **{"find-regex": "true"})
    assert not app.exception
    assert "cannot read this as a regular expression" in texts(app)
    assert "lines loaded" in texts(app)


@pytest.mark.parametrize("line", ["first", "1-2-3", "99999999999999999999-1-1", "a-b-c"])
def test_any_place_in_the_link_shows_lines(opened: tuple[Pages, list[str]], line: str) -> None:
    pages, run_ids = opened
    app = pages.open("run", project="digits", run=run_ids[0], tab="Console", line=line)
    assert not app.exception
    assert "lines loaded" in texts(app)


@pytest.mark.parametrize("moment", ["1795458846153666", "99999999999999999999"])
@pytest.mark.parametrize("tab", ["Charts", "System", "Console"])
def test_any_moment_in_the_link_is_shown_or_passed_over(opened: tuple[Pages, list[str]], tab: str, moment: str) -> None:
    pages, run_ids = opened
    app = pages.open("run", project="digits", run=run_ids[0], tab=tab, moment=moment)
    assert not app.exception


def test_a_blob_that_is_not_there_yet_breaks_nothing(
    digits: tuple[str, str, list[str]], pages: Open, tmp_path: Path
) -> None:
    over = pages(digits[0])
    context.configure(UiSettings(clickhouse=digits[0], s3=(tmp_path / "elsewhere").as_uri()))
    for tab in ("Media", "Tables"):
        app = over.open("run", project="digits", run=digits[2][0], tab=tab)
        assert not app.exception


def test_a_run_without_points_leads_to_what_else_it_logged(opened: tuple[Pages, list[str]]) -> None:
    _, run_ids = opened

    def part(run_id: str) -> None:
        from runstream_ui.widgets.empty import no_points

        no_points("digits", (run_id,))

    app = AppTest.from_function(part, args=(run_ids[4],), default_timeout=60).run()
    assert not app.exception
    assert "No points yet" in texts(app)
    assert [button.label for button in app.button] == ["Media · 1 name", "Text · 1 name"]


def test_an_empty_text_says_so(opened: tuple[Pages, list[str]]) -> None:
    pages, run_ids = opened
    assert "An empty text." in texts(pages.open("run", run=run_ids[4], tab="Text"))


def test_a_histogram_without_a_finite_value_says_so(database: str, pages: Open, tmp_path: Path) -> None:
    run_id = fill(database, runs=1, steps=10).run_ids[0]
    values = Values(database, open_store(tmp_path.as_uri()), steps=10)
    values.histograms(run_id, "empty", {1: ([0.0, 1.0], [0.0])})
    values.close()
    app = pages(database).open("run", project="digits", run=run_id, tab="Histograms")
    assert not app.exception
    assert "All bins are empty" in texts(app)
