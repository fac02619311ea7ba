import math
from random import Random
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries
from runstream_storage.errors import FilterError, QueryError
from runstream_storage.queries.assumed import MAX_HIDDEN

pytestmark = pytest.mark.clickhouse
NAN = math.nan
MINUTE_US = 60_000_000


def names(page: queries.RunsPage) -> list[str]:
    return [row.name for row in page.rows]


def test_without_runs_there_is_nothing_and_no_error(client: Client) -> None:
    assert queries.projects(client) == []
    assert queries.runs(client, ["vision"]) == queries.RunsPage([], 0, 0)
    assert queries.runs(client, []) == queries.RunsPage([], 0, 0)
    assert queries.best(client, ["vision"], "last(loss)", goal="min") is None
    assert queries.groups(client, ["vision"], "config.lr") == []
    assert queries.run(client, "vision", "01a0c450-6c00-7000-8000-000000000000") is None
    assert queries.find_run(client, "x") is None
    assert len(queries.curves(client, "vision", ["01a0c450-6c00-7000-8000-000000000000"], ["loss"])) == 0


def test_a_page_holds_the_newest_runs_and_counts_the_others(client: Client, pen: Any) -> None:
    for number in range(5):
        pen.run(number)
    page = queries.runs(client, ["vision"], limit=2, offset=1)
    assert (names(page), page.matched, page.total) == (["run-3", "run-2"], 5, 5)


def test_a_page_behind_the_last_is_empty_and_still_counts(client: Client, pen: Any) -> None:
    pen.run(0)
    pen.run(1)
    page = queries.runs(client, ["vision"], filter="name = run-1", offset=10)
    assert (page.rows, page.matched, page.total) == ([], 1, 2)


def test_only_the_asked_projects_are_there(client: Client, pen: Any) -> None:
    pen.run(0)
    pen.run(1, project="speech")
    assert names(queries.runs(client, ["vision"])) == ["run-0"]
    assert names(queries.runs(client, ["vision", "speech"])) == ["run-1", "run-0"]
    assert [(p.name, p.runs) for p in queries.projects(client)] == [("speech", 1), ("vision", 1)]


def test_sorting_puts_nan_and_then_the_missing_last_in_both_directions(client: Client, pen: Any) -> None:
    for number, lr in enumerate([0.1, NAN, None, 1, "text", 0.01]):
        pen.run(number, params={} if lr is None else {"lr": lr})
    up = queries.runs(client, ["vision"], sort="config.lr", descending=False)
    down = queries.runs(client, ["vision"], sort="config.lr")
    assert names(up) == ["run-5", "run-0", "run-3", "run-1", "run-4", "run-2"]
    assert names(down) == ["run-3", "run-0", "run-5", "run-1", "run-4", "run-2"]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("last(loss)", [1, 0]),
        ("min(loss)", [1, 0]),
        ("max(loss)", [0, 1]),
        ("first(loss)", [0, 1]),
        ("count(loss)", [1, 0]),
        ("name", [0, 1]),
        ("created", [0, 1]),
        ("duration", [0, 1]),
        ("state", [1, 0]),
        ("tags", [0, 1]),
    ],
)
def test_any_column_can_be_the_order(client: Client, pen: Any, sort: str, order: list[int]) -> None:
    first = pen.run(0, name="a", tags=["a"])
    second = pen.run(1, name="b", ended="finished", tags=["b"])
    pen.points(first, "loss", [1.0, 2.0, 3.0])
    pen.points(second, "loss", [4.0, 0.5])
    page = queries.runs(client, ["vision"], sort=sort, descending=False)
    assert names(page) == ["ab"[number] for number in order]


def test_a_row_brings_the_columns_that_were_asked_for(client: Client, pen: Any) -> None:
    run_id = pen.run(
        0,
        params={"lr": 0.1, "layers": 3, "opt": "adam", "amp": True, "none": None, "model/depth": 5, "a b": 1},
        summary={"best": 0.9},
        user="ana",
    )
    pen.points(run_id, "val/loss", [3.0, NAN, 1.0, 2.0])
    pen.points(run_id, "odd", [NAN])
    columns = [
        "config.lr",
        "config.layers",
        "config.opt",
        "config.amp",
        "config.none",
        "config.model.depth",
        "config.absent",
    ]
    columns += [
        'config."a b"',
        "summary.best",
        "last(val/loss)",
        "min(val/loss)",
        "count(val/loss)",
        "min(odd)",
        "last(nope)",
    ]
    values = queries.runs(client, ["vision"], columns=columns).rows[0].values
    assert list(values) == columns
    assert list(values.values()) == [0.1, 3, "adam", True, None, 5, None, 1, 0.9, 2.0, 1.0, 4, None, None]


