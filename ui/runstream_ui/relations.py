"""Charts of how values of runs hang together: parallel coordinates and scatter, as ECharts options."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runstream_storage.queries.results import RunRow, Scalar
from runstream_ui.formats import middle_cut, written
from runstream_ui.markup import chart_script, in_chart
from runstream_ui.palette import run_colour
from runstream_ui.scripts import script

_LABEL = "#7c8793"
_AXIS = "rgba(124, 135, 147, 0.55)"
_GRID = "rgba(124, 135, 147, 0.22)"
# From dark to bright in luminance, so that it reads without seeing hues, on light and on dark pages.
_RAMP = ("#3b4cc0", "#2b86d9", "#15917a", "#8fb339", "#e0b020")
_WIDE = 100.0


@dataclass(frozen=True)
class Axis:
    """A column of the runs table as an axis: numbers, on a log scale when positive and far apart; else categories."""

    text: str
    label: str
    categories: tuple[str, ...] = ()
    log: bool = False

    def place(self, value: Scalar) -> float | str | None:
        """Where a value lies; None: nowhere."""
        if value is None:
            return None
        if self.categories:
            return middle_cut(written(value), 24)
        number = float(value) if isinstance(value, int | float) else math.nan
        return number if math.isfinite(number) and (number > 0 or not self.log) else None


def axis_of(text: str, label: str, values: Sequence[Scalar]) -> Axis:
    known = [value for value in values if value is not None]
    numbers = [float(value) for value in known if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(known) or not known:
        return Axis(text, label, tuple(sorted({middle_cut(written(value), 24) for value in known})))
    finite = [number for number in numbers if math.isfinite(number)]
    log = bool(finite) and min(finite) > 0 and max(finite) / min(finite) >= _WIDE
    return Axis(text, label, log=log)


def parallel_options(runs: Sequence[RunRow], labels: Mapping[str, str], axes: Sequence[Axis]) -> dict[str, Any]:
    """A line a run across all axes, coloured by the last one where that is of numbers. Runs without a value of an axis
    are not drawn."""
    last = axes[-1]
    lines: list[dict[str, Any]] = []
    numbers = []
    for run in runs:
        places = [axis.place(run.values.get(axis.text)) for axis in axes]
        if any(place is None for place in places):
            continue
        end = places[-1]
        if isinstance(end, float):
            numbers.append(end)
        lines.append({"name": labels.get(run.run_id, run.name), "value": places, "run": run.run_id})
    options: dict[str, Any] = {
        "animation": False,
        "aria": {"enabled": True, "label": {"description": f"Parallel coordinates of {len(lines)} runs"}},
        "parallel": {"left": 60, "right": 90, "top": 46, "bottom": 26},
        "parallelAxis": [_parallel_axis(place, axis) for place, axis in enumerate(axes)],
        "tooltip": {"trigger": "item", "appendTo": "body"},
        "series": [
            {
                "type": "parallel",
                "lineStyle": {"width": 1.6, "opacity": 0.65},
                "inactiveOpacity": 0.06,
                "activeOpacity": 0.9,
                "smooth": False,
                "data": lines,
            }
        ],
    }
    if numbers and not last.categories and min(numbers) < max(numbers):
        options["visualMap"] = {
            "show": False,
            "dimension": len(axes) - 1,
            "min": min(numbers),
            "max": max(numbers),
            "inRange": {"color": list(_RAMP)},
        }
    else:
        for line in lines:
            line["lineStyle"] = {"color": run_colour(str(line["run"]))}
    options = in_chart(options)
    options["tooltip"]["formatter"] = chart_script(script("tooltip_item", NUMBER=script("number")))
    for drawn in options["parallelAxis"]:
        if drawn["type"] != "category":
            drawn["axisLabel"]["formatter"] = chart_script(script("axis_number"))
    return options


def scatter_options(runs: Sequence[RunRow], labels: Mapping[str, str], across: Axis, up: Axis) -> dict[str, Any]:
    """A point a run, in its colour."""
    points = []
    for run in runs:
        x, y = across.place(run.values.get(across.text)), up.place(run.values.get(up.text))
        if x is not None and y is not None:
            points.append(
                {
                    "name": labels.get(run.run_id, run.name),
                    "value": [x, y],
                    "itemStyle": {"color": run_colour(run.run_id)},
                }
            )
    options: dict[str, Any] = in_chart(
        {
            "animation": False,
            "aria": {
                "enabled": True,
                "label": {"description": f"{up.label} over {across.label} of {len(points)} runs"},
            },
            "grid": {"left": 16, "right": 24, "top": 34, "bottom": 34, "containLabel": True},
            "xAxis": {**_scatter_axis(across), "nameLocation": "middle", "nameGap": 30},
            "yAxis": {**_scatter_axis(up), "nameLocation": "end", "nameTextStyle": {"align": "left", "color": _LABEL}},
            "tooltip": {"trigger": "item", "appendTo": "body"},
            "series": [{"type": "scatter", "symbolSize": 9, "data": points, "itemStyle": {"opacity": 0.85}}],
        }
    )
    options["tooltip"]["formatter"] = chart_script(script("tooltip_item", NUMBER=script("number")))
    for name in ("xAxis", "yAxis"):
        if options[name]["type"] != "category":
            options[name]["axisLabel"]["formatter"] = chart_script(script("axis_number"))
    return options


def _parallel_axis(place: int, axis: Axis) -> dict[str, Any]:
    return {
        "dim": place,
        "name": middle_cut(axis.label, 26),
        "nameTextStyle": {"color": _LABEL, "fontSize": 12},
        "nameGap": 14,
        "axisLine": {"lineStyle": {"color": _AXIS}},
        "axisTick": {"lineStyle": {"color": _AXIS}},
        "axisLabel": {"color": _LABEL, "fontSize": 12 if axis.categories else 11, "fontWeight": "bold"},
        "z": 20,
        **_scale(axis),
    }


def _scatter_axis(axis: Axis) -> dict[str, Any]:
    return {
        "name": middle_cut(axis.label, 60),
        "nameTextStyle": {"color": _LABEL},
        "axisLine": {"onZero": False, "lineStyle": {"color": _AXIS}},
        "axisTick": {"lineStyle": {"color": _AXIS}},
        "axisLabel": {"color": _LABEL, "fontSize": 11, "hideOverlap": True},
        "splitLine": {"lineStyle": {"color": _GRID}},
        **_scale(axis),
    }


def _scale(axis: Axis) -> dict[str, Any]:
    if axis.categories:
        return {"type": "category", "data": list(axis.categories)}
    return {"type": "log" if axis.log else "value", "scale": True}
