"""Machine samples as charts: which panels there are, what each line is called, a second axis, and who lags behind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runstream_storage.queries.system import SystemCurve, SystemSeries
from runstream_ui import formats
from runstream_ui.charts import AXIS, LABEL, Curve, Unit, XAxis, rounded
from runstream_ui.markup import chart_script, in_chart
from runstream_ui.palette import DASHES, RUN_COLOURS, run_colour
from runstream_ui.scripts import script

# The order of the sections; others follow by name.
_SECTIONS = {"gpu": "GPU", "cpu": "CPU", "memory": "Memory", "swap": "Memory", "disk": "Disk", "net": "Network"}
_OVERLAY = "#7c8793"
_COLUMNS = 120


@dataclass(frozen=True)
class Line:
    """One device of one node, of one run; `key` tells it from all others of its chart."""

    run_id: str
    node: str
    device: str
    rank: int

    @property
    def key(self) -> str:
        return f"{self.run_id}\0{self.node}\0{self.device}\0{self.rank}"


def line_of(entry: SystemSeries | SystemCurve) -> Line:
    # A node is sampled by one of its processes, whichever; a process by itself.
    return Line(entry.run_id, entry.node, entry.device, entry.rank if entry.device == "process" else 0)


def sections(series: Sequence[SystemSeries]) -> dict[str, list[str]]:
    """Metrics by section, the sections in the order in which people look."""
    found: dict[str, set[str]] = {}
    for entry in series:
        prefix = entry.metric.split(".", 1)[0]
        section = "Process" if entry.metric == "threads" else _SECTIONS.get(prefix, prefix)
        found.setdefault(section, set()).add(entry.metric)
    order = [*dict.fromkeys(_SECTIONS.values()), *sorted(found)]
    return {section: sorted(found[section], key=_weight) for section in dict.fromkeys(order) if section in found}


def _weight(metric: str) -> tuple[bool, bool, str]:
    """How busy something is comes before how much of it there is."""
    return "utilization" not in metric, not metric.endswith("percent"), metric


def unit_of(metric: str) -> Unit:
    if "bytes" in metric:
        return "bytes"
    return "percent" if metric.endswith("percent") else ""


def title_of(metric: str) -> str:
    """`gpu.memory_used_bytes` as `GPU memory used`."""
    prefix, _, rest = metric.rpartition(".")
    suffixes = {
        "_bytes_per_s": " per second",
        "_bytes": "",
        "_percent": "",
        "_w": " (W)",
        "_c": " (°C)",
        "_mhz": " (MHz)",
    }
    for suffix, told in suffixes.items():
        if rest.endswith(suffix):
            rest = rest.removesuffix(suffix) + told
            break
    what = "Swap" if prefix == "swap" else _SECTIONS.get(prefix, prefix)
    words = f"{what} {rest.replace('_', ' ')}".strip()
    return words[:1].upper() + words[1:]


def labels(lines: Sequence[Line], names: dict[str, str]) -> dict[str, str]:
    """What each line is called by its key: what tells the lines of a chart apart. `names` are those of the runs."""
    several = {part: len({getattr(line, part) for line in lines}) > 1 for part in ("run_id", "node", "rank")}
    nodes = short_nodes({line.node for line in lines})
    found = {}
    for line in lines:
        parts = [
            formats.middle_cut(names.get(line.run_id, ""), 26) if several["run_id"] else "",
            formats.middle_cut(nodes[line.node], 26) if several["node"] else "",
            "process" if line.device == "process" else line.device,
            f"rank {line.rank}" if several["rank"] and line.device == "process" else "",
        ]
        found[line.key] = " · ".join(part for part in parts if part) or formats.middle_cut(line.node, 26)
    return found


def short_nodes(nodes: Collection[str]) -> dict[str, str]:
    """Each node's name without the domain that all of them have, as far as it is one."""
    parts = {node: node.split(".") for node in nodes}
    shared = 0
    while len(parts) > 1 and all(len(part) > shared + 1 for part in parts.values()):
        ends = {part[-shared - 1] for part in parts.values()}
        if len(ends) > 1 or ends.pop().isdigit():  # of addresses, the end tells more than the beginning
            break
        shared += 1
    return {node: ".".join(part[: len(part) - shared]) for node, part in parts.items()}


def styles(lines: Sequence[Line]) -> dict[str, tuple[str, str]]:
    """(colour, dash) by key: a device has one colour on all nodes, and nodes differ in their dashes. Of several runs,
    each has the colour that it has everywhere."""
    if len({line.run_id for line in lines}) > 1:
        own = list(dict.fromkeys(line.node for line in lines))
        return {line.key: (run_colour(line.run_id), DASHES[own.index(line.node) % len(DASHES)]) for line in lines}
    nodes = {place: dash for dash, place in enumerate(dict.fromkeys((line.run_id, line.node) for line in lines))}
    devices = sorted({(line.device, line.rank) for line in lines}, key=_natural)
    if len(devices) == 1:
        return {line.key: (RUN_COLOURS[nodes[line.run_id, line.node] % len(RUN_COLOURS)], "solid") for line in lines}
    colours = {device: RUN_COLOURS[place % len(RUN_COLOURS)] for place, device in enumerate(devices)}
    return {
        line.key: (colours[line.device, line.rank], DASHES[nodes[line.run_id, line.node] % len(DASHES)])
        for line in lines
    }


def _natural(device: tuple[str, int]) -> tuple[str, int, int]:
    name, rank = device
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0), rank


