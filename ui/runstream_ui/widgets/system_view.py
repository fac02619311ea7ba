"""What the machines of runs did: on the axis of the loss, by device, and which of them lag behind.

All charts share one stretch of the axis: a zoom in one is a zoom in all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from runstream_storage.queries.results import RunRow
from runstream_storage.queries.system import SystemCurve, SystemSeries
from runstream_ui import data, formats, machines, moments, urls, values
from runstream_ui.charts import ZOOM_EVENTS, Curve, Panel, XAxis, line_options
from runstream_ui.machines import line_of
from runstream_ui.markup import in_html
from runstream_ui.widgets.echart import echart
from runstream_ui.widgets.empty import guarded, no_samples
from runstream_ui.widgets.metric_grid import X_AXES
from runstream_ui.widgets.moment_bar import x_of
from runstream_ui.widgets.table import Cell, Column, Row, table

_HEIGHT_PX = 200
_PIXELS = 240
# Of many lines a chart has fewer stretches each: nobody tells more apart, and 32 lines are 15,000 points.
_CROWDED_PIXELS = 100
_CROWDED = 12
_MIN_WIDTH_PX = 380
_LINES = 32
_ROWS = 40
_REFRESH_S = 5
_UNITS: dict[XAxis, float] = {"step": 1.0, "time": 1e3, "relative": 1e6}
# The share below the median from which a device is called slow.
_SLOW = 0.1


def system_view(project: str, runs: Sequence[RunRow], *, key: str) -> None:
    follow = _REFRESH_S if data.is_live(runs) else None
    st.fragment(guarded(_view), run_every=follow, key=f"system-{key}")(project, runs, key)


@dataclass(frozen=True)
class _View:
    """What all charts of the tab share; `window` is in the units of the axis."""

    project: str
    runs: tuple[RunRow, ...]
    x_axis: XAxis
    nodes: tuple[str, ...]
    overlay: str
    window: tuple[float, float] | None
    key: str

    @property
    def run_ids(self) -> tuple[str, ...]:
        return tuple(run.run_id for run in self.runs)

    def curves(self, metrics: Sequence[str], pixels: int = _PIXELS) -> list[SystemCurve]:
        unit = _UNITS[self.x_axis]
        window = None if self.window is None else (int(self.window[0] * unit), int(self.window[1] * unit) + 1)
        return values.machine_curves(
            self.project,
            self.run_ids,
            tuple(metrics),
            nodes=self.nodes,
            x=self.x_axis,
            window=window,
            pixels=pixels,
        )


def _view(project: str, runs: Sequence[RunRow], key: str) -> None:
    series = values.machine_series(project, tuple(run.run_id for run in runs))
    if not series:
        no_samples()
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"{key}-system-row"):
        view = _controls(project, runs, series, key)
    names = formats.unique_labels({run.run_id: run.name for run in runs})
    drawn = [entry for entry in series if not view.nodes or entry.node in view.nodes]
    lines_of = Counter(entry.metric for entry in drawn)
    for section, metrics in machines.sections(drawn).items():
        box = st.expander(section, expanded=True, key=f"{key}-system-{section}", on_change="rerun", type="compact")
        if box.open:
            with box:
                crowded = max(lines_of[metric] for metric in metrics) > _CROWDED
                _section(view, metrics, names, section, _CROWDED_PIXELS if crowded else _PIXELS)
    lines = {line_of(entry) for entry in drawn if entry.device not in {"process", ""} or entry.metric == "cpu.percent"}
    if len(lines) > 1:
        box = st.expander("Who lags behind", expanded=False, key=f"{key}-laggards", on_change="rerun", type="compact")
        if box.open:
            with box:
                _laggards(view, drawn, names)


def _controls(project: str, runs: Sequence[RunRow], series: Sequence[SystemSeries], key: str) -> _View:
    chosen = st.segmented_control(
        "X axis",
        X_AXES,
        default="time" if len(runs) == 1 else "relative",
        required=True,
        key="machine-x",
        label_visibility="collapsed",
        bind="query-params",
    )
    x_axis: XAxis = next((axis for axis in X_AXES if axis == chosen), "time")
    nodes = sorted({entry.node for entry in series})
    picked: list[str] = []
    if len(nodes) > 1:
        st.session_state[f"{key}-system-nodes"] = [node for node in urls.get_list("nodes") if node in nodes]
        picked = st.multiselect(
            "Nodes",
            nodes,
            key=f"{key}-system-nodes",
            placeholder=f"All {len(nodes)} nodes",
            label_visibility="collapsed",
            select_all=False,
            width=280,
            on_change=lambda: urls.put_list("nodes", st.session_state[f"{key}-system-nodes"]),
        )
    metrics = sorted({entry.metric for entry in data.summaries(project, tuple(run.run_id for run in runs))})
    overlay = ""
    if len(runs) == 1 and metrics:
        linked = urls.get("overlay")
        st.session_state["system-overlay"] = linked if linked in metrics else None
        st.selectbox(
            "Draw a metric of the run over it",
            metrics,
            key="system-overlay",
            placeholder="Draw a metric over it",
            label_visibility="collapsed",
            format_func=lambda name: formats.middle_cut(str(name), 36),
            width=260,
            on_change=lambda: urls.put("overlay", st.session_state["system-overlay"] or ""),
        )
        overlay = st.session_state["system-overlay"] or ""
    windows = st.session_state.setdefault("system-zoom", {})
    window = windows.get((project, key, x_axis))
    if window is not None:
        st.button("Whole run", key=f"{key}-system-whole", on_click=windows.clear, icon=":material/zoom_out:")
    return _View(project, tuple(runs), x_axis, tuple(picked), overlay, window, key)


def _section(view: _View, metrics: Sequence[str], names: dict[str, str], section: str, pixels: int) -> None:
    found = view.curves(metrics, pixels)
    lines = list(dict.fromkeys(line_of(curve) for curve in found))
    if not lines:
        if view.x_axis == "step":
            st.markdown("This run has no points yet that would say which step it was at when. Choose *time*.")
        else:
            st.caption("Nothing was sampled in this stretch.")
        return
    overlay = _overlay(view)
    with st.grid(3, min_column_width=_MIN_WIDTH_PX, gap="small", key=f"{view.key}-system-grid-{section}") as grid:
        for metric in metrics:
            of_metric = [curve for curve in found if curve.metric == metric and len(curve)]
            if of_metric:
                with grid.cell():
                    _chart(view, metric, of_metric, names, overlay)


def _overlay(view: _View) -> Curve | None:
    if not view.overlay:
        return None
    found = data.curves(
        view.project,
        view.run_ids,
        (view.overlay,),
        x_axis=view.x_axis,
        pixels=_PIXELS,
        live=data.is_live(view.runs),
        window=view.window,
    )
    curves = found.get(view.overlay, [])
    return curves[0] if curves and curves[0].x.size else None


def _chart(
    view: _View, metric: str, found: Sequence[SystemCurve], names: dict[str, str], overlay: Curve | None
) -> None:
    lines = list(dict.fromkeys(line_of(curve) for curve in found))[:_LINES]
    styles, labels = machines.styles(lines), machines.labels(lines, names)
    kept = {line.key for line in lines}
    curves = [machines.drawn(curve, _UNITS[view.x_axis]) for curve in found if line_of(curve).key in kept]
    moment_us = moments.chosen_us() if len(view.runs) == 1 else None
    moment = None if moment_us is None else x_of(view.project, view.runs[0], moment_us, view.x_axis)
    title = machines.title_of(metric)
    panel = Panel(
        title,
        view.x_axis,
        window=view.window,
        styles=styles,
        labels=labels,
        unit=machines.unit_of(metric),
        moment=moment,
    )
    options = line_options(panel, curves)
    if overlay is not None:
        options = machines.with_overlay(options, view.overlay, overlay)
    chart_key = f"{view.key}-system-chart-{metric}"
    windows = st.session_state["system-zoom"]

    def zoomed() -> None:
        event = getattr(st.session_state.get(chart_key), "chart_event", None)
        if not isinstance(event, dict) or "at" in event:
            return
        start, end = event.get("from"), event.get("to")
        place = (view.project, view.key, view.x_axis)
        if isinstance(start, int | float) and isinstance(end, int | float) and start < end:
            windows[place] = (float(start), float(end))
        else:
            windows.pop(place, None)

    more = f" · {len(found) - len(lines)} more are not drawn" if len(found) > len(lines) else ""
    over = f'<span class="rs-zoomed">with {in_html(formats.middle_cut(view.overlay, 24))}</span>' if overlay else ""
    st.html(
        f'<div class="rs-chart-title" title="{in_html(metric)}">{in_html(title)}{over}'
        f'<span class="rs-zoomed">{more}</span></div>{_legend(lines, styles, labels, names)}'
    )
    echart(options, height_px=_HEIGHT_PX, key=chart_key, events=ZOOM_EVENTS, on_change=zoomed)


def _legend(
    lines: Sequence[machines.Line],
    styles: dict[str, tuple[str, str]],
    labels: dict[str, str],
    names: dict[str, str],
    most: int = 8,
) -> str:
    """Beside each chart: devices differ from chart to chart. A single line of the host needs none; of several runs, the
    colours are those of the runs."""
    runs = {line.run_id: line for line in reversed(lines)}
    if len(runs) > 1:
        lines = list(reversed(runs.values()))
        labels = {line.key: formats.middle_cut(names.get(line.run_id, ""), 26) for line in lines}
    if len(lines) == 1 and lines[0].device in {"", "process"}:
        return ""
    parts = []
    for line in lines[:most]:
        colour, dash = styles[line.key]
        mark = f'<i class="rs-dash" style="border-top:3px {dash} {colour}"></i>'
        parts.append(f"<span>{mark}{in_html(labels[line.key])}</span>")
    if len(lines) > most:
        parts.append(f"<span>and {len(lines) - most} more</span>")
    return f'<div class="rs-legend rs-small">{"".join(parts)}</div>'


def _laggards(view: _View, series: Sequence[SystemSeries], names: dict[str, str]) -> None:
    """Every device of every node by one metric: a heat map, and how far each mean is from the median."""
    known = sorted({entry.metric for entry in series})
    standard = next((name for name in ("gpu.utilization_percent", "cpu.percent") if name in known), known[0])
    metric = st.selectbox(
        "Metric",
        known,
        index=known.index(standard),
        key=f"{view.key}-laggard-metric",
        format_func=machines.title_of,
        label_visibility="collapsed",
        width=280,
    )
    found = view.curves([str(metric)])
    # A process and its machine are different things.
    if any(curve.device != "process" for curve in found):
        found = [curve for curve in found if curve.device != "process"]
    order = machines.laggards(found)
    if not order:
        st.caption("Nothing was sampled in this stretch.")
        return
    labels = machines.labels(list(dict.fromkeys(line_of(curve) for curve in found)), names)
    slow = sum(1 for entry in order if entry.apart < -_SLOW)
    told = (
        f"{slow} of {len(order)} are more than {_SLOW:.0%} below the median" if slow else "none is far below the median"
    )
    st.html(f'<div class="rs-line">The lowest first; {told}. Yellow is high, dark is low.</div>')
    left, right = st.columns([2, 1], gap="medium")
    shown = order[:_ROWS]
    with left:
        unit = machines.unit_of(str(metric))
        keys = [entry.key for entry in shown]
        options = machines.spread_options(machines.title_of(str(metric)), found, keys, labels, view.x_axis, unit)
        echart(options, height_px=max(140, 50 + 17 * len(shown)), key=f"{view.key}-laggard-chart")
    with right:
        table(
            [
                Column("device", "Device", pin=True),
                Column("mean", "Mean", kind="number"),
                Column("apart", "To the median", kind="number"),
            ],
            [
                Row(
                    entry.key,
                    (
                        Cell(labels[entry.key], entry.key.replace("\0", " · ")),
                        Cell(_told(entry.mean, unit), formats.exact(entry.mean)),
                        Cell(
                            f"{entry.apart:+.1%}".replace("-", formats.MINUS),
                            mark="differs" if entry.apart < -_SLOW else "",
                        ),
                    ),
                )
                for entry in shown
            ],
            key=f"{view.key}-laggards-table",
            label="Devices by their distance to the median",
            max_height="40rem",
        )
    if len(order) > _ROWS:
        st.caption(f"The lowest {_ROWS} of {len(order)}.")


def _told(value: float, unit: str) -> str:
    if unit == "bytes":
        return formats.size(int(value)) if value >= 0 else formats.number(value)
    return f"{formats.number(value)}{' %' if unit == 'percent' else ''}"
