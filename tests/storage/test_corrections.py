"""Rewinds, forks, resumed runs, steps logged again, several ranks, redeliveries: every answer against a plain model."""

import importlib
import math
from typing import Any

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import corrections, queries
from storage.conftest import uuid7, version
from storage.history_model import METRICS, Story

curves_module = importlib.import_module("runstream_storage.queries.curves")  # the name is the function's
pytestmark = pytest.mark.clickhouse
MERGED = (
    "points",
    "metric_summary",
    "run_summary",
    "curve",
    "summary_exact",
    "runs",
    "rewinds",
    "coverage",
    "ancestry",
)
SEEDS = (2, 3)


@pytest.fixture(params=SEEDS)
def story(request: pytest.FixtureRequest, pen: Any) -> Story:
    told = Story(pen, version, request.param, stride=300)
    told.play(50)
    return told


def assert_points_are_those_of(client: Client, story: Story) -> None:
    question = "SELECT toString(run_id), metric, rank, step, value, toUnixTimestamp64Micro(ts) FROM v_points"
    rows = client.query(question).result_rows
    found = {row[:4]: (repr(row[4]), row[5]) for row in rows}
    assert len(found) == len(rows)
    assert found == {
        (run.run_id, *key): (repr(point.value), point.time_us)
        for run in story.runs
        for key, (_, point) in run.visible().items()
    }


def assert_summaries_are_those_of(client: Client, story: Story) -> None:
    run_ids = [run.run_id for run in story.runs]
    wanted = {(run.run_id, metric): values for run in story.runs for metric, values in run.summaries().items()}
    names = ("last", "last_step", "first", "first_step", "min", "max", "n", "n_nan", "n_inf", "ranks")
    found = {
        (one.run_id, one.metric): {name: getattr(one, name) for name in names}
        | {"first_us": round(one.first_at.timestamp() * 1e6), "last_us": round(one.last_at.timestamp() * 1e6)}
        for one in queries.summaries(client, "vision", run_ids)
    }
    assert {key: repr(sorted(values.items())) for key, values in found.items()} == {
        key: repr(sorted(values.items())) for key, values in wanted.items()
    }
    aggregates = ("last", "first", "min", "max", "count")
    columns = {f"{aggregate}({metric})": (metric, aggregate) for metric in METRICS for aggregate in aggregates}
    page = queries.runs(client, ["vision"], limit=1000, columns=list(columns), sort="last(loss)")
    for row in page.rows:
        for text, (metric, aggregate) in columns.items():
            one = wanted.get((row.run_id, metric), {})
            assert repr(row.values[text]) == repr(one.get("n" if aggregate == "count" else aggregate)), (
                row.run_id,
                text,
            )
    for metric in METRICS:
        enough = sum(key[1] == metric and values["n"] > 20 for key, values in wanted.items())
        assert queries.count(client, ["vision"], filter=f"count({metric}) > 20") == enough
    view = client.query(
        "SELECT toString(run_id), metric, last, min, max, n, first, first_step, last_step FROM v_summary"
    )
    of_view = ("last", "min", "max", "n", "first", "first_step", "last_step")
    assert {tuple(row[:2]): repr(list(row[2:])) for row in view.result_rows} == {
        key: repr([values[name] for name in of_view]) for key, values in wanted.items()
    }
    counts = {name.name: name.runs for name in queries.metric_names(client, ["vision"])}
    assert counts == {metric: sum(key[1] == metric for key in wanted) for metric in {key[1] for key in wanted}}


