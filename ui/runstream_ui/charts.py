"""Chart options for ECharts: what a panel shows, as plain data.

Curves come as min/max envelopes no wider than the panel, so a spike is drawn whatever the zoom; NaN and infinities are
marks on the edge of the plot, because a hole in a line says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from runstream_ui.markup import chart_script, in_chart
from runstream_ui.palette import run_colour
from runstream_ui.scripts import script
from runstream_ui.smoothing import debiased_ema

if TYPE_CHECKING:
    from runstream_ui.bands import Band

XAxis = Literal["step", "time", "relative"]
Unit = Literal["", "bytes", "percent"]
Doubles = npt.NDArray[np.float64]

# The chart library's theme knows value axes only; these stand out enough from the light and the dark page.
LABEL = "#7c8793"
AXIS = "rgba(124, 135, 147, 0.55)"
GRID = "rgba(124, 135, 147, 0.22)"
MOMENT = "#d98a02"

_TICKS_S = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_200, 1_800),
    *(3_600, 7_200, 14_400, 28_800, 43_200, 86_400, 172_800, 432_000, 864_000, 2_592_000, 7_776_000, 31_536_000),
)

ZOOM_EVENTS = {
    "rendered": script("arm_zoom"),
    "datazoom": script("zoomed"),
    "zr:dblclick": script("reset_zoom"),
    "zr:click": script("clicked"),
}


@dataclass(frozen=True)
class Curve:
    """One metric of one run inside a window of x.

    `x`, `low` and `high` are of one length; `low` equals `high` where a bucket holds one point. `x` is a step,
    milliseconds since 1970 or seconds since the start of the run; `extent` are the first and the last point's. `marks`
    are (x, "NaN" | "inf" | "-inf"). With an `attempt` it is what that attempt logged and no view shows any more: drawn
    faintly.
    """

    run_id: str
    x: Doubles
    low: Doubles
    high: Doubles
    extent: tuple[float, float] = (0.0, 0.0)
    marks: Sequence[tuple[float, str]] = ()
    attempt: int = -1

    @property
    def key(self) -> str:
        return self.run_id if self.attempt < 0 else f"{self.run_id}:{self.attempt}"


@dataclass(frozen=True)
class Panel:
    """What a chart shows besides its curves: `styles` and `labels` by run id, the labels all different. `against` is
    the metric whose values go across instead of `x_axis`. `moment` is an x that a vertical line marks."""

    title: str
    x_axis: XAxis = "step"
    against: str = ""
    log_y: bool = False
    smoothing: float = 0.0
    window: tuple[float, float] | None = None
    styles: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    unit: Unit = ""
    moment: float | None = None

    @property
    def across(self) -> str:
        return self.against or self.x_axis

    def label(self, curve: Curve) -> str:
        name = self.labels.get(curve.run_id, curve.run_id[:8])
        return name if curve.attempt < 0 else f"{name} · start {curve.attempt + 1}, taken back"

    def style(self, run_id: str) -> tuple[str, str]:
        """(colour, dash)."""
        return self.styles.get(run_id) or (run_colour(run_id), "solid")


def line_options(panel: Panel, curves: Sequence[Curve], bands: Sequence[Band] = ()) -> dict[str, Any]:
    """ECharts options of a panel; user text in them is inert. The styles and labels of `bands` are by their keys."""
    series: list[dict[str, Any]] = []
    for curve in curves:
        series.extend(_curve_series(panel, curve))
    for band in bands:
        series.extend(_band_series(panel, band))
    marks = [_mark_series(panel, curve) for curve in curves if curve.marks]
    drawn = [*(panel.label(curve) for curve in curves[:5]), *(panel.labels.get(band.key, "") for band in bands[:5])]
    extents = [*(curve.extent for curve in curves)]
    extents += [(float(band.x[0]), float(band.x[-1])) for band in bands if band.x.size]
    options = in_chart(
        {
            "animation": False,
            "aria": {
                "enabled": True,
                "label": {"description": f"Line chart of {panel.title} over {panel.across}: {', '.join(drawn)}"},
            },
            "grid": {"left": 8, "right": 14, "top": 10, "bottom": 6, "containLabel": True},
            "xAxis": _x_axis(panel, extents),
            "yAxis": [
                {
                    "type": "log" if panel.log_y else "value",
                    "scale": True,
                    "splitNumber": 4,
                    "splitLine": {"lineStyle": {"color": GRID}},
                    "axisLine": {"lineStyle": {"color": AXIS}},
                    "axisLabel": {"fontSize": 11, "hideOverlap": True, "color": LABEL},
                },
                {"type": "value", "min": 0, "max": 1, "show": False},
            ],
            "toolbox": {"itemSize": 0, "top": -20, "feature": {"dataZoom": {"yAxisIndex": "none"}}},
            "tooltip": {
                "trigger": "axis",
                "confine": False,
                "appendTo": "body",
                "axisPointer": {"type": "line", "animation": False},
                "transitionDuration": 0,
            },
            "series": [*series, *marks, *_moment_series(panel)],
        }
    )
    options["yAxis"][0]["axisLabel"]["formatter"] = chart_script(script(panel.unit or "axis_number"))
    options["tooltip"]["formatter"] = chart_script(_tooltip(panel))
    options["tooltip"]["position"] = chart_script(script("place_tooltip"))
    if panel.x_axis == "relative":
        options["xAxis"]["axisLabel"]["formatter"] = chart_script(script("duration"))
    elif panel.x_axis == "step":
        options["xAxis"]["axisLabel"]["formatter"] = chart_script(script("axis_number"))
    return options  # type: ignore[no-any-return]


def rounded(values: Doubles, digits: int = 7) -> list[float | None]:
    """Values with `digits` significant digits, ready for JSON: not finite becomes None."""
    usable = np.isfinite(values) & (values != 0)
    exponent = digits - 1 - np.floor(np.log10(np.abs(np.where(usable, values, 1.0))))
    # At the ends of the range of doubles scaling would lose digits; those few stay as they are.
    usable &= np.abs(exponent) < 290
    scale = np.power(10.0, np.where(usable, exponent, 0.0))
    kept = np.where(usable, np.round(np.where(usable, values, 0.0) * scale) / scale, values)
    return [value if math.isfinite(value) else None for value in kept.tolist()]


def _curve_series(panel: Panel, curve: Curve) -> list[dict[str, Any]]:
    colour, dash = panel.style(curve.run_id)
    width, opacity = (1.5, 1.0) if curve.attempt < 0 else (1.2, 0.5)
    low, high = (_above_zero(values) if panel.log_y else values for values in (curve.low, curve.high))
    raw = {
        "id": f"raw{curve.key}",
        "type": "line",
        "name": panel.label(curve),
        "data": _envelope(curve.x, low, high),
        "showSymbol": curve.x.size <= 1,
        "symbolSize": 6,
        "lineStyle": {"width": width, "type": dash if curve.attempt < 0 else [3, 3], "opacity": opacity},
        "itemStyle": {"color": colour},
        "emphasis": {"disabled": True},
        "connectNulls": False,
    }
    if panel.smoothing <= 0 or curve.attempt >= 0:
        return [raw]
    raw["lineStyle"] = {"width": 1, "opacity": 0.25}
    smooth = debiased_ema(curve.low / 2 + curve.high / 2, panel.smoothing)
    if panel.log_y:
        smooth = _above_zero(smooth)
    return [
        raw,
        {
            **raw,
            "id": f"smooth{curve.key}",
            "data": [list(pair) for pair in zip(rounded(curve.x, 13), rounded(smooth), strict=True)],
            "lineStyle": {"width": 2, "type": dash},
        },
    ]


def _band_series(panel: Panel, band: Band) -> list[dict[str, Any]]:
    """The interval as an area between two stacked lines, and the mean; each of its points knows the interval, for the
    tooltip."""
    colour, dash = panel.style(band.key)
    mean, low, high = (_above_zero(values) if panel.log_y else values for values in (band.mean, band.low, band.high))
    x = rounded(band.x, 13)
    common = {
        "type": "line",
        "name": panel.labels.get(band.key, ""),
        "symbol": "none",
        "itemStyle": {"color": colour},
        "emphasis": {"disabled": True},
    }
    edge = {**common, "stack": f"band-{band.key}", "stackStrategy": "all", "lineStyle": {"width": 0}}
    values = zip(x, rounded(mean), rounded(low), rounded(high), strict=True)
    return [
        {**edge, "id": f"band-{band.key}", "data": [list(pair) for pair in zip(x, rounded(low), strict=True)]},
        {
            **edge,
            "id": f"spread-{band.key}",
            "data": [list(pair) for pair in zip(x, rounded(high - low), strict=True)],
            "areaStyle": {"color": colour, "opacity": 0.18},
        },
        {
            **common,
            "id": f"mean-{band.key}",
            "data": [list(point) for point in values],
            "lineStyle": {"width": 2, "type": dash},
        },
    ]


def _above_zero(values: Doubles) -> Doubles:
    return np.where(values > 0, values, np.nan)


def _envelope(x: Doubles, low: Doubles, high: Doubles) -> list[list[float | None]]:
    """The line through low and high of each bucket, entering a bucket at the end nearer to where it left the last."""
    points: list[list[float | None]] = []
    last: float | None = None
    for at, bottom, top in zip(rounded(x, 13), rounded(low), rounded(high), strict=True):
        if bottom is None or top is None or bottom == top:
            value = bottom if top is None else top
            points.append([at, value])
            last = value
            continue
        first, second = (top, bottom) if last is not None and abs(top - last) < abs(bottom - last) else (bottom, top)
        points.append([at, first])
        points.append([at, second])
        last = second
    return points


def _mark_series(panel: Panel, curve: Curve) -> dict[str, Any]:
    """NaN at the lower edge, infinities at the edge they left through, in the colour of the run."""
    colour, _ = panel.style(curve.run_id)
    shapes = {"NaN": ("diamond", 0.03, 0), "inf": ("triangle", 0.97, 0), "-inf": ("triangle", 0.03, 180)}
    data = []
    for at, kind in curve.marks:
        symbol, edge, turned = shapes[kind]
        data.append({"value": [at, edge], "name": kind, "symbol": symbol, "symbolRotate": turned})
    return {
        "type": "scatter",
        "name": panel.label(curve),
        "yAxisIndex": 1,
        "data": data,
        "symbolSize": 9,
        "itemStyle": {"color": colour, "opacity": 0.9},
        "z": 5,
        "tooltip": {"show": False},
    }


def _moment_series(panel: Panel) -> list[dict[str, Any]]:
    """A vertical line at the moment that a link names."""
    if panel.moment is None:
        return []
    return [
        {
            "type": "line",
            "yAxisIndex": 1,
            "data": [],
            "markLine": {
                "silent": True,
                "symbol": "none",
                "animation": False,
                "label": {"show": False},
                "lineStyle": {"color": MOMENT, "width": 1.5, "type": "solid"},
                "data": [{"xAxis": panel.moment}],
            },
        }
    ]


def _x_axis(panel: Panel, extents: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """From the first to the last point, or the window; labels at round values only."""
    axis: dict[str, Any] = {
        "type": "time" if panel.x_axis == "time" else "value",
        "splitLine": {"show": False},
        "axisLine": {"onZero": False, "lineStyle": {"color": AXIS}},
        "axisTick": {"lineStyle": {"color": AXIS}},
        "axisLabel": {
            "fontSize": 11,
            "hideOverlap": True,
            "color": LABEL,
            "showMinLabel": False,
            "showMaxLabel": False,
        },
        "splitNumber": 4,
    }
    low, high = panel.window or (
        min((first for first, _ in extents), default=0.0),
        max((last for _, last in extents), default=0.0),
    )
    if low < high:
        axis["min"], axis["max"] = low, high
        axis["axisLabel"]["showMinLabel"] = low == 0
        if panel.x_axis == "relative":
            axis["interval"] = next((size for size in _TICKS_S if high - low <= 5 * size), _TICKS_S[-1])
    else:
        axis["scale"] = True
        axis["axisLabel"]["showMinLabel"] = axis["axisLabel"]["showMaxLabel"] = True
    return axis


def _tooltip(panel: Panel) -> str:
    number, duration = script("number"), script("duration")
    head = number if panel.against else script(f"head_{panel.x_axis}", NUMBER=number, DURATION=duration)
    return script("tooltip", NUMBER=script(panel.unit) if panel.unit else number, HEAD=head)
