"""Histograms with edges of their own, brought onto one grid."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_ui.histogram_charts import Doubles, heat_map_options, on_one_grid, ridge_options


@dataclass(frozen=True)
class Histogram:
    step: int
    edges: Doubles
    counts: Doubles
    n_nan: int = 0
    n_inf: int = 0


def _normal(step: int, width: float = 1.0, n: int = 1000) -> Histogram:
    counts, edges = np.histogram(np.random.default_rng(step).normal(0, width, n), 30)
    return Histogram(step, edges, counts.astype(np.float64))


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(1, 40)), min_size=1, max_size=8))
def test_no_mass_is_lost_on_the_common_grid(shapes: list[tuple[float, float, int]]) -> None:
    found = [
        Histogram(step, np.linspace(low, low + width, bins + 1), np.arange(1.0, bins + 1))
        for step, (low, width, bins) in enumerate(shapes)
    ]
    grid = on_one_grid(found, bins=50, steps=100)
    assert np.allclose(grid.counts.sum(axis=1), [histogram.counts.sum() for histogram in found])


def test_more_steps_than_pixels_are_thinned_to_the_first_the_last_and_some_between() -> None:
    grid = on_one_grid([_normal(step) for step in range(0, 5000, 10)], bins=20, steps=40)
    assert len(grid.steps) == 40
    assert (grid.steps[0], grid.steps[-1]) == (0, 4990)


def test_the_middle_leaves_an_outlier_out_of_the_range() -> None:
    found = [_normal(step) for step in range(9)]
    far = found[4]
    found[4] = Histogram(4, np.append(far.edges, 1e9), np.append(far.counts, 1.0))
    assert on_one_grid(found, bins=20, steps=40).edges[-1] == pytest.approx(1e9)
    assert on_one_grid(found, bins=20, steps=40, middle=0.98).edges[-1] < 10


@pytest.mark.parametrize(
    "found",
    [
        [],
        [Histogram(0, np.array([0.0, 1.0]), np.array([0.0]))],
        [Histogram(0, np.array([0.0, 5e-324]), np.array([1.0]))],
        [Histogram(-5, np.array([-1.7e308, 1.7e308]), np.array([3.0]), n_nan=3, n_inf=1)],
    ],
)
def test_what_is_odd_still_makes_a_chart_that_json_can_hold(found: list[Histogram]) -> None:
    grid = on_one_grid(found, bins=10, steps=10, middle=0.9)
    for options in (heat_map_options("x", grid, log=True), heat_map_options("x", grid), ridge_options("x", grid)):
        json.dumps(options, allow_nan=False)


def test_a_chart_is_no_larger_than_what_pixels_need() -> None:
    grid = on_one_grid([_normal(step, 1 + step / 3000) for step in range(3000)], bins=56, steps=110)
    assert sum(len(entry["data"]) for entry in heat_map_options("grad", grid)["series"]) <= 56 * 110
    assert len(json.dumps(heat_map_options("grad", grid))) < 200_000


def test_histograms_of_several_ranks_at_a_step_are_added_up() -> None:
    grid = on_one_grid([_normal(5), _normal(5), _normal(7)], bins=20, steps=10)
    assert grid.steps == (5, 7)
    assert grid.counts.sum(axis=1) == pytest.approx([2000, 1000])


def test_ridges_overlap_with_the_newest_in_front() -> None:
    options = ridge_options("w", on_one_grid([_normal(step) for step in (1, 5, 9)], bins=30, steps=10))
    assert [entry["name"] for entry in options["series"]] == ["step 1", "step 5", "step 9"]
    assert [entry["areaStyle"]["origin"] for entry in options["series"]] == [2.0, 1.0, 0.0]
    assert [entry["z"] for entry in options["series"]] == [2, 3, 4]


def test_a_hostile_name_stays_text() -> None:
    hostile = "--x_x--0_0--window.hacked=1--x_x--0_0--"
    options = heat_map_options(hostile, on_one_grid([_normal(1)], bins=4, steps=4))
    assert "--x_x--0_0--" not in options["aria"]["label"]["description"]
