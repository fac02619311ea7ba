from datetime import timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries
from runstream_storage.execution import moment
from runstream_storage.queries import clock

from .conftest import START_US, Pen, version

pytestmark = pytest.mark.clickhouse
SECOND = 1_000_000


def sample(
    pen: Pen,
    run_id: str,
    values: list[float],
    *,
    metric: str = "cpu.percent",
    node: str = "node1",
    device: str = "",
    rank: int = 0,
    start_us: int = START_US,
    period_us: int = SECOND,
) -> None:
    columns = ("project", "run_id", "node", "metric", "device", "rank", "ts_us", "value", "ver")
    rows: list[list[Any]] = []
    for place, value in enumerate(values):
        at = start_us + place * period_us
        rows.append([pen.project, run_id, node, metric, device, rank, at, value, version(at)])
    pen.client.insert("system_points", rows, column_names=columns)


def test_series_tell_nodes_devices_and_last_values(client: Client, pen: Pen) -> None:
    runs = [pen.run(1), pen.run(2)]
    sample(pen, runs[1], [1, 5, float("nan")])
    sample(pen, runs[0], [7], metric="gpu.power_w", device="gpu1")
    sample(pen, runs[0], [float("nan")], metric="gpu.power_w", device="gpu0")
    found = queries.system_series(client, "vision", runs)
    assert [(runs.index(one.run_id), one.metric, one.device, one.n, one.max) for one in found] == [
        (0, "gpu.power_w", "gpu0", 1, None),
        (0, "gpu.power_w", "gpu1", 1, 7.0),
        (1, "cpu.percent", "", 3, 5.0),
    ]
    assert (found[2].first_at, found[2].last_at) == (moment(START_US), moment(START_US + 2 * SECOND))


