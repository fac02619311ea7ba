from __future__ import annotations

import math

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries
from runstream_storage.queries.history import Fork

from .conftest import START_US, Pen, uuid7, version

pytestmark = pytest.mark.clickhouse


def rewind(pen: Pen, run_id: str, *, attempt: int, step: int, rank: int = 0) -> None:
    pen.insert(
        "rewinds",
        project=pen.project,
        run_id=run_id,
        rank=rank,
        attempt=attempt,
        step=step,
        ts_us=START_US + attempt,
        actor="ana@node-1",
        ver=version(START_US + attempt, attempt=attempt),
    )


def fork(pen: Pen, number: int, parent: str, step: int) -> str:
    created_us = START_US + number * 1_000_000
    run_id = uuid7(number)
    texts = dict.fromkeys(("external_id", "group", "job_type", "notes", "parent_run", "user", "host"), "")
    pen.insert(
        "runs",
        project=pen.project,
        run_id=run_id,
        created_us=created_us,
        name=f"fork-{number}",
        forked_from=parent,
        fork_step=step,
        ver=version(created_us),
        **texts,
    )
    return run_id


def test_a_run_that_went_its_way_has_no_history(client: Client, pen: Pen) -> None:
    found = queries.history(client, pen.project, pen.run(1))
    assert (found.parent, found.children, found.rewinds) == (None, (), ())


def test_forks_are_known_at_both_ends_and_deleted_children_are_left_out(client: Client, pen: Pen) -> None:
    parent = pen.run(1, name="parent")
    children = [fork(pen, number, parent, number * 10) for number in (2, 3, 4)]
    pen.attribute(children[2], "deleted")
    found = queries.history(client, pen.project, parent)
    assert found.children == (Fork(children[1], "fork-3", 30), Fork(children[0], "fork-2", 20))
    assert queries.history(client, pen.project, children[0]).parent == Fork(parent, "parent", 20)


def test_a_parent_that_is_not_known_here_is_named_by_its_id(client: Client, pen: Pen) -> None:
    assert queries.history(client, pen.project, fork(pen, 2, uuid7(9), 5)).parent == Fork(uuid7(9), "", 5)


def test_rewinds_say_who_went_back_to_which_step(client: Client, pen: Pen) -> None:
    run = pen.run(1)
    rewind(pen, run, attempt=1, step=50)
    rewind(pen, run, attempt=2, step=20)
    newest, first = queries.history(client, pen.project, run).rewinds
    assert (newest.attempt, newest.step, newest.actor) == (2, 20, "ana@node-1")
    assert (first.attempt, first.step) == (1, 50)


def test_what_a_rewind_took_back_is_drawn_by_attempt(client: Client, pen: Pen) -> None:
    run = pen.run(1)
    pen.points(run, "loss", [9.0, 8.0, math.nan, 6.0])
    pen.points(run, "loss", [1.0, 2.0], steps=[2, 3], writer=2, attempt=1)
    pen.points(run, "other", [1.0, 1.0])
    rewind(pen, run, attempt=1, step=1)
    (curve,) = queries.hidden_curves(client, pen.project, run, ["other", "loss"], window=(-5, 5))
    assert (curve.metric, curve.attempt, curve.x0.tolist(), curve.n_nan.tolist()) == ("loss", 0, [2.0, 3.0], [1, 0])
    assert curve.hi.tolist()[1] == 6.0
    assert queries.hidden_curves(client, pen.project, run, ["loss"], window=(0, 1)) == []


def test_hidden_points_keep_their_spikes_in_few_stretches(client: Client, pen: Pen) -> None:
    run = pen.run(1)
    pen.points(run, "loss", [float(n == 700) for n in range(1000)])
    rewind(pen, run, attempt=1, step=-1)
    (curve,) = queries.hidden_curves(client, pen.project, run, ["loss"], width_px=10, x="relative")
    assert len(curve) <= 11
    assert max(curve.hi) == 1.0


def test_a_curve_over_another_metric_takes_the_newest_value_of_it_by_each_step(client: Client, pen: Pen) -> None:
    run = pen.run(1)
    pen.points(run, "epoch", [0.0, 1.0], steps=[2, 4])
    pen.points(run, "loss", [9.0, 8.0, 7.0, 6.0, 5.0, 4.0])
    pen.points(run, "loss", [100.0], steps=[5], rank=1, writer=2)
    (curve,) = queries.curves_against(client, pen.project, [run], ["loss"], "epoch")
    assert (curve.x0.tolist(), curve.lo.tolist(), curve.hi.tolist()) == ([0.0, 1.0], [6.0, 4.0], [7.0, 5.0])
    (part,) = queries.curves_against(client, pen.project, [run], ["loss"], "epoch", window=(0.5, 2.0))
    assert part.x0.tolist() == [1.0]


def test_runs_without_the_other_metric_are_absent(client: Client, pen: Pen) -> None:
    runs = [pen.run(1), pen.run(2)]
    for run in runs:
        pen.points(run, "loss", [1.0, 2.0])
    pen.points(runs[1], "epoch", [5.0])
    found = queries.curves_against(client, pen.project, runs, ["loss", "none"], "epoch")
    assert [(curve.run_id, curve.metric, curve.x0.tolist()) for curve in found] == [(runs[1], "loss", [5.0])]