def test_edits_change_what_a_run_is_called(client: Client, pen: Any) -> None:
    run_id = pen.run(0, name="old", group="g", notes="n", tags=["keep", "drop"])
    for key, value in {"name": "new", "group": "h", "notes": "", "tag:added": ""}.items():
        pen.attribute(run_id, key, value, at_us=pen.start_us + 5)
    pen.attribute(run_id, "tag:drop", deleted=True, at_us=pen.start_us + 5)
    pen.attribute(run_id, "name", "older edit, delivered late", at_us=pen.start_us + 4)
    (row,) = queries.runs(client, ["vision"], filter="name = new and group = h and tags contains added").rows
    assert (row.name, row.group, row.notes, row.tags) == ("new", "h", "", ("added", "keep"))


def test_starred_runs_are_found_until_the_star_goes(client: Client, pen: Any) -> None:
    starred, _ = pen.run(1), pen.run(2)
    pen.attribute(starred, "starred", "true")
    assert names(queries.runs(client, ["vision"], filter="starred")) == ["run-1"]
    assert names(queries.runs(client, ["vision"], sort="starred")) == ["run-1", "run-2"]
    assert names(queries.runs(client, ["vision"], filter="starred = false")) == ["run-2"]
    assert client.query("SELECT run_name FROM v_runs WHERE starred").result_rows == [("run-1",)]
    pen.attribute(starred, "starred", deleted=True, at_us=pen.start_us + 2_000_000_000)
    assert names(queries.runs(client, ["vision"], filter="starred = true")) == []


def test_archived_runs_are_shown_on_demand_and_deleted_ones_never(client: Client, pen: Any) -> None:
    pen.run(0)
    pen.attribute(pen.run(1), "archived", "true")
    deleted = pen.run(2)
    pen.points(deleted, "loss", [1.0])
    pen.attribute(deleted, "deleted", "true")
    assert names(queries.runs(client, ["vision"])) == ["run-0"]
    both = queries.runs(client, ["vision"], archived=True)
    assert (names(both), [row.archived for row in both.rows]) == (["run-1", "run-0"], [True, False])
    assert queries.run(client, "vision", deleted) is None
    assert queries.find_run(client, deleted) is None
    for view in ("v_runs", "v_points", "v_params", "v_summary", "v_tags", "v_writers"):
        assert client.query(f"SELECT count() FROM {view} WHERE run_id = '{deleted}'").result_rows == [(0,)]
    pen.attribute(deleted, "deleted", deleted=True, at_us=pen.start_us + 9)
    assert "run-2" in names(queries.runs(client, ["vision"]))


def test_runs_that_are_hidden_or_shown_again_between_two_pages_count_as_they_are_now(client: Client, pen: Any) -> None:
    runs = [pen.run(number) for number in range(MAX_HIDDEN + 3)]
    pen.points(runs[0], "loss", [1.0])

    def seen() -> list[int]:
        page = queries.runs(client, ["vision"], sort="last(loss)", limit=len(runs))
        assert (page.matched, page.total, page.rows[0].run_id) == (len(page.rows), len(page.rows), runs[0])
        best = queries.best(client, ["vision"], "last(loss)", goal="min")
        counts = [group.runs for group in queries.groups(client, ["vision"], "user")]
        return [len(page.rows), queries.count(client, ["vision"]), sum(counts), int(best is not None)]

    assert seen() == [len(runs), len(runs), len(runs), 1]
    pen.attribute(runs[1], "archived", "true")
    assert seen() == [len(runs) - 1, len(runs) - 1, len(runs) - 1, 1]
    pen.attribute(runs[1], "archived", deleted=True, at_us=pen.start_us + 9)
    assert seen() == [len(runs), len(runs), len(runs), 1]
    for run_id in runs[1:]:
        pen.attribute(run_id, "deleted", "true", at_us=pen.start_us + 10)
    assert seen() == [1, 1, 1, 1]
    pen.attribute(runs[2], "deleted", deleted=True, at_us=pen.start_us + 11)
    assert seen() == [2, 2, 2, 1]