def test_few_samples_are_shown_as_they_are(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    sample(pen, run_id, [1.5, float("nan"), 3.0])
    sample(pen, run_id, [1.5, float("nan"), 3.0])
    (curve,) = queries.system_curves(client, "vision", [run_id], ["cpu.percent"])
    assert curve.x0.tolist() == [START_US, START_US + 2 * SECOND]
    assert (curve.lo.tolist(), curve.hi.tolist(), curve.mean.tolist()) == ([1.5, 3.0], [1.5, 3.0], [1.5, 3.0])
    assert (curve.node, curve.device, curve.rank) == ("node1", "", 0)


def test_many_samples_become_an_envelope_that_keeps_a_spike(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    values = [1.0] * 1000
    values[567] = 99.0
    sample(pen, run_id, values)
    (curve,) = queries.system_curves(client, "vision", [run_id], ["cpu.percent"], width_px=50)
    assert len(curve) <= 50
    assert curve.hi.max() == 99.0
    assert curve.lo.min() == 1.0
    assert (curve.x0[0], curve.x1[-1]) == (START_US, START_US + 999 * SECOND)


def test_a_window_and_names_narrow_the_curves_down(client: Client, pen: Pen) -> None:
    runs = [pen.run(1), pen.run(2)]
    for node in ("n1", "n2"):
        for device in ("gpu0", "gpu1"):
            sample(pen, runs[0], list(range(10)), metric="gpu.power_w", node=node, device=device)
    window = (START_US + 2 * SECOND, START_US + 4 * SECOND)
    found = queries.system_curves(
        client, "vision", runs, ["gpu.power_w"], window=window, nodes=["n2"], devices=["gpu1"]
    )
    assert [(one.node, one.device, one.lo.tolist()) for one in found] == [("n2", "gpu1", [2, 3, 4])]
    assert len(queries.system_curves(client, "vision", runs, ["gpu.power_w"])) == 4
    assert queries.system_curves(client, "vision", runs, ["gpu.power_w"], window=(0, 5)) == []
    assert queries.system_curves(client, "vision", runs, ["none"]) == []


def test_runs_lie_over_each_other_by_the_time_since_their_start(client: Client, pen: Pen) -> None:
    runs = [pen.run(1, created_us=START_US), pen.run(2, created_us=START_US + 3600 * SECOND)]
    sample(pen, runs[0], [1, 2], start_us=START_US + SECOND)
    sample(pen, runs[1], [3, 4], start_us=START_US + 3601 * SECOND)
    found = queries.system_curves(client, "vision", runs, ["cpu.percent"], x="relative")
    assert [one.x0.tolist() for one in found] == [[SECOND, 2 * SECOND], [SECOND, 2 * SECOND]]
    found = queries.system_curves(client, "vision", runs, ["cpu.percent"], x="relative", window=(0, SECOND))
    assert [one.lo.tolist() for one in found] == [[1], [3]]


def test_time_becomes_steps_by_the_points_of_a_metric(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    # Step 0 at second 0, step 10 at second 1, ... step 90 at second 9.
    pen.points(run_id, "loss", [0.5] * 10, steps=list(range(0, 100, 10)), period_us=SECOND)
    sample(pen, run_id, list(range(10)), start_us=START_US + SECOND // 2)
    (curve,) = queries.system_curves(client, "vision", [run_id], ["cpu.percent"], x="step")
    assert curve.x0.tolist() == [5, 15, 25, 35, 45, 55, 65, 75, 85]
    (part,) = queries.system_curves(client, "vision", [run_id], ["cpu.percent"], x="step", window=(20, 40))
    assert part.x0.tolist() == [25, 35]
    assert queries.system_curves(client, "vision", [pen.run(2)], ["cpu.percent"], x="step") == []


def test_a_clock_leads_from_a_line_to_its_step_and_back(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    pen.points(run_id, "rare", [1.0], steps=[4])
    pen.points(run_id, "loss", [0.5] * 5, steps=[0, 10, 20, 30, 40], period_us=SECOND)
    found = queries.step_clocks(client, "vision", [run_id])[run_id]
    assert found.metric == "loss"
    assert found.step_at(moment(START_US + 2 * SECOND + 300_000)) == 23
    assert found.time_of(23) == moment(START_US + 2 * SECOND + 300_000)
    assert (found.step_at(moment(0)), found.time_of(-5), found.time_of(99)) == (
        0,
        moment(START_US),
        moment(START_US + 4 * SECOND),
    )
    assert queries.step_clocks(client, "vision", [run_id], metric="rare")[run_id].steps.tolist() == [4]
    assert queries.step_clocks(client, "vision", [run_id], metric="none") == {}


def test_a_clock_of_a_resumed_run_knows_the_newest_time_of_a_step(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    pen.points(run_id, "loss", [1.0] * 5, steps=[0, 10, 20, 30, 40], period_us=SECOND)
    later = START_US + 100 * SECOND
    pen.rewound(run_id, rank=0, attempt=1, step=20, writer=2)
    pen.points(run_id, "loss", [1.0] * 2, steps=[30, 40], writer=2, attempt=1, start_us=later, period_us=SECOND)
    found = queries.step_clocks(client, "vision", [run_id])[run_id]
    assert found.time_of(30) == moment(later)
    assert found.steps.tolist() == [0, 10, 20, 30, 40]


def test_a_long_clock_is_read_from_the_tier(client: Client, pen: Pen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "MANY_POINTS", 1000)
    run_id = pen.run(1)
    pen.points(run_id, "loss", [0.5] * 5000, period_us=SECOND)
    found = queries.step_clocks(client, "vision", [run_id])[run_id]
    assert len(found.steps) == 10
    for step in (0, 1, 1024, 3333, 4999):
        assert found.time_of(step) == moment(START_US) + timedelta(seconds=step)


def test_a_deleted_run_has_no_samples_unless_asked(client: Client, pen: Pen) -> None:
    run_id = pen.run(1)
    sample(pen, run_id, [1.0])
    pen.attribute(run_id, "deleted")
    assert queries.system_series(client, "vision", [run_id]) == []
    assert queries.system_curves(client, "vision", [run_id], ["cpu.percent"]) == []
    assert len(queries.system_curves(client, "vision", [run_id], ["cpu.percent"], include_deleted=True)) == 1
