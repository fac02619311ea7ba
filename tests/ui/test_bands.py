from __future__ import annotations

import numpy as np
import pytest

from runstream_ui.bands import mean_band
from runstream_ui.charts import Curve, Panel, line_options


def curve(run: str, x: list[float], y: list[float]) -> Curve:
    values = np.array(y)
    return Curve(run, np.array(x), values, values)


def test_the_mean_of_curves_with_its_confidence_interval() -> None:
    band = mean_band("g", [curve("a", [0, 1], [1.0, 2.0]), curve("b", [0, 1], [3.0, 6.0])])
    assert band.runs == 2
    assert band.mean.tolist() == [2.0, 4.0]
    # Two values: t is 12.7062, the standard error half of their distance.
    assert band.high.tolist() == pytest.approx([2 + 12.7062, 4 + 2 * 12.7062], rel=1e-5)
    assert (band.low + band.high).tolist() == pytest.approx([4.0, 8.0])


def test_a_curve_that_ended_does_not_hold_the_mean_back() -> None:
    band = mean_band("g", [curve("a", [0, 1], [1.0, 1.0]), curve("b", [0, 1, 2], [3.0, 3.0, 5.0])])
    assert band.mean.tolist() == [2.0, 2.0, 5.0]
    assert (band.low[2], band.high[2]) == (5.0, 5.0)


def test_points_that_lie_at_other_steps_are_reached_by_straight_lines() -> None:
    band = mean_band("g", [curve("a", [0, 10], [0.0, 10.0]), curve("b", [0, 5, 10], [0.0, 5.0, 10.0])])
    assert band.x.tolist() == [0, 5, 10]
    assert band.mean.tolist() == [0.0, 5.0, 10.0]


def test_values_that_are_not_finite_are_passed_over() -> None:
    band = mean_band("g", [curve("a", [0, 1, 2], [1.0, np.nan, 3.0]), curve("b", [0], [np.inf])])
    assert band.runs == 1
    assert band.mean.tolist() == [1.0, 3.0]


def test_a_group_without_points_is_empty() -> None:
    assert mean_band("g", []).x.size == 0


def test_many_points_are_drawn_at_few_places() -> None:
    assert mean_band("g", [curve("a", list(range(1000)), [1.0] * 1000)]).x.size == 200


def test_a_band_is_a_line_over_an_area_and_names_its_runs() -> None:
    band = mean_band("g", [curve("a", [0, 1], [1.0, 2.0]), curve("b", [0, 1], [3.0, 6.0])])
    options = line_options(Panel("loss", labels={"g": "adam"}), [], [band])
    kinds = {series["id"]: series for series in options["series"]}
    assert set(kinds) == {"band-g", "spread-g", "mean-g"}
    assert kinds["mean-g"]["name"] == "adam"
    assert kinds["spread-g"]["areaStyle"]["opacity"] > 0
    assert options["xAxis"]["max"] == 1
