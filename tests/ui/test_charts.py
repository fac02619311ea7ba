from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runstream_ui.charts import Curve, Panel, line_options, rounded


def curve(low: list[float], high: list[float] | None = None, **more: object) -> Curve:
    x = np.arange(len(low), dtype=np.float64)
    return Curve("r1", x, np.array(low), np.array(high or low), extent=(0.0, float(len(low) - 1)), **more)  # type: ignore[arg-type]


def lines(options: dict[str, object]) -> list[dict[str, object]]:
    return [series for series in options["series"] if series["type"] == "line"]  # type: ignore[attr-defined]


def test_a_spike_inside_a_bucket_is_drawn() -> None:
    options = line_options(Panel("loss"), [curve([1, 1, 1], [1, 9, 1])])
    assert [1.0, 9.0] in lines(options)[0]["data"]  # type: ignore[operator]


def test_a_bucket_is_entered_at_the_end_nearer_to_the_last_value() -> None:
    options = line_options(Panel("loss"), [curve([8, 1], [8, 9])])
    assert lines(options)[0]["data"] == [[0.0, 8.0], [1.0, 9.0], [1.0, 1.0]]


@given(hnp.arrays(np.float64, st.integers(1, 300)))
def test_options_are_json_whatever_was_logged(values: np.ndarray) -> None:
    options = line_options(Panel("loss", smoothing=0.6), [curve(values.tolist())])
    json.dumps(options, allow_nan=False)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_rounded_value_keeps_seven_digits(value: float) -> None:
    (kept,) = rounded(np.array([value]))
    assert kept is not None
    assert math.isclose(kept, value, rel_tol=1e-6, abs_tol=5e-324)


def test_on_a_log_scale_what_is_not_positive_is_left_out() -> None:
    options = line_options(Panel("loss", log_y=True), [curve([-1, 0, 2])])
    assert [y for _, y in lines(options)[0]["data"]] == [None, None, 2.0]  # type: ignore[attr-defined]


def test_nan_and_infinities_are_marks_at_the_edge() -> None:
    options = line_options(Panel("loss"), [curve([1, 2], marks=((0.0, "NaN"), (1.0, "inf")))])
    (marks,) = [series for series in options["series"] if series["type"] == "scatter"]
    assert [(point["value"][0], point["name"]) for point in marks["data"]] == [(0.0, "NaN"), (1.0, "inf")]
    assert marks["yAxisIndex"] == 1


def test_smoothing_keeps_what_was_logged_underneath() -> None:
    raw, smooth = lines(line_options(Panel("loss", smoothing=0.9), [curve([1, 5, 1])]))
    assert raw["lineStyle"]["opacity"] < 0.5  # type: ignore[index]
    assert smooth["data"] != raw["data"]


def test_a_zoomed_panel_shows_its_window() -> None:
    options = line_options(Panel("loss", window=(10.0, 20.0)), [curve([1, 2])])
    assert (options["xAxis"]["min"], options["xAxis"]["max"]) == (10.0, 20.0)


@pytest.mark.parametrize("x_axis", ["step", "time", "relative"])
def test_a_panel_without_curves_can_be_drawn(x_axis: str) -> None:
    json.dumps(line_options(Panel("loss", x_axis=x_axis), []), allow_nan=False)  # type: ignore[arg-type]


def test_a_run_cannot_smuggle_a_script_into_a_chart() -> None:
    name = "--x_x--0_0--window.hacked=1--x_x--0_0--"
    options = line_options(Panel(name, labels={"r1": name}), [curve([1, 2])])
    assert "--x_x--0_0--window" not in json.dumps(options)
