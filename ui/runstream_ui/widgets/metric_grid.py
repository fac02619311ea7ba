"""A grid of charts, one a metric, each of which zooms by itself.

Drag across a chart to zoom: the window goes to the server and comes back as a finer envelope. Double-click goes back. A
click marks a moment of a single run, and leads to what its console said then. Only the chart that was touched is drawn
again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from runstream_storage.queries import MetricDefinitions
from runstream_storage.queries.results import RunRow
from runstream_ui import data, moments
from runstream_ui.bands import RunGroup, mean_band
from runstream_ui.charts import ZOOM_EVENTS, Curve, Panel, XAxis, line_options
from runstream_ui.formats import middle_cut, unique_labels
from runstream_ui.markup import in_html
from runstream_ui.palette import line_styles
from runstream_ui.widgets.echart import echart
from runstream_ui.widgets.empty import guarded
from runstream_ui.widgets.moment_bar import moment_of, told, x_of

X_AXES: tuple[XAxis, ...] = ("step", "time", "relative")
_HEIGHT_PX = 210
# Half the width of a plot: each stretch is drawn as its lowest and its highest value.
_STRETCHES = 210
# A mean is drawn at 200 places.
_GROUP_STRETCHES = 100
_MIN_WIDTH_PX = 340
_DEFINED = "as defined"
NOT_DEFINED = MetricDefinitions()


@dataclass(frozen=True)
class View:
    """How curves are drawn; one for a whole page."""

    x_axis: XAxis = "step"
    log_y: bool = False
    smoothing: float = 0.0
    definitions: MetricDefinitions = NOT_DEFINED
    earlier: bool = False
    groups: tuple[RunGroup, ...] = ()

    def against(self, metric: str, known: Collection[str]) -> str:
        """The metric that `metric` is drawn against; empty: the x axis as it is."""
        against = self.definitions.of(metric).x_axis
        return against if against != metric and against in known else ""


def view_controls(definitions: MetricDefinitions, *, earlier: bool, groups: Sequence[RunGroup]) -> View:
    """X axis, smoothing, log scale and, where `earlier` attempts can be seen, whether to; kept in the URL. Where
    define_metric() named another metric to draw against, that is the first choice of an x axis."""
    defined = any(entry.x_axis for entry in definitions.all)
    axes = [_DEFINED, *X_AXES] if defined else list(X_AXES)
    x_axis = st.segmented_control(
        "X axis",
        axes,
        default=axes[0],
        required=True,
        key="x",
        label_visibility="collapsed",
        bind="query-params",
        help="As defined: against the metric that define_metric(step_metric=...) named" if defined else None,
    )
    smoothing = st.slider(
        "Smoothing",
        0.0,
        0.99,
        0.0,
        0.01,
        key="smooth",
        width=200,
        bind="query-params",
        help="Debiased exponential moving average; the faint line underneath is what was logged.",
    )
    log_y = st.toggle("Log scale", key="log", bind="query-params")
    shown = earlier and st.toggle(
        "Earlier attempts",
        key="earlier",
        bind="query-params",
        help="Dotted: what a rewind took back, or a later start of the run logged again. Nothing of it is lost.",
    )
    return View(
        x_axis=next((axis for axis in X_AXES if axis == x_axis), "step"),
        log_y=log_y,
        smoothing=smoothing,
        definitions=definitions if x_axis == _DEFINED else NOT_DEFINED,
        earlier=shown,
        groups=tuple(groups),
    )


def metric_grid(
    project: str, runs: Sequence[RunRow], metrics: Sequence[str], view: View, *, key: str, live: bool
) -> None:
    """One chart a metric. Curves with one x axis come in one query; a zoomed chart asks for its own."""
    single = runs[0] if len(runs) == 1 and not view.groups else None
    of = _Drawn(project, tuple(run.run_id for run in runs), view.earlier, live, view.groups, single)
    named_us = moments.chosen_us() if single else None
    moment = x_of(project, single, named_us, view.x_axis) if single and named_us is not None else None
    known = {summary.metric for summary in data.summaries(project, of.run_ids)}
    by_axis: dict[str, list[str]] = {}
    for metric in metrics:
        by_axis.setdefault(view.against(metric, known), []).append(metric)
    curves: dict[str, list[Curve]] = {}
    for against, members in by_axis.items():
        curves |= _curves(of, members, view.x_axis, against, None)
    labels = {group.name: group.name for group in of.groups} or unique_labels({run.run_id: run.name for run in runs})
    styles = {group.name: (group.colour, "solid") for group in of.groups} or line_styles(of.run_ids)
    with st.grid(3, min_column_width=_MIN_WIDTH_PX, gap="small", key=f"grid-{key}") as grid:
        for metric in metrics:
            against = view.against(metric, known)
            panel = Panel(
                metric,
                view.x_axis,
                against,
                view.log_y,
                view.smoothing,
                styles=styles,
                labels=labels,
                moment=None if against else moment,
            )
            with grid.cell():
                _chart(of, panel, curves.get(metric, []), f"{key}:{metric}")


@dataclass(frozen=True)
class _Drawn:
    """Whose curves a grid shows: of runs, or of `groups` of them. Moments of `single` can be marked."""

    project: str
    run_ids: tuple[str, ...]
    earlier: bool
    live: bool
    groups: tuple[RunGroup, ...]
    single: RunRow | None


def _curves(
    of: _Drawn, metrics: Sequence[str], x_axis: XAxis, against: str, window: tuple[float, float] | None
) -> dict[str, list[Curve]]:
    """Curves by metric; of one run, with what earlier attempts logged, which has steps and times only."""
    asked, pixels = tuple(metrics), _GROUP_STRETCHES if of.groups else _STRETCHES
    if against:
        return data.curves_against(of.project, of.run_ids, asked, against, pixels=pixels, live=of.live, window=window)
    found = data.curves(of.project, of.run_ids, asked, x_axis=x_axis, pixels=pixels, live=of.live, window=window)
    if of.earlier and len(of.run_ids) == 1:
        hidden = data.hidden_curves(of.project, of.run_ids[0], asked, x_axis=x_axis, pixels=pixels, window=window)
        found = {metric: [*hidden.get(metric, []), *found.get(metric, [])] for metric in asked}
    return found


def _options(of: _Drawn, panel: Panel, curves: Sequence[Curve]) -> dict[str, Any]:
    if not of.groups:
        return line_options(panel, curves)
    bands = [
        mean_band(group.name, [curve for curve in curves if curve.run_id in group.run_ids], panel.smoothing)
        for group in of.groups
    ]
    return line_options(panel, [], bands)


@st.fragment
@guarded
def _chart(of: _Drawn, panel: Panel, curves: Sequence[Curve], key: str) -> None:
    windows = st.session_state.setdefault("zoom", {})
    marked = st.session_state.setdefault("marked", {})
    window_key = (of.project, key, panel.across)
    chart_key = f"chart:{key}"

    def zoomed() -> None:
        event = getattr(st.session_state.get(chart_key), "chart_event", None)
        if not isinstance(event, dict):
            return
        if "at" in event:
            if of.single and not panel.against and isinstance(event["at"], int | float):
                marked[window_key] = float(event["at"])
            return
        marked.pop(window_key, None)
        start, end = event.get("from"), event.get("to")
        if isinstance(start, int | float) and isinstance(end, int | float) and start < end:
            windows[window_key] = (float(start), float(end))
        else:
            windows.pop(window_key, None)

    window = windows.get(window_key)
    if window is not None:
        found = _curves(of, [panel.title], panel.x_axis, panel.against, window)
        curves = found.get(panel.title, [])
        panel = replace(panel, window=window)
    hints = [f"over {in_html(middle_cut(panel.against, 24))}"] if panel.against else []
    if window is not None:
        hints.append("zoomed · double-click to go back")
    hint = f'<span class="rs-zoomed">{" · ".join(hints)}</span>' if hints else ""
    st.html(
        f'<div class="rs-chart-title" title="{in_html(panel.title)}">{in_html(middle_cut(panel.title, 44))}{hint}</div>'
    )
    if of.single and (at := marked.get(window_key)) is not None:
        panel = replace(panel, moment=at)
        moment_us = moment_of(of.project, of.single, at, panel.x_axis)
        if moment_us is not None:
            st.html(f'<div class="rs-line">{told(of.project, of.single, moment_us)}</div>')
    echart(_options(of, panel, curves), height_px=_HEIGHT_PX, key=chart_key, events=ZOOM_EVENTS, on_change=zoomed)


def legend(runs: Sequence[RunRow], groups: Sequence[RunGroup]) -> None:
    """What the charts below show, runs or groups of them, in their colours and dashes."""
    labels = {group.name: group.name for group in groups} or unique_labels({run.run_id: run.name for run in runs})
    styles = {group.name: (group.colour, "solid") for group in groups} or line_styles(list(labels))
    parts = []
    for key, name in labels.items():
        colour, dash = styles[key]
        mark = f'<i class="rs-dash" style="border-top:3px {dash} {colour}"></i>'
        parts.append(f'<span title="{in_html(name)}">{mark}{in_html(middle_cut(name, 40))}</span>')
    st.html(f'<div class="rs-legend">{"".join(parts)}</div>')
