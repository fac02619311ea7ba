"""Machine samples as charts."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from runstream_storage.queries.system import SystemCurve, SystemSeries
from runstream_ui import machines
from runstream_ui.charts import Curve, Panel, line_options
from runstream_ui.palette import run_colour

NOW = datetime.now(UTC)


def _series(metric: str, device: str = "", node: str = "a") -> SystemSeries:
    return SystemSeries("r", node, metric, device, 0, 5, NOW, NOW, 1.0, 1.0)


def _curve(node: str, device: str, level: float, *, run_id: str = "r", n: int = 50) -> SystemCurve:
    x = np.arange(n, dtype=np.float64) * 1e6
    values = np.full(n, level)
    return SystemCurve(run_id, "gpu.utilization_percent", node, device, 0, x, x + 9e5, values, values, values)


def test_gpus_come_first_and_how_busy_they_are_before_how_warm() -> None:
    found = machines.sections(
        [
            _series("threads", "process"),
            _series("net.sent_bytes_per_s"),
            _series("gpu.temperature_c"),
            _series("gpu.utilization_percent"),
            _series("swap.used_bytes"),
            _series("tpu.duty"),
        ]
    )
    assert list(found) == ["GPU", "Memory", "Network", "Process", "tpu"]
    assert found["GPU"] == ["gpu.utilization_percent", "gpu.temperature_c"]


@pytest.mark.parametrize(
    ("metric", "title", "unit"),
    [
        ("gpu.memory_used_bytes", "GPU memory used", "bytes"),
        ("gpu.power_w", "GPU power (W)", ""),
        ("disk.read_bytes_per_s", "Disk read per second", "bytes"),
        ("cpu.percent", "CPU percent", "percent"),
        ("threads", "Threads", ""),
    ],
)
def test_a_metric_has_a_title_and_a_unit(metric: str, title: str, unit: str) -> None:
    assert machines.title_of(metric) == title
    assert machines.unit_of(metric) == unit


def test_labels_say_only_what_tells_lines_apart() -> None:
    lines = [machines.Line("r", "a", "gpu0", 0), machines.Line("r", "a", "gpu1", 0)]
    assert list(machines.labels(lines, {"r": "run"}).values()) == ["gpu0", "gpu1"]
    two = [*lines, machines.Line("s", "b", "gpu0", 0)]
    assert machines.labels(two, {"r": "run", "s": "other"})[two[2].key] == "other · b · gpu0"


def test_a_device_has_one_colour_on_all_nodes_and_a_run_its_own() -> None:
    lines = [machines.Line("r", node, f"gpu{gpu}", 0) for node in "ab" for gpu in (0, 1, 10, 2)]
    styles = machines.styles(lines)
    assert styles[lines[0].key][0] == styles[lines[4].key][0]
    assert styles[lines[0].key][1] != styles[lines[4].key][1]
    several = machines.styles([*lines, machines.Line("s", "a", "gpu0", 0)])
    assert several[lines[0].key][0] == run_colour("r")


def test_who_is_far_below_the_others_comes_first() -> None:
    found = [_curve("a", f"gpu{gpu}", 90.0 + gpu) for gpu in range(4)] + [_curve("b", "gpu0", 45.0)]
    order = machines.laggards(found)
    assert order[0].key == machines.line_of(found[4]).key
    assert order[0].apart == pytest.approx(-0.5, abs=0.02)


def test_samples_that_are_never_finite_are_left_out_of_the_order() -> None:
    assert machines.laggards([_curve("a", "gpu0", float("nan"))]) == []
    assert machines.laggards([_curve("a", "gpu0", 0.0)])[0].apart == 0


def test_the_heat_map_has_a_row_for_each_and_names_are_text() -> None:
    found = [_curve("a", "gpu0", 1.0), _curve("--x_x--0_0--evil", "gpu0", 2.0), _curve("c", "gpu0", 3.0, n=0)]
    lines = [machines.line_of(curve) for curve in found]
    options = machines.spread_options(
        "GPU", found, [line.key for line in lines], machines.labels(lines, {}), "relative", "percent"
    )
    assert len(options["series"]) == 2
    assert "--x_x--0_0--evil" not in json.dumps(options["series"]) + json.dumps(options["yAxis"])


def test_a_metric_of_the_run_is_drawn_over_it_with_an_axis_of_its_own() -> None:
    panel = Panel("CPU", "relative", unit="bytes", moment=3.0)
    options = line_options(panel, [machines.drawn(_curve("a", "", 5.0), 1e6)])
    both = machines.with_overlay(
        options, "loss", Curve("r", np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    )
    assert both["series"][-1]["yAxisIndex"] == len(options["yAxis"]) == 2
    assert any(entry.get("markLine") for entry in both["series"])
    json.dumps(both, allow_nan=False)


def test_nodes_of_one_domain_are_told_apart_by_their_own_names() -> None:
    short = machines.short_nodes({"gpu-00.cluster.example.org", "gpu-01.cluster.example.org"})
    assert set(short.values()) == {"gpu-00", "gpu-01"}
    assert machines.short_nodes({"a.x.org", "a.y.org"}) == {"a.x.org": "a.x", "a.y.org": "a.y"}
    assert machines.short_nodes({"10.0.0.1", "10.1.0.1"}) == {"10.0.0.1": "10.0.0.1", "10.1.0.1": "10.1.0.1"}
    assert machines.short_nodes({"only.example.org"}) == {"only.example.org": "only.example.org"}