def test_everything_delivered_twice_is_there_once(client: Client, pen: Any) -> None:
    for _ in range(3):
        run_id = pen.run(0, ended="finished", params={"lr": 0.1}, tags=["a"])
        pen.points(run_id, "loss", [1.0, 2.0])
    page = queries.runs(client, ["vision"], columns=["count(loss)"])
    assert (page.matched, page.rows[0].tags, page.rows[0].values["count(loss)"]) == (1, ("a",), 2)
    assert queries.projects(client)[0].runs == 1
    assert [b.num_rows for b in queries.points(client, "vision", [run_id])] == [2]
    for view, count in {"v_runs": 1, "v_points": 2, "v_params": 1, "v_summary": 1, "v_tags": 1}.items():
        assert client.query(f"SELECT count() FROM {view}").result_rows == [(count,)]


def test_the_earliest_start_gives_a_run_its_name_and_age(client: Client, pen: Any) -> None:
    pen.run(0, name="resumed", created_us=pen.start_us + 900, attempt=1, writer=2)
    pen.run(0, name="first", created_us=pen.start_us)
    (row,) = queries.runs(client, ["vision"]).rows
    assert row.name == "first"
    assert row.created_at.timestamp() * 1e6 == pen.start_us


# State


@pytest.mark.parametrize(
    ("age_us", "state"),
    [
        (0, "running"),
        (2 * MINUTE_US, "running"),
        (2 * MINUTE_US + 1, "stale"),
        (10 * MINUTE_US, "stale"),
        (11 * MINUTE_US, "lost"),
    ],
)
def test_a_silent_run_is_as_old_as_the_newest_sign_of_life_of_any(
    client: Client, pen: Any, age_us: int, state: str
) -> None:
    pen.run(0, created_us=pen.start_us)
    pen.run(1, created_us=pen.start_us + age_us)
    assert [row.state for row in queries.runs(client, ["vision"]).rows] == ["running", state]


def test_a_clock_far_ahead_makes_nobody_look_lost(client: Client, pen: Any) -> None:
    import time

    now_us = time.time_ns() // 1000
    pen.run(0, created_us=now_us)
    pen.run(1, created_us=now_us + 3600 * 1_000_000)
    assert {row.state for row in queries.runs(client, ["vision"]).rows} == {"running"}


def test_a_run_has_ended_when_all_writers_of_the_newest_attempt_have(client: Client, pen: Any) -> None:
    run_id = pen.run(0, writer=1)
    pen.alive(run_id, at_us=pen.start_us, writer=2)
    pen.end(run_id, "finished", at_us=pen.start_us + MINUTE_US, writer=1)
    assert queries.runs(client, ["vision"]).rows[0].state == "running"
    pen.end(run_id, "killed", at_us=pen.start_us + 2 * MINUTE_US, writer=2, exit_code=-9, reason="SIGKILL")
    header = queries.run(client, "vision", run_id)
    assert header is not None
    assert (header.run.state, header.exit_code, header.reason, header.attempts) == ("killed", -9, "SIGKILL", 1)
    assert header.run.ended_at is not None
    assert header.run.ended_at.timestamp() * 1e6 == pen.start_us + 2 * MINUTE_US
    assert header.run.duration_s == 120


@pytest.mark.parametrize("states", [("failed", "killed"), ("killed", "preempted"), ("preempted", "finished")])
def test_the_worse_end_decides(client: Client, pen: Any, states: tuple[str, str]) -> None:
    run_id = pen.run(0, writer=1)
    pen.end(run_id, states[1], at_us=pen.start_us + 2, writer=2)
    pen.end(run_id, states[0], at_us=pen.start_us + 1, writer=1)
    assert queries.runs(client, ["vision"]).rows[0].state == states[0]


def test_a_resumed_run_lives_again(client: Client, pen: Any) -> None:
    run_id = pen.run(0, ended="failed")
    pen.alive(run_id, at_us=pen.start_us + MINUTE_US, writer=2, attempt=1)
    header = queries.run(client, "vision", run_id)
    assert header is not None
    assert (header.run.state, header.run.ended_at, header.attempts) == ("running", None, 2)
    pen.end(run_id, "finished", at_us=pen.start_us + 2 * MINUTE_US, writer=2, attempt=1)
    assert queries.runs(client, ["vision"]).rows[0].state == "finished"


