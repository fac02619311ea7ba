import importlib
import math
from typing import Any

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runstream_storage import queries
from runstream_storage.queries import visible

curves_module = importlib.import_module("runstream_storage.queries.curves")  # the name is the function's
pytestmark = pytest.mark.clickhouse
NAN, INF = math.nan, math.inf


def curve(client: Client, run_id: str, metric: str = "loss", **options: Any) -> queries.Curve:
    found = queries.curves(client, "vision", [run_id], [metric], **options).get(run_id, metric)
    assert found is not None
    return found


def long_series(client: Client, pen: Any, run_id: str, points: int, metric: str = "loss", stride: int = 1) -> None:
    """sin-like values made by the server, with one spike, one NaN and one infinity of each sign."""
    client.command(
        "INSERT INTO points (project, run_id, metric, rank, step, ts_us, value, ver, attempt, writer) "
        "SELECT 'vision', {run:UUID}, {metric:String}, 0, number * {stride:Int64}, {start:Int64} + number * 1000, "
        "multiIf(number = 4321, 99., number = 1000, nan, number = 2000, inf, number = 3000, -inf, sin(number / 1000)), "
        "number, 0, 1 FROM numbers({points:UInt64})",
        parameters={"run": run_id, "metric": metric, "start": pen.start_us, "points": points, "stride": stride},
    )
    pen.insert(
        "metric_summary",
        project="vision",
        metric=metric,
        run_id=run_id,
        rank=0,
        writer=1,
        min=-INF,
        max=INF,
        first=(0, 0, 0.0),
        last=(0, (points - 1) * stride, points, 0.0),
        first_us=pen.start_us,
        last_us=pen.start_us + (points - 1) * 1000,
        n=points,
        n_nan=1,
        n_inf=2,
    )