def assert_curves_are_those_of(client: Client, story: Story, **options: Any) -> None:
    """Both ends, the counts of values that are not finite, and an envelope that only visible values touch."""
    found = queries.curves(client, "vision", [run.run_id for run in story.runs], METRICS, **options)
    for run in story.runs:
        for metric in METRICS:
            points = [
                (point.time_us if options.get("x") == "time" else point.step, point.value)
                for (name, rank, _), (_, point) in run.visible().items()
                if name == metric and options.get("rank", rank) == rank
            ]
            curve = found.get(run.run_id, metric)
            assert (curve is not None) == bool(points)
            if curve is None:
                continue
            assert (curve.x0.min(), curve.x1.max()) == (min(points)[0], max(points)[0])
            assert curve.n_nan.sum() == sum(math.isnan(value) for _, value in points)
            assert curve.n_pos.sum() == sum(value == math.inf for _, value in points)
            assert curve.n_neg.sum() == sum(value == -math.inf for _, value in points)
            stretches = list(zip(curve.x0, curve.x1, curve.lo, curve.hi, strict=True))
            for x0, x1, low, high in stretches:
                inside = [value for x, value in points if x0 <= x <= x1]
                assert np.isnan(low) or {low, high} <= set(inside)
            for x, value in points:
                if math.isfinite(value):
                    assert any(x0 <= x <= x1 and low <= value <= high for x0, x1, low, high in stretches)


def test_every_answer_is_that_of_the_model(client: Client, story: Story) -> None:
    assert_points_are_those_of(client, story)
    assert corrections.refresh(client) > 0
    assert corrections.refresh(client) == 0
    assert_summaries_are_those_of(client, story)
    for table in MERGED:
        client.command(f"OPTIMIZE TABLE {table} FINAL")
    assert corrections.refresh(client) == 0
    assert_points_are_those_of(client, story)
    assert_summaries_are_those_of(client, story)