# Best, groups, names


def test_the_best_run_is_the_smallest_or_the_largest_number(client: Client, pen: Any) -> None:
    for number, loss in enumerate([0.3, 0.1, NAN, 0.2]):
        pen.points(pen.run(number), "loss", [loss])
    low = queries.best(client, ["vision"], "last(loss)", goal="min")
    high = queries.best(client, ["vision"], "last(loss)", goal="max", filter="name != run-0")
    assert low is not None
    assert high is not None
    assert (low.run_name, low.value, high.run_name, high.value) == ("run-1", 0.1, "run-3", 0.2)
    assert queries.best(client, ["vision"], "name", goal="max") is None


def test_groups_have_the_spread_of_their_runs(client: Client, pen: Any) -> None:
    for number, (opt, loss) in enumerate([("adam", 1.0), ("adam", 3.0), ("sgd", NAN), (None, 5.0)]):
        pen.points(pen.run(number, params={"opt": opt}, group=f"g{number % 2}"), "loss", [loss])
    by_opt = queries.groups(client, ["vision"], "config.opt", columns=["last(loss)", "name"])
    assert [(group.key, group.runs) for group in by_opt] == [("adam", 2), (None, 1), ("sgd", 1)]
    assert by_opt[0].values["last(loss)"] == queries.Spread(2, 2.0, 1.0, 3.0, pytest.approx(12.7062, abs=1e-4))
    assert by_opt[1].values["last(loss)"] == queries.Spread(1, 5.0, 5.0, 5.0, None)
    assert by_opt[2].values["last(loss)"] == queries.Spread(0, None, None, None)
    by_group = queries.groups(client, ["vision"], "group", filter="name != run-0")
    assert [(group.key, group.runs) for group in by_group] == [("g1", 2), ("g0", 1)]


@pytest.mark.parametrize(
    "by", ["name", "state", "tags", "created", "duration", "attempts", "archived", "last(loss)", "id"]
)
def test_runs_can_be_grouped_by_any_column(client: Client, pen: Any, by: str) -> None:
    pen.run(0, tags=["b", "a"])
    assert [group.runs for group in queries.groups(client, ["vision"], by)] == [1]


def test_names_come_by_number_of_runs_and_by_how_they_begin(client: Client, pen: Any) -> None:
    first = pen.run(0, params={"lr": 1, "model/depth": 2}, tags=["x", "y"], user="ana")
    pen.run(1, params={"lr": 1}, tags=["x"], user="bob", summary={"best": 1})
    pen.points(first, "Val/Loss", [1.0])
    assert queries.param_names(client, ["vision"]) == [queries.Name("lr", 2), queries.Name("model/depth", 1)]
    assert [name.name for name in queries.param_names(client, ["vision"], prefix="DE")] == ["model/depth"]
    assert [name.name for name in queries.metric_names(client, ["vision"], prefix="val")] == ["Val/Loss"]
    assert [name.name for name in queries.summary_names(client, ["vision"])] == ["best"]
    assert queries.tag_names(client, ["vision"], limit=1) == [queries.Name("x", 2)]
    assert {name.name for name in queries.attribute_values(client, ["vision"], "user")} == {"ana", "bob"}
    assert queries.attribute_values(client, ["vision"], "state") == [queries.Name("running", 2)]
    assert queries.param_names(client, ["speech"]) == []


@pytest.mark.parametrize(
    ("text", "suggestions"),
    [
        ("conf", ["config."]),
        ("config.l", ["config.lr"]),
        ('config."a', ['config."a b"']),
        ("last(va", ["last(val/loss)"]),
        ("name = x and min(", ["min(val/loss)"]),
        ("state = fa", ["failed"]),
        ("tags contains ", ['"best"']),
        ("tags contains be", ['"best"']),
        ("user = a", ['"ana"']),
        ("config.lr i", ["in (", "is null", "is not null"]),
        ("config.lr < 1 a", ["and "]),
        ("config.lr < ", []),
        ("val/l", ["last(val/loss)"]),
        ("config.lr << ", []),
    ],
)
def test_a_filter_is_completed_with_names_that_exist(
    client: Client, pen: Any, text: str, suggestions: list[str]
) -> None:
    run_id = pen.run(0, params={"lr": 1, "a b": 2}, tags=["best"], user="ana")
    pen.points(run_id, "val/loss", [1.0])
    found = queries.completions(client, ["vision"], text)
    assert found.suggestions == suggestions
    assert found.end == len(text)