def test_a_short_curve_is_the_logged_values(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    pen.points(run_id, "loss", [3.0, NAN, -0.0, INF, -INF, 5e-324], steps=[-5, 0, 7, 8, 10**15, 2**62])
    found = curve(client, run_id)
    assert found.exact
    assert found.x0.tolist() == found.x1.tolist() == [-5, 0, 7, 8, 10**15, 2**62]
    np.testing.assert_array_equal(found.lo, [3.0, NAN, -0.0, NAN, NAN, 5e-324])
    np.testing.assert_array_equal(found.lo, found.hi)
    assert math.copysign(1, found.lo[2]) == -1
    assert (found.n_nan.tolist(), found.n_pos.tolist(), found.n_neg.tolist()) == (
        [0, 1, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 1, 0],
    )


def test_a_value_logged_again_for_a_step_replaces_the_older(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    pen.points(run_id, "loss", [1.0, 2.0, 3.0])
    pen.points(run_id, "loss", [9.0], steps=[1], attempt=1, writer=2)
    assert curve(client, run_id).lo.tolist() == [1.0, 9.0, 3.0]


@pytest.mark.parametrize("x", ["step", "time", "relative"])
@pytest.mark.parametrize("points", [5_000, 250_000, 3_000_000])
def test_a_long_curve_has_no_more_than_two_points_a_pixel_and_keeps_its_spike(
    client: Client, pen: Any, points: int, x: Any
) -> None:
    run_id = pen.run(0, created_us=pen.start_us)
    long_series(client, pen, run_id, points)
    found = curve(client, run_id, width_px=300, x=x)
    assert 150 <= len(found) <= 301
    assert not found.exact
    assert np.nanmax(found.hi) == 99.0
    assert np.nanmin(found.lo) == pytest.approx(-1.0, abs=1e-3)
    assert np.isfinite(found.hi[~np.isnan(found.hi)]).all()
    assert (found.n_nan.sum(), found.n_pos.sum(), found.n_neg.sum()) == (1, 1, 1)
    assert (np.diff(found.x0) > 0).all()
    assert (found.x1 >= found.x0).all()
    first, last = {"step": (0, points - 1), "relative": (0, (points - 1) * 1000)}.get(
        x, (pen.start_us, pen.start_us + (points - 1) * 1000)
    )
    assert (found.x0[0], found.x1[-1]) == (first, last)


def test_zooming_in_ends_at_the_logged_values(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    long_series(client, pen, run_id, 3_000_000)
    found = curve(client, run_id, window=(4_000, 4_400), width_px=300)
    assert found.exact
    assert found.x0.tolist() == list(range(4_000, 4_401))
    assert found.hi[321] == 99.0
    wide = curve(client, run_id, window=(1_000_000, 2_900_000), width_px=300)
    assert not wide.exact
    assert 150 <= len(wide) <= 302
    assert np.nanmax(wide.hi) <= 1.0


def test_a_window_of_time_is_as_exact(client: Client, pen: Any) -> None:
    run_id = pen.run(0, created_us=pen.start_us)
    long_series(client, pen, run_id, 300_000)
    found = curve(client, run_id, x="relative", window=(4_000_000, 4_400_000), width_px=300)
    assert (len(found), found.exact, found.hi[321]) == (401, True, 99.0)


def test_sparse_steps_count_as_points_not_as_steps(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    long_series(client, pen, run_id, 250_000, stride=1_000)
    found = curve(client, run_id, width_px=300)
    assert 150 <= len(found) <= 301
    assert np.nanmax(found.hi) == 99.0


def test_a_window_without_points_has_no_curve(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    pen.points(run_id, "loss", [1.0])
    assert len(queries.curves(client, "vision", [run_id], ["loss"], window=(5, 9))) == 0


def test_ranks_make_one_envelope_or_one_is_chosen(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    pen.points(run_id, "loss", [1.0, 2.0])
    pen.points(run_id, "loss", [5.0, 0.0], rank=1, writer=2)
    both = curve(client, run_id)
    assert (both.lo.tolist(), both.hi.tolist()) == ([1.0, 0.0], [5.0, 2.0])
    assert curve(client, run_id, rank=1).lo.tolist() == [5.0, 0.0]


def test_many_metrics_of_many_runs_are_three_queries(client: Client, pen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [pen.run(number) for number in range(3)]
    metrics = [f"m{number}" for number in range(6)]
    for place, run_id in enumerate(runs):
        for number, metric in enumerate(metrics):
            pen.points(run_id, metric, [place * 10.0 + number])
    asked: list[str] = []
    for name in ("query", "query_arrow"):
        original = getattr(client, name)
        monkeypatch.setattr(client, name, lambda sql, *a, _of=original, **k: (asked.append(sql), _of(sql, *a, **k))[1])
    found = queries.curves(client, "vision", runs, [*metrics, "absent"])
    assert len(asked) == 3
    assert len(found) == 18
    assert [float(one.lo[0]) for one in found.of_metric("m4")] == [4.0, 14.0, 24.0]
    assert found.get(runs[2], "m1") is not None
    assert found.get(runs[2], "absent") is None


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.integers(-5000, 5000), min_size=1, max_size=200, unique=True),
    width_px=st.integers(1, 50),
    data=st.data(),
)
def test_an_envelope_bounds_every_value_and_touches_both_ends(
    client: Client, pen: Any, steps: list[int], width_px: int, data: st.DataObject
) -> None:
    values = data.draw(
        st.lists(st.floats(width=32) | st.sampled_from([NAN, INF, -INF]), min_size=len(steps), max_size=len(steps))
    )
    client.command("TRUNCATE TABLE points")
    client.command("TRUNCATE TABLE metric_summary")
    run_id = "01a0c450-6c00-7000-8000-000000000000"
    pen.points(run_id, "loss", values, steps=steps)
    found = curve(client, run_id, width_px=width_px)
    assert len(found) <= 2 * width_px + 1
    logged = sorted(zip(steps, values, strict=True))
    for place in range(len(found)):
        inside = [value for step, value in logged if found.x0[place] <= step <= found.x1[place]]
        finite = [value for value in inside if math.isfinite(value)]
        assert found.lo[place] == min(finite) if finite else np.isnan(found.lo[place])
        assert found.hi[place] == max(finite) if finite else np.isnan(found.hi[place])
        assert found.n_nan[place] == sum(map(math.isnan, inside))
        assert found.n_pos[place] + found.n_neg[place] == sum(map(math.isinf, inside))
    covered = [place for place in range(len(found)) for step, _ in logged if found.x0[place] <= step <= found.x1[place]]
    assert len(covered) == len(logged)


def test_raw_points_stop_at_their_budget(client: Client, pen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves_module, "MAX_RAW_TOTAL", 3_000)
    run_id = pen.run(0)
    for metric in ("a", "b", "c"):
        pen.points(run_id, metric, [float(value) for value in range(2_000)])
    metrics = ["a", "b", "c"]
    spans, _ = visible.logged(client, "vision", [run_id], metrics)
    found = curves_module.extents(spans, x="step", starts={run_id: 0})
    plans = curves_module.plan(found, metrics, 1, window=None, width_px=100)
    assert sorted(plan.level for plan in plans.values()) == [0, 10, 10]


def test_points_are_streamed_in_order_with_every_bit(client: Client, pen: Any) -> None:
    run_id = pen.run(0, name="a")
    pen.points(run_id, "loss", [3.0, NAN, -0.0, -INF], steps=[3, 1, 2, 2**62])
    pen.points(run_id, "acc", [0.1])
    table = [batch.to_pylist() for batch in queries.points(client, "vision", [run_id])]
    rows = [row for batch in table for row in batch]
    assert [(row["metric"], row["step"]) for row in rows] == [
        ("acc", 0),
        ("loss", 1),
        ("loss", 2),
        ("loss", 3),
        ("loss", 2**62),
    ]
    assert math.isnan(rows[1]["value"])
    assert math.copysign(1, rows[2]["value"]) == -1
    assert rows[0]["run_id"] == run_id
    assert rows[0]["ts"].timestamp() * 1e6 == pen.start_us
    few = [batch.num_rows for batch in queries.points(client, "vision", [run_id], metrics=["loss"], window=(2, 3))]
    assert sum(few) == 2
