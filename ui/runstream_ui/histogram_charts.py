"""Histograms over steps as chart options: a heat map, and ridges.

Histograms of one name may each have edges of their own. They are brought onto one grid of bins first: what lies in a
bin is spread evenly over it, so no mass is lost or made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from runstream_ui import formats
from runstream_ui.charts import AXIS, GRID, LABEL, rounded
from runstream_ui.markup import chart_script, in_chart
from runstream_ui.scripts import script

Doubles = npt.NDArray[np.float64]
Form = Literal["heat map", "ridges"]

# About three pixels a bin and five a step: more cannot be told apart in a chart of this size.
HEAT_BINS, HEAT_STEPS = 56, 110
RIDGE_BINS, RIDGES = 72, 22
_OVERLAP = 3.2
# The difference of two large doubles may overflow; a power of two loses no digit.
_SMALLER = 0.25
# Viridis: even steps of lightness, the same to people who do not see red and green apart.
_COLOURS = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725")
_RIDGE_COLOURS = ("#9db8d2", "#2b6cb0")


class Histogram(Protocol):
    """What was logged at `step`: `counts[i]` values lie from `edges[i]` to `edges[i + 1]`; `n_nan` and `n_inf` values
    are in no bin."""

    @property
    def step(self) -> int: ...
    @property
    def edges(self) -> Doubles: ...
    @property
    def counts(self) -> Doubles: ...
    @property
    def n_nan(self) -> int: ...
    @property
    def n_inf(self) -> int: ...


@dataclass(frozen=True)
class Grid:
    """Histograms on common bins: `counts[s, b]` at `steps[s]` from `edges[b]` to `edges[b + 1]`."""

    steps: tuple[int, ...]
    edges: Doubles
    counts: Doubles
    not_finite: tuple[int, ...]

    @property
    def shares(self) -> Doubles:
        """Of all values of a step, the part in each bin."""
        totals = self.counts.sum(axis=1, keepdims=True)
        shares: Doubles = np.divide(self.counts, totals, out=np.zeros_like(self.counts), where=totals > 0)
        return shares


def on_one_grid(found: Sequence[Histogram], *, bins: int, steps: int, middle: float = 1.0) -> Grid:
    """At most `steps` steps, evenly chosen with the first and the last, on `bins` common bins. Histograms of one step,
    of several ranks, are added up.

    `middle` below 1 leaves out as much of all mass at both ends: a few outliers then do not flatten the rest.
    """
    known = sorted({histogram.step for histogram in found})
    if len(known) > steps:
        known = [known[place] for place in np.linspace(0, len(known) - 1, steps).round().astype(int)]
    rows = {step: row for row, step in enumerate(known)}
    chosen = [histogram for histogram in found if histogram.step in rows]
    edges = _common_edges(chosen, bins, middle)
    counts, lost = np.zeros((len(known), edges.size - 1)), [0] * len(known)
    for histogram in chosen:
        row = rows[histogram.step]
        counts[row] += np.diff(np.interp(edges * _SMALLER, histogram.edges * _SMALLER, _cumulative(histogram)))
        lost[row] += histogram.n_nan + histogram.n_inf
    return Grid(tuple(known), edges, counts, tuple(lost))


def _cumulative(histogram: Histogram) -> Doubles:
    usable = np.where(np.isfinite(histogram.counts), histogram.counts, 0.0)
    return np.concatenate(([0.0], np.cumsum(usable)))


def _common_edges(found: Sequence[Histogram], bins: int, middle: float) -> Doubles:
    lows, highs = [], []
    for histogram in found:
        filled = np.flatnonzero(histogram.counts > 0)
        if filled.size == 0:
            continue
        low, high = histogram.edges[filled[0]], histogram.edges[filled[-1] + 1]
        if middle < 1:
            rising = _cumulative(histogram)
            cut = (1 - middle) / 2 * rising[-1]
            low, high = np.interp((cut, rising[-1] - cut), rising, histogram.edges * _SMALLER) / _SMALLER
        lows.append(float(low))
        highs.append(float(high))
    if not lows:
        return np.linspace(0.0, 1.0, bins + 1)
    low, high = (min(lows), max(highs)) if middle >= 1 else (float(np.median(lows)), float(np.median(highs)))
    if not low < high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low * _SMALLER, high * _SMALLER, bins + 1) / _SMALLER


def heat_map_options(title: str, grid: Grid, *, log: bool = False) -> dict[str, Any]:
    """Steps across, bins up, the share of a step's values as colour (its logarithm with `log`)."""
    shares = grid.shares
    rows, columns = np.nonzero(shares > 0)
    bounds = [f"{low!r}:{high!r}" for low, high in zip(*_bounds(grid), strict=True)]
    shown = np.log10(shares[rows, columns]) if log else shares[rows, columns]
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 1.0)
    by_bin: list[list[list[float | None]]] = [[] for _ in bounds]
    numbers = (rounded(shown, 4), rounded(grid.counts[rows, columns], 4))
    for step, place, colour, count in zip(rows.tolist(), columns.tolist(), *numbers, strict=True):
        by_bin[place].append([step, place, colour, count])
    options: dict[str, Any] = in_chart(
        {
            "animation": False,
            "aria": {"enabled": True, "label": {"description": f"Histograms of {title} over steps, as a heat map"}},
            "grid": {"left": 8, "right": 14, "top": 10, "bottom": 6, "containLabel": True},
            "xAxis": _categories([str(step) for step in grid.steps]),
            "yAxis": _categories(bounds, every=7),
            "visualMap": {
                "show": False,
                "min": low,
                "max": high if high > low else low + 1,
                "dimension": 2,
                "inRange": {"color": list(_COLOURS)},
            },
            "tooltip": {"trigger": "item", "appendTo": "body", "transitionDuration": 0},
            # A series a bin, named by its edges: the tooltip knows the name of a series, and nothing of an axis.
            "series": [
                {
                    "type": "heatmap",
                    "name": name,
                    "data": by_bin[place],
                    "progressive": 0,
                    "emphasis": {"itemStyle": {"borderColor": LABEL, "borderWidth": 1}},
                }
                for place, name in enumerate(bounds)
                if by_bin[place]
            ],
        }
    )
    options["xAxis"]["axisLabel"]["formatter"] = chart_script(script("axis_step"))
    options["yAxis"]["axisLabel"]["formatter"] = chart_script(script("axis_bin"))
    options["tooltip"]["formatter"] = chart_script(script("tooltip_cell", NUMBER=script("number")))
    options["tooltip"]["position"] = chart_script(script("place_tooltip"))
    return options