def test_a_completion_replaces_the_word_at_the_cursor(client: Client, pen: Any) -> None:
    pen.points(pen.run(0), "val/loss", [1.0])
    text = "state = running and last(val) < 3"
    found = queries.completions(client, ["vision"], text, text.index("val") + 3)
    assert text[: found.start] + found.suggestions[0] + text[found.end :] == "state = running and last(val/loss) < 3"


# One run


def test_a_header_tells_what_stands_above_the_charts(client: Client, pen: Any) -> None:
    run_id = pen.run(0, external_id="mine", parent_run="p")
    pen.points(run_id, "loss", [1.0, 2.0, 3.0], steps=[5, 6, 7])
    pen.points(run_id, "acc", [0.5], writer=2, rank=1)
    header = queries.run(client, "vision", run_id)
    assert header is not None
    assert (header.external_id, header.parent_run, header.metrics, header.points, header.last_step) == (
        "mine",
        "p",
        2,
        4,
        7,
    )
    assert header.last_point_at is not None
    assert header.last_point_at.timestamp() * 1e6 == pen.start_us + 2000


def test_a_run_without_points_has_no_last_one(client: Client, pen: Any) -> None:
    header = queries.run(client, "vision", pen.run(0))
    assert header is not None
    assert (header.metrics, header.points, header.last_step, header.last_point_at) == (0, 0, None, None)


def test_writers_tell_where_and_how_it_ran(client: Client, pen: Any) -> None:
    run_id = pen.run(0, writer=7)
    pen.insert(
        "writers",
        project="vision",
        run_id=run_id,
        writer=7,
        attempt=0,
        rank=0,
        started_us=pen.start_us,
        user="ana",
        host="h1",
        pid=42,
        command=["python", "train.py"],
        cwd="/w",
        python="3.11",
        platform="Linux",
        client_version="1",
        git={"commit": "abc", "dirty": "true"},
        environment={"CUDA_VISIBLE_DEVICES": "0"},
        machine={"gpu": "H200"},
        packages={"numpy": "2.0"},
        ver=1,
    )
    pen.alive(run_id, at_us=pen.start_us + 5, writer=7, metric_seq=12)
    (writer,) = queries.writers(client, "vision", run_id)
    assert (writer.writer, writer.state, writer.rows, writer.pid, writer.command) == (
        7,
        "",
        12,
        42,
        ("python", "train.py"),
    )
    assert (writer.git, writer.machine["gpu"]) == ({"commit": "abc", "dirty": "true"}, "H200")
    assert writer.last_at.timestamp() * 1e6 == pen.start_us + 5
    pen.end(run_id, "failed", at_us=pen.start_us + 9, writer=7, exit_code=3, reason="OOM")
    pen.alive(run_id, at_us=pen.start_us + 8, writer=7, metric_seq=13)
    (writer,) = queries.writers(client, "vision", run_id)
    assert (writer.state, writer.exit_code, writer.reason, writer.rows) == ("failed", 3, "OOM", 13)


def test_params_keep_their_types(client: Client, pen: Any) -> None:
    run_id = pen.run(0, params={"f": 0.1, "i": 2**60 + 1, "b": False, "s": "x", "n": None, "nan": NAN})
    pen.insert(
        "params", project="vision", name="j", run_id=run_id, kind="json", text="[1, 2]", number=NAN, ver=1, is_deleted=0
    )
    pen.insert(
        "params",
        project="vision",
        name="s",
        run_id=run_id,
        kind="deleted",
        text="",
        number=NAN,
        ver=2**60,
        is_deleted=1,
    )
    found = queries.params(client, "vision", [run_id])[run_id]
    assert {name: value.value for name, value in found.items() if name != "nan"} == {
        "f": 0.1,
        "i": 2**60 + 1,
        "b": False,
        "n": None,
        "j": [1, 2],
    }
    assert math.isnan(found["nan"].value)


