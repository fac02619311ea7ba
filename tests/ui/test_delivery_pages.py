"""What the pages say of rows that are missing, of starts, rewinds and forks, over real data."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runstream_storage.connection import connect
from runstream_storage.corrections import refresh
from ui.project_data import HOSTILE, Filled, define_metric, fail_to_read, fill, fork, lose_rows, start_again
from ui.ui_pages import Pages, texts

pytestmark = pytest.mark.clickhouse
Open = Callable[[str], Pages]
STEPS = 40


@pytest.fixture(scope="module")
def troubled(module_database: str) -> tuple[str, Filled, str]:
    """Newest first: a run with rows on their way, one with holes, one that was rewound and resumed, whole ones; and
    the id of a fork of the rewound one."""
    filled = fill(module_database, runs=8, steps=STEPS, with_points=8, names=["coming", "holes", HOSTILE])
    lose_rows(module_database, filled, filled.run_ids[0], (0, 30), rows=STEPS)
    lose_rows(module_database, filled, filled.run_ids[1], (0, 10), (15, 20), (21, 35), rows=STEPS)
    again = filled.run_ids[2]
    start_again(module_database, filled, again, attempt=1, first_step=20, steps=5, rewound=True)
    start_again(module_database, filled, again, attempt=2, first_step=25, steps=5, rewound=False)
    child = fork(module_database, filled, again, step=22, name="child")
    define_metric(module_database, "digits", filled.run_ids[3], "val/*", x_axis="epoch")
    fail_to_read(module_database, 7)
    client = connect(module_database)
    refresh(client)
    client.close()
    return module_database, filled, child


def run_page(pages: Open, troubled: tuple[str, Filled, str], number: int, **params: str) -> str:
    database, filled, _ = troubled
    app = pages(database).open("run", project="digits", run=filled.run_ids[number], **params)
    assert not app.exception
    return texts(app)


def test_a_run_with_holes_says_which_rows_of_which_process_and_what_to_do(
    pages: Open, troubled: tuple[str, Filled, str]
) -> None:
    shown = run_page(pages, troubled, 1)
    assert "<b>11 rows are missing</b>" in shown
    assert "start 1, rank 0, node-1 pid 4242" in shown
    assert "seq 10–14 (5 rows), seq 20 (1 row), seq 35–39 (5 rows)" in shown
    assert "runstream sync" in shown
    assert f"runstream verify {troubled[1].run_ids[1]}" in shown


def test_rows_on_their_way_are_no_alarm(pages: Open, troubled: tuple[str, Filled, str]) -> None:
    shown = run_page(pages, troubled, 0)
    assert "10 rows announced and not here yet" in shown
    assert 'role="alert"' not in shown


def test_of_a_run_that_is_whole_nothing_is_said(pages: Open, troubled: tuple[str, Filled, str]) -> None:
    shown = run_page(pages, troubled, 4)
    assert "missing" not in shown
    assert "announced" not in shown


def test_the_runs_table_marks_runs_with_missing_rows(pages: Open, troubled: tuple[str, Filled, str]) -> None:
    app = pages(troubled[0]).open(project="digits")
    assert not app.exception
    tables = "".join(str(element.proto) for element in app.get("bidi_component"))
    assert tables.count("rows missing") == 1
    assert "11 rows missing" in tables


def test_starts_tell_resumes_from_rewinds_and_who_did_them(pages: Open, troubled: tuple[str, Filled, str]) -> None:
    database, filled, _ = troubled
    app = pages(database).open("run", project="digits", run=filled.run_ids[2], tab="Starts")
    assert not app.exception
    assert "3, 1 rewind" in texts(app)
    tables = "".join(str(element.proto) for element in app.get("bidi_component"))
    for said in ("first start", "rewind to step 19 by ada@node-2", "resume"):
        assert said in tables


def test_both_ends_of_a_fork_lead_to_each_other(pages: Open, troubled: tuple[str, Filled, str]) -> None:
    database, filled, child = troubled
    assert f"run={child}" in run_page(pages, troubled, 2)
    app = pages(database).open("run", project="digits", run=child)
    assert not app.exception
    shown = texts(app)
    assert f"run={filled.run_ids[2]}" in shown
    assert "at step 22" in shown
    assert "preempted" in shown
    assert "exit code 143" in shown


def test_a_fork_shows_the_metrics_that_it_inherits(pages: Open, troubled: tuple[str, Filled, str]) -> None:
    app = pages(troubled[0]).open("run", project="digits", run=troubled[2])
    assert 'title="val/loss"' in texts(app)


def test_earlier_attempts_are_drawn_when_asked_for(pages: Open, troubled: tuple[str, Filled, str]) -> None:
    database, filled, _ = troubled
    charts = []
    for earlier in ("false", "true"):
        app = pages(database).open("run", project="digits", run=filled.run_ids[2], earlier=earlier)
        assert not app.exception
        charts.append("".join(str(element.proto) for element in app.get("bidi_component")))
    assert "taken back" not in charts[0]
    assert "start 1, taken back" in charts[1]


def test_a_metric_is_drawn_against_the_one_that_define_metric_named(
    pages: Open, troubled: tuple[str, Filled, str]
) -> None:
    shown = run_page(pages, troubled, 3)
    assert shown.count("over epoch") == 2
    assert "over epoch" not in run_page(pages, troubled, 3, x="step")


def test_health_counts_what_is_missing_and_what_could_not_be_read(
    pages: Open, troubled: tuple[str, Filled, str]
) -> None:
    app = pages(troubled[0]).open("health", project="digits")
    assert not app.exception
    shown = texts(app)
    assert "<dt>Runs with missing rows</dt><dd>1</dd>" in shown
    assert "<dt>Rows on their way</dt><dd>10</dd>" in shown
    assert "<dt>Messages not read</dt><dd>7</dd>" in shown
    tables = "".join(str(element.proto) for element in app.get("bidi_component"))
    for said in ("unknown_schema", "not_avro", "runstream.metrics/0/2", "246,912", "holes"):
        assert said in tables


def test_health_of_an_empty_database_claims_nothing(pages: Open, database: str) -> None:
    app = pages(database).open("health")
    assert not app.exception
    shown = texts(app)
    assert "<dt>Newest ingested</dt><dd>nothing yet</dd>" in shown
    assert "<dt>Lag</dt><dd>unknown</dd>" in shown
    assert "No topic has been read" in shown