def ridge_options(title: str, grid: Grid) -> dict[str, Any]:
    """One outline a step, the oldest behind and above; as high as the share of the values."""
    shares = grid.shares
    tallest = float(shares.max()) if shares.size else 0.0
    centres = grid.edges[:-1] / 2 + grid.edges[1:] / 2
    lows, highs = _bounds(grid)
    count = len(grid.steps)
    labelled = max(1, -(-count // 8))
    series = []
    for row, step in enumerate(grid.steps):
        base = float(count - 1 - row)
        height = shares[row] / tallest * _OVERLAP if tallest > 0 else shares[row]
        outline = zip(
            rounded(centres), rounded(base + height, 5), rounded(grid.counts[row], 4), lows, highs, strict=True
        )
        colour = _mixed(*_RIDGE_COLOURS, row / max(1, count - 1))
        series.append(
            {
                "type": "line",
                "name": f"step {formats.count(step)}",
                "data": [list(point) for point in outline],
                "symbol": "none",
                "z": 2 + row,
                "lineStyle": {"width": 1, "color": colour},
                "itemStyle": {"color": colour},
                "areaStyle": {"origin": base, "color": colour, "opacity": 0.55},
                "emphasis": {"disabled": True},
                "endLabel": {
                    "show": (count - 1 - row) % labelled == 0,
                    "formatter": "{a}",
                    "color": LABEL,
                    "fontSize": 10,
                },
            }
        )
    options: dict[str, Any] = in_chart(
        {
            "animation": False,
            "aria": {"enabled": True, "label": {"description": f"Histograms of {title} over steps, as ridges"}},
            "grid": {"left": 8, "right": 78, "top": 10, "bottom": 6, "containLabel": True},
            "xAxis": {
                "type": "value",
                "min": float(grid.edges[0]),
                "max": float(grid.edges[-1]),
                "splitLine": {"lineStyle": {"color": GRID}},
                "axisLine": {"onZero": False, "lineStyle": {"color": AXIS}},
                "axisLabel": {
                    "fontSize": 11,
                    "hideOverlap": True,
                    "color": LABEL,
                    "showMinLabel": False,
                    "showMaxLabel": False,
                },
                "splitNumber": 5,
            },
            "yAxis": {"type": "value", "show": False, "min": 0, "max": count - 1 + _OVERLAP},
            "tooltip": {
                "trigger": "axis",
                "appendTo": "body",
                "axisPointer": {"type": "line", "animation": False},
                "transitionDuration": 0,
            },
            "series": series,
        }
    )
    options["xAxis"]["axisLabel"]["formatter"] = chart_script(script("axis_number"))
    options["tooltip"]["formatter"] = chart_script(script("tooltip_ridge", NUMBER=script("number")))
    options["tooltip"]["position"] = chart_script(script("place_tooltip"))
    return options


def _bounds(grid: Grid) -> tuple[list[float | None], list[float | None]]:
    edges = rounded(grid.edges, 5)
    return edges[:-1], edges[1:]


def _categories(names: list[str], every: int = 0) -> dict[str, Any]:
    return {
        "type": "category",
        "data": names,
        "splitLine": {"show": False},
        "axisTick": {"show": False},
        "axisLine": {"lineStyle": {"color": AXIS}},
        "axisLabel": {"fontSize": 11, "hideOverlap": True, "color": LABEL} | ({"interval": every} if every else {}),
    }


def _mixed(first: str, second: str, part: float) -> str:
    """The colour between two hex colours."""
    pairs = [(int(first[at : at + 2], 16), int(second[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(low + (high - low) * part):02x}" for low, high in pairs)