def test_summaries_merge_ranks_and_attempts(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    pen.points(run_id, "loss", [5.0, 1.0, NAN, math.inf], writer=1)
    pen.points(run_id, "loss", [9.0], steps=[1], writer=2, attempt=1)
    pen.points(run_id, "loss", [0.5], steps=[0], writer=3, rank=1)
    (found,) = queries.summaries(client, "vision", [run_id], metrics=["loss"])
    assert (found.last, found.last_step, found.min, found.max) == (9.0, 1, 0.5, math.inf)
    assert (found.n, found.n_nan, found.n_inf, found.ranks, found.first_step) == (6, 1, 1, 2, 0)


def test_a_run_is_found_by_what_people_type(client: Client, pen: Any) -> None:
    first, second = pen.run(0, name="alpha", external_id="job-1"), pen.run(1, name="beta")
    assert first[:13] == second[:12] + first[12]
    for text in (first, first.upper(), "alpha", "job-1", f" {first} "):
        row = queries.find_run(client, text)
        assert row is not None
        assert row.run_id == first
    assert queries.find_run(client, first[:8]) is None
    assert queries.find_run(client, "alpha", project="speech") is None
    assert queries.find_run(client, first[:3]) is None
    lone = pen.run(2_000_000, name="gamma")
    row = queries.find_run(client, lone[:13])
    assert row is not None
    assert row.run_id == lone


# Errors


def test_a_wrong_column_is_told_before_the_database_is_asked(client: Client) -> None:
    for call in (
        lambda: queries.runs(client, ["vision"], filter="nme = x"),
        lambda: queries.runs(client, ["vision"], sort="loss"),
        lambda: queries.runs(client, ["vision"], columns=["config."]),
        lambda: queries.best(client, ["vision"], "", goal="min"),
    ):
        with pytest.raises(FilterError):
            call()


def test_a_refusal_of_the_database_has_its_code(client: Client, pen: Any) -> None:
    pen.run(0)
    with pytest.raises(QueryError) as caught:
        queries.runs(client, ["vision"], filter=r"name =~ '\p{Nonsense}+'")
    assert caught.value.code == 427


def test_a_run_whose_first_sign_of_life_is_still_on_its_way_is_running(client: Client, pen: Any) -> None:
    pen.run(0)
    client.command("TRUNCATE TABLE liveness")
    (row,) = queries.runs(client, ["vision"], filter="state = running").rows
    assert (row.state, row.duration_s) == ("running", 0.0)
    assert row.last_at == row.created_at


def test_first_and_last_go_by_attempt_and_step_also_below_zero_and_for_nan(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    pen.points(run_id, "a", [1.0, 2.0, 3.0], steps=[-5, -1, 2**62])
    pen.points(run_id, "a", [4.0], steps=[-3], attempt=1, writer=2)
    pen.points(run_id, "b", [NAN, 7.0, NAN], steps=[-(2**62), 0, 9])
    columns = [f"{aggregate}({metric})" for metric in "ab" for aggregate in ("first", "last")]
    values = list(queries.runs(client, ["vision"], columns=columns).rows[0].values.values())
    assert values[:2] == [1.0, 4.0]
    assert all(math.isnan(value) for value in values[2:])
    assert names(queries.runs(client, ["vision"], filter="last(a) = 4 and first(a) = 1 and last(b) = nan")) == ["run-0"]


@pytest.mark.parametrize("seed", range(3))
def test_a_page_derives_states_as_the_view_does(client: Client, pen: Any, seed: int) -> None:
    random = Random(seed)
    for number in range(12):
        run_id = pen.run(number)
        for writer in range(1, random.randint(2, 5)):
            attempt = random.randint(0, 2)
            at_us = pen.start_us + random.randint(0, 15) * MINUTE_US
            pen.alive(run_id, at_us=at_us, writer=writer, attempt=attempt)
            if random.random() < 0.7:
                state = random.choice(("finished", "preempted", "killed", "failed"))
                pen.end(
                    run_id, state, at_us=at_us, writer=writer, attempt=attempt, exit_code=writer, reason=f"r{writer}"
                )
    shown = {}
    for row in queries.runs(client, ["vision"], limit=100).rows:
        header = queries.run(client, "vision", row.run_id)
        assert header is not None
        assert header.run == row
        shown[row.run_id] = (row.state, row.ended_at, row.last_at, row.duration_s, header.attempts, header.exit_code)
    columns = "toString(run_id), state, ended_at, last_at, duration_s, attempts, exit_code"
    found = client.query(f"SELECT {columns} FROM v_runs", tz_mode="aware")
    assert {run: tuple(values) for run, *values in found.result_rows} == shown
