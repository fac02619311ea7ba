"""A grid of charts, one a metric, each of which zooms by itself.

Drag across a chart to zoom: the window goes to the server and comes back as a finer envelope. Double-click goes back.
Only the chart that was touched is drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from runstream_storage.queries.results import RunRow
from runstream_ui import data
from runstream_ui.charts import ZOOM_EVENTS, Curve, Panel, XAxis, line_options
from runstream_ui.formats import middle_cut, unique_labels
from runstream_ui.markup import in_html
from runstream_ui.palette import line_styles
from runstream_ui.widgets.echart import echart
from runstream_ui.widgets.empty import guarded

X_AXES: tuple[XAxis, ...] = ("step", "time", "relative")
_HEIGHT_PX = 210
# Half the width of a plot: each stretch is drawn as its lowest and its highest value.
_STRETCHES = 210
_MIN_WIDTH_PX = 340


@dataclass(frozen=True)
class View:
    """How curves are drawn; one for a whole page."""

    x_axis: XAxis = "step"
    log_y: bool = False
    smoothing: float = 0.0


def view_controls() -> View:
    """X axis, smoothing and log scale, kept in the URL."""
    x_axis: XAxis = st.segmented_control(
        "X axis", X_AXES, default="step", required=True, key="x", label_visibility="collapsed", bind="query-params"
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
    return View(x_axis=x_axis or "step", log_y=log_y, smoothing=smoothing)


def metric_grid(
    project: str, runs: Sequence[RunRow], metrics: Sequence[str], view: View, *, key: str, live: bool
) -> None:
    """One chart a metric. All curves of the grid come in one query; a zoomed chart asks for its own."""
    run_ids = tuple(run.run_id for run in runs)
    curves = data.curves(project, run_ids, tuple(metrics), x_axis=view.x_axis, pixels=_STRETCHES, live=live)
    labels = unique_labels({run.run_id: run.name for run in runs})
    styles = line_styles(run_ids)
    with st.grid(3, min_column_width=_MIN_WIDTH_PX, gap="small", key=f"grid-{key}") as grid:
        for metric in metrics:
            panel = Panel(metric, view.x_axis, view.log_y, view.smoothing, None, styles, labels)
            with grid.cell():
                _chart(project, run_ids, panel, curves.get(metric, []), f"{key}:{metric}", live)


@st.fragment
@guarded
def _chart(project: str, run_ids: tuple[str, ...], panel: Panel, curves: Sequence[Curve], key: str, live: bool) -> None:
    windows = st.session_state.setdefault("zoom", {})
    window_key = (project, key, panel.x_axis)
    chart_key = f"chart:{key}"

    def zoomed() -> None:
        event = getattr(st.session_state.get(chart_key), "chart_event", None)
        if not isinstance(event, dict):
            return
        start, end = event.get("from"), event.get("to")
        if isinstance(start, int | float) and isinstance(end, int | float) and start < end:
            windows[window_key] = (float(start), float(end))
        else:
            windows.pop(window_key, None)

    window = windows.get(window_key)
    if window is not None:
        found = data.curves(
            project, run_ids, (panel.title,), x_axis=panel.x_axis, pixels=_STRETCHES, live=live, window=window
        )
        curves = found.get(panel.title, [])
        panel = replace(panel, window=window)
    hint = "" if window is None else '<span class="rs-zoomed">zoomed · double-click to go back</span>'
    st.html(
        f'<div class="rs-chart-title" title="{in_html(panel.title)}">{in_html(middle_cut(panel.title, 44))}{hint}</div>'
    )
    echart(line_options(panel, curves), height_px=_HEIGHT_PX, key=chart_key, events=ZOOM_EVENTS, on_change=zoomed)


def legend(runs: Sequence[RunRow]) -> None:
    """The runs of the charts below, in their colours and dashes."""
    styles = line_styles([run.run_id for run in runs])
    labels = unique_labels({run.run_id: run.name for run in runs})
    parts = []
    for run_id, name in labels.items():
        colour, dash = styles[run_id]
        mark = f'<i class="rs-dash" style="border-top:3px {dash} {colour}"></i>'
        parts.append(f'<span title="{in_html(name)}">{mark}{in_html(middle_cut(name, 40))}</span>')
    st.html(f'<div class="rs-legend">{"".join(parts)}</div>')
