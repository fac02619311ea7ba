"""Compare: why is this run different from that one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from runstream_storage.queries.results import RunRow
from runstream_ui import data, formats, frame, urls
from runstream_ui.palette import run_colour, state_colour
from runstream_ui.widgets import empty
from runstream_ui.widgets.environment_diff import environment_diff
from runstream_ui.widgets.histogram_view import histogram_view
from runstream_ui.widgets.media_view import media_view
from runstream_ui.widgets.metric_sections import metric_sections
from runstream_ui.widgets.param_table import param_table
from runstream_ui.widgets.relation_charts import parallel, scatter
from runstream_ui.widgets.system_view import system_view
from runstream_ui.widgets.table import Cell, Column, Row, table
from runstream_ui.widgets.table_view import table_view
from runstream_ui.widgets.text_view import text_view

_MAX_RUNS = 30
_OFFERED = 200
_TABS = (
    *("Charts", "Params", "Metrics", "Environment", "Parallel", "Scatter"),
    *("Media", "Histograms", "Tables", "Text", "System"),
)


def page() -> None:
    project = frame.project()
    if project is None:
        empty.no_runs("")
        return
    asked = urls.get_list("runs")
    runs = data.chosen_runs(project, tuple(asked[:_MAX_RUNS]))
    _chooser(project, runs)
    if len(asked) > _MAX_RUNS:
        st.caption(
            f"The first {_MAX_RUNS} of {len(asked)} runs are compared. More are told apart in groups, on the Runs page."
        )
    if not runs:
        st.markdown("#### Nothing to compare yet")
        st.markdown("Choose runs above, or tick some on the **Runs** page and press **Compare**.")
        return
    frame.follow_tab("tab")
    tabs = dict(zip(_TABS, st.tabs(_TABS, key="tab", on_change="rerun", bind="query-params"), strict=True))
    with tabs["Charts"] as tab:
        if tab.open:
            metric_sections(project, runs, key="compare", overlay=True)
    with tabs["Params"] as tab:
        if tab.open:
            param_table(project, runs, key="compare")
    with tabs["Metrics"] as tab:
        if tab.open:
            _metrics(project, runs)
    with tabs["Environment"] as tab:
        if tab.open:
            environment_diff(project, runs)
    run_ids = tuple(run.run_id for run in runs)
    with tabs["Parallel"] as tab:
        if tab.open:
            parallel(project, run_ids)
    with tabs["Scatter"] as tab:
        if tab.open:
            scatter(project, run_ids)
    with tabs["Media"] as tab:
        if tab.open:
            media_view(project, runs, key="compare")
    with tabs["Histograms"] as tab:
        if tab.open:
            histogram_view(project, runs, key="compare")
    with tabs["Tables"] as tab:
        if tab.open:
            table_view(project, runs, key="compare")
    with tabs["Text"] as tab:
        if tab.open:
            text_view(project, runs, key="compare")
    with tabs["System"] as tab:
        if tab.open:
            system_view(project, runs, key="compare")


def _chooser(project: str, runs: Sequence[RunRow]) -> None:
    """The runs that are compared, and those that could be: the newest ones."""
    chosen = {run.run_id: run.name for run in runs}
    newest, _ = data.runs(project, "", (), "created", True, _OFFERED, 0)
    offered = chosen | {run.run_id: run.name for run in newest.rows}
    labels = formats.unique_labels(offered)
    st.session_state["compared"] = list(chosen)
    st.multiselect(
        "Runs",
        list(offered),
        key="compared",
        format_func=lambda run_id: formats.middle_cut(labels.get(str(run_id), str(run_id)), 40),
        placeholder="Choose runs to compare",
        label_visibility="collapsed",
        max_selections=_MAX_RUNS,
        select_all=False,
        on_change=lambda: urls.put_list("runs", st.session_state["compared"]),
    )


def _metrics(project: str, runs: Sequence[RunRow]) -> None:
    """Last value of each metric side by side; minimum and maximum on hover."""
    found = data.summaries(project, tuple(run.run_id for run in runs))
    by_metric: dict[str, dict[str, Cell]] = {}
    for summary in found:
        hover = f"last {summary.last!r} · min {summary.min!r} · max {summary.max!r} · {summary.n:,} points"
        by_metric.setdefault(summary.metric, {})[summary.run_id] = Cell(formats.number(summary.last), hover)
    if not by_metric:
        st.markdown("These runs have no points yet.")
        return
    heads = [
        Column(
            run.run_id,
            formats.middle_cut(run.name, 22),
            kind="number",
            hint=f"{run.name}: {run.state}",
            swatch=run_colour(run.run_id),
        )
        for run in runs
    ]
    state = Row(
        "\0state",
        (
            Cell("state", mark="muted"),
            *(Cell(run.state, dot=state_colour(run.state)) for run in runs),
        ),
    )
    rows = [
        Row(metric, (Cell(formats.middle_cut(metric, 48), metric), *(cells.get(head.id, _ABSENT) for head in heads)))
        for metric, cells in sorted(by_metric.items())
    ]
    columns = [Column("metric", "Last value of", pin=True), *heads]
    table(columns, [state, *rows], key="compare-metrics", label="Metrics", max_height="64vh")


_ABSENT = Cell("–", mark="absent")