def test_every_curve_is_that_of_the_model(client: Client, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_curves_are_those_of(client, story)
    assert_curves_are_those_of(client, story, rank=0)
    assert_curves_are_those_of(client, story, x="time", width_px=9)
    monkeypatch.setattr(curves_module, "MAX_RAW_POINTS", 0)  # so that even few points are read from tiers
    assert_curves_are_those_of(client, story, width_px=5)
    assert_curves_are_those_of(client, story, width_px=50, rank=0)
    assert_curves_are_those_of(client, story, x="time", width_px=9)


def test_rollups_can_be_made_from_the_points_alone(
    client: Client, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.command(
        "INSERT INTO curve SELECT project, run_id, metric, rank, lvl, bucket, -1e9, 1e9, t0, t1, s0, s1 FROM curve"
    )
    assert corrections.rebuild(client, project="vision") == sum(bool(run.points) for run in story.runs)
    assert_summaries_are_those_of(client, story)
    monkeypatch.setattr(curves_module, "MAX_RAW_POINTS", 0)
    assert_curves_are_those_of(client, story, width_px=5)
    story.play(15)
    corrections.refresh(client, run_ids=[run.run_id for run in story.runs])
    assert_points_are_those_of(client, story)
    assert_summaries_are_those_of(client, story)


def test_earlier_attempts_stay_to_be_seen(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    pen.points(run_id, "loss", [1.0, 2.0, 3.0, 4.0])
    pen.rewound(run_id, rank=0, attempt=1, step=1, writer=2)
    pen.points(run_id, "loss", [9.0], steps=[2], attempt=1, writer=2)
    rows = client.query(
        "SELECT step, attempt, writer, value, hidden FROM v_points_all ORDER BY step, attempt"
    ).result_rows
    assert rows == [(0, 0, 1, 1.0, 0), (1, 0, 1, 2.0, 0), (2, 0, 1, 3.0, 1), (2, 1, 2, 9.0, 0), (3, 0, 1, 4.0, 1)]


def test_a_run_of_which_all_was_taken_back_has_no_metrics(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    pen.points(run_id, "loss", [1.0, 2.0])
    pen.rewound(run_id, rank=0, attempt=1, step=-1, writer=2)
    assert corrections.refresh(client, run_ids=[run_id]) == 1
    assert queries.summaries(client, "vision", [run_id]) == []
    assert queries.metric_names(client, ["vision"]) == []
    assert len(queries.curves(client, "vision", [run_id], ["loss"])) == 0


def test_a_fork_follows_what_its_parent_shows(client: Client, pen: Any) -> None:
    parent = pen.run(0)
    pen.points(parent, "loss", [1.0, 2.0, 3.0])
    child = pen.run(1, writer=2, forked_from=parent, fork_step=1)
    corrections.refresh(client, run_ids=[child])
    assert [one.n for one in queries.summaries(client, "vision", [child])] == [2]
    pen.rewound(parent, rank=0, attempt=1, step=0, writer=3)
    corrections.refresh(client, run_ids=[parent])
    assert [one.n for one in queries.summaries(client, "vision", [child])] == [1]


def test_ordinary_runs_need_no_correction(client: Client, pen: Any) -> None:
    for number in range(3):
        run_id = pen.run(number)
        pen.points(run_id, "loss", [1.0, 2.0])
        pen.alive(run_id, at_us=pen.start_us, writer=9, attempt=1)
        pen.points(run_id, "loss", [3.0], steps=[2], writer=9, attempt=1)
    assert corrections.refresh(client) == 0
    assert [one.n for one in queries.summaries(client, "vision", [run_id])] == [3]


def shown(client: Client, run_id: str) -> list[float]:
    sql = "SELECT value FROM v_points WHERE project = 'vision' AND run_id = {run:UUID} ORDER BY step"
    values = [row[0] for row in client.query(sql, parameters={"run": run_id}).result_rows]
    curve = queries.curves(client, "vision", [run_id], ["loss"]).get(run_id, "loss")
    assert curve is not None
    assert curve.lo.tolist() == values
    return values


def test_a_chain_of_forks_is_shown_as_soon_as_it_arrives(client: Client, pen: Any) -> None:
    root = pen.run(0)
    pen.points(root, "loss", [1.0, 2.0, 3.0, 4.0])
    child = pen.run(1, writer=2, forked_from=root, fork_step=2)
    grandchild = pen.run(2, writer=3, forked_from=child, fork_step=1)
    pen.points(grandchild, "loss", [9.0], steps=[5], writer=3)
    assert shown(client, child) == [1.0, 2.0, 3.0]
    assert shown(client, grandchild) == [1.0, 2.0, 9.0]
    assert corrections.complete_ancestry(client) == 0
    pen.rewound(root, rank=0, attempt=1, step=0, writer=4)
    assert shown(client, grandchild) == [1.0, 9.0]


def test_parents_that_arrive_after_their_children_are_added(client: Client, pen: Any) -> None:
    root, links = uuid7(0), []
    for number in (4, 3, 2, 1):
        links.append(pen.run(number, writer=number, forked_from=uuid7(number - 1), fork_step=number))
    pen.run(0)
    pen.points(root, "loss", [float(step) for step in range(6)])
    corrections.refresh(client, run_ids=[root])
    assert [shown(client, link) for link in reversed(links)] == [[0.0, 1.0]] * 4
    assert corrections.complete_ancestry(client) == 0
    found = queries.summaries(client, "vision", links, metrics=["loss"])
    assert [(one.n, one.last) for one in found] == [(2, 1.0)] * 4


def test_a_fork_of_itself_ends(client: Client, pen: Any) -> None:
    run_id = pen.run(0, forked_from=uuid7(0), fork_step=1)
    pen.points(run_id, "loss", [1.0, 2.0, 3.0])
    corrections.refresh(client)
    assert corrections.complete_ancestry(client) == 0
    assert client.query("SELECT value FROM v_points ORDER BY step").result_rows == [(1.0,), (2.0,), (3.0,)]


def test_who_asked_before_the_first_correction_sees_it(client: Client, pen: Any) -> None:
    steady, again = pen.run(0), pen.run(1)
    pen.points(steady, "loss", [5.0])
    pen.points(again, "loss", [9.0, 1.0])

    def asked() -> tuple[list[Any], Any, Any]:
        page = queries.runs(client, ["vision"], sort="max(loss)", columns=["max(loss)", "count(loss)"])
        groups = queries.groups(client, ["vision"], "project", columns=["max(loss)"])
        best = queries.best(client, ["vision"], "max(loss)", goal="max")
        return [row.values["max(loss)"] for row in page.rows], groups[0].values["max(loss)"].max, best and best.value

    assert asked() == ([9.0, 5.0], 9.0, 9.0)
    pen.points(again, "loss", [2.0], steps=[0], attempt=1, writer=2)
    pen.alive(again, at_us=pen.start_us, writer=2, attempt=1)
    assert corrections.refresh(client) == 1
    assert asked() == ([5.0, 2.0], 5.0, 5.0)
    assert queries.count(client, ["vision"], filter="max(loss) > 4") == 1