def drawn(curve: SystemCurve, unit: float) -> Curve:
    """A curve of the chart; `unit` microseconds, or steps, are one on its axis."""
    x = (curve.x0 / 2 + curve.x1 / 2) / unit
    extent = (float(curve.x0[0]) / unit, float(curve.x1[-1]) / unit) if len(curve) else (0.0, 0.0)
    return Curve(line_of(curve).key, x, curve.lo, curve.hi, extent)


def with_overlay(options: dict[str, Any], metric: str, curve: Curve) -> dict[str, Any]:
    """The options with a metric of the run over the same axis, dashed, with an axis of its own on the right."""
    points = zip(rounded(curve.x, 13), rounded(curve.low / 2 + curve.high / 2), strict=True)
    axis = {
        "type": "value",
        "scale": True,
        "position": "right",
        "splitNumber": 4,
        "splitLine": {"show": False},
        "axisLine": {"lineStyle": {"color": AXIS}},
        "axisLabel": {"fontSize": 11, "color": LABEL, "formatter": chart_script(script("axis_number"))},
    }
    series = in_chart(
        {
            "id": "smooth-overlay",
            "type": "line",
            "name": metric,
            "yAxisIndex": len(options["yAxis"]),
            "data": [list(point) for point in points],
            "symbol": "none",
            "lineStyle": {"width": 1.5, "type": "dashed", "color": _OVERLAY},
            "itemStyle": {"color": _OVERLAY},
            "emphasis": {"disabled": True},
            "z": 6,
        }
    )
    return {**options, "yAxis": [*options["yAxis"], axis], "series": [*options["series"], series]}


@dataclass(frozen=True)
class Laggard:
    """How a line stands to the others: its mean, and by which part that lies below (negative) or above their median."""

    key: str
    mean: float
    apart: float


def laggards(curves: Sequence[SystemCurve]) -> list[Laggard]:
    """All lines, those that are furthest below the median of all first; lines without a finite sample are left out."""
    means = {line_of(curve).key: float(np.nanmean(curve.mean)) for curve in curves if np.isfinite(curve.mean).any()}
    if not means:
        return []
    median = float(np.median(list(means.values())))
    found = [Laggard(key, mean, (mean - median) / abs(median) if median else 0.0) for key, mean in means.items()]
    return sorted(found, key=lambda entry: entry.apart)


def spread_options(
    title: str, curves: Sequence[SystemCurve], order: Sequence[str], names: dict[str, str], x_axis: XAxis, unit: Unit
) -> dict[str, Any]:
    """A heat map with a row for each line in `order`, the first on top: who was slow, and when."""
    by_key = {line_of(curve).key: curve for curve in curves if len(curve)}
    shown = [key for key in order if key in by_key]
    low = min((float(by_key[key].x0[0]) for key in shown), default=0.0)
    high = max((float(by_key[key].x1[-1]) for key in shown), default=1.0)
    edges = np.linspace(low, high if high > low else low + 1, _COLUMNS + 1)
    centres = edges[:-1] / 2 + edges[1:] / 2
    cells: list[list[list[float]]] = [[] for _ in shown]
    values: list[float] = []
    for row, key in enumerate(reversed(shown)):
        curve = by_key[key]
        place = np.searchsorted(curve.x0, centres, side="right") - 1
        for column, source in enumerate(place.tolist()):
            # A stretch counts until the next one begins: samples are seconds apart.
            if source >= 0 and np.isfinite(curve.mean[source]) and centres[column] <= curve.x1[-1]:
                value = float(curve.mean[source])
                values.append(value)
                cells[row].append([column, row, round(value, 4)])
    scale = {"time": 1e3, "relative": 1e6, "step": 1.0}[x_axis]
    options: dict[str, Any] = in_chart(
        {
            "animation": False,
            "aria": {"enabled": True, "label": {"description": f"{title} of each device over {x_axis}"}},
            "grid": {"left": 8, "right": 14, "top": 8, "bottom": 6, "containLabel": True},
            "xAxis": {
                "type": "category",
                "data": [repr(round(float(centre) / scale, 3)) for centre in centres],
                "axisTick": {"show": False},
                "axisLine": {"lineStyle": {"color": AXIS}},
                "axisLabel": {"fontSize": 11, "color": LABEL, "hideOverlap": True},
            },
            "yAxis": {
                "type": "category",
                "data": [names[key] for key in reversed(shown)],
                "axisTick": {"show": False},
                "axisLine": {"lineStyle": {"color": AXIS}},
                "axisLabel": {"fontSize": 11, "color": LABEL},
            },
            "visualMap": {
                "show": False,
                "min": min(values, default=0.0),
                "max": max(values, default=1.0) if max(values, default=1.0) > min(values, default=0.0) else 1.0,
                "inRange": {"color": ["#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"]},
            },
            "tooltip": {"trigger": "item", "appendTo": "body", "transitionDuration": 0},
            # A series a row: the tooltip knows the name of a series, and nothing of an axis.
            "series": [
                {"type": "heatmap", "name": names[key], "data": cells[row], "progressive": 0}
                for row, key in enumerate(reversed(shown))
            ],
        }
    )
    number = script(unit) if unit else script("number")
    head = script(f"head_{x_axis}", NUMBER=script("number"), DURATION=script("duration"))
    options["xAxis"]["axisLabel"]["formatter"] = chart_script(script(f"axis_{x_axis}", DURATION=script("duration")))
    options["tooltip"]["formatter"] = chart_script(script("tooltip_device", NUMBER=number, HEAD=head))
    options["tooltip"]["position"] = chart_script(script("place_tooltip"))
    return options
