"""One run: is it healthy, what did it do, can I have it back."""

from __future__ import annotations

import streamlit as st

from runstream_storage.queries.results import Summary
from runstream_ui import data, formats, frame, urls
from runstream_ui.markup import in_markdown
from runstream_ui.widgets import empty
from runstream_ui.widgets.artifact_files import artifact_links
from runstream_ui.widgets.changes import changes
from runstream_ui.widgets.console_view import console_view
from runstream_ui.widgets.environment import environment
from runstream_ui.widgets.histogram_view import histogram_view
from runstream_ui.widgets.media_view import media_view
from runstream_ui.widgets.metric_sections import metric_sections
from runstream_ui.widgets.moment_bar import moment_bar
from runstream_ui.widgets.param_table import param_table
from runstream_ui.widgets.run_forms import run_actions
from runstream_ui.widgets.run_header import run_header
from runstream_ui.widgets.starts import starts
from runstream_ui.widgets.system_view import system_view
from runstream_ui.widgets.table import Cell, Column, Row, table
from runstream_ui.widgets.table_view import table_view
from runstream_ui.widgets.text_view import text_view

_TABS = (
    *("Charts", "System", "Media", "Histograms", "Tables", "Text", "Console"),
    *("Params", "Metrics", "Artifacts", "Starts", "Environment", "History"),
)


def page() -> None:
    project = frame.project()
    if project is None:
        empty.no_runs("")
        return
    asked = urls.get("run")
    run_id = data.find_run(project, asked) if asked else data.newest_run(project)
    header = data.run(project, run_id) if run_id else None
    if header is None:
        _missing(project, asked)
        return
    if asked and asked != run_id:
        urls.put("run", run_id)  # a name may be changed while the page is open
    with st.container(horizontal=True, vertical_alignment="top", gap="small", key="run-top"):
        with st.container(width="stretch"):
            run_header(project, header.run.run_id)
        run_actions(header.run)
    frame.follow_tab("tab")
    tabs = dict(zip(_TABS, st.tabs(_TABS, key="tab", on_change="rerun", bind="query-params"), strict=True))
    with tabs["Charts"] as tab:
        if tab.open:
            moment_bar(project, header.run)
            metric_sections(project, [header.run], key="run", earlier=header.attempts > 1)
    with tabs["System"] as tab:
        if tab.open:
            moment_bar(project, header.run)
            system_view(project, [header.run], key="run")
    with tabs["Media"] as tab:
        if tab.open:
            media_view(project, [header.run], key="run")
    with tabs["Histograms"] as tab:
        if tab.open:
            histogram_view(project, [header.run], key="run")
    with tabs["Tables"] as tab:
        if tab.open:
            table_view(project, [header.run], key="run")
    with tabs["Text"] as tab:
        if tab.open:
            text_view(project, [header.run], key="run")
    with tabs["Console"] as tab:
        if tab.open:
            console_view(project, header.run)
    with tabs["Params"] as tab:
        if tab.open:
            param_table(project, [header.run], key="run")
    with tabs["Metrics"] as tab:
        if tab.open:
            _metrics(project, header.run.run_id)
    with tabs["Artifacts"] as tab:
        if tab.open:
            run_id = header.run.run_id
            artifact_links(project, run_id, data.run_artifacts(project, run_id), data.run_awaited(project, run_id))
    with tabs["Starts"] as tab:
        if tab.open:
            starts(project, header)
    with tabs["Environment"] as tab:
        if tab.open:
            environment(project, header)
    with tabs["History"] as tab:
        if tab.open:
            changes(project, key="run", run_ids=(header.run.run_id,), about=True)


def _missing(project: str, run_id: str) -> None:
    if not run_id:
        empty.no_runs(project)
        return
    st.markdown("#### No such run")
    st.markdown(
        f"{in_markdown(run_id)} is not a run of **{in_markdown(project)}**. It may belong to another project, or be "
        "deleted: the trash knows."
    )
    with st.container(horizontal=True, gap="small"):
        st.button("All runs", key="all-runs", on_click=frame.go, args=("runs",), kwargs={"project": project})
        st.button("Trash", key="to-trash", on_click=frame.go, args=("trash",), kwargs={"project": project})


def _metrics(project: str, run_id: str) -> None:
    summaries = data.summaries(project, (run_id,))
    if not summaries:
        st.markdown("No points yet. They show up here within seconds of the first `run.log(...)`.")
        return
    numbers = ("last", "min", "max", "first", "points", "last step")
    table(
        [
            Column("metric", "Metric", pin=True),
            *(Column(name, name, kind="number") for name in numbers),
            Column("odd", "not finite", kind="number", hint="Points that are NaN or infinite"),
        ],
        [_metric_row(summary) for summary in summaries],
        key="run-metrics",
        label="Metrics of the run",
        max_height="70vh",
    )


def _metric_row(summary: Summary) -> Row:
    values = (summary.last, summary.min, summary.max, summary.first)
    odd = summary.n_nan + summary.n_inf
    return Row(
        summary.metric,
        (
            Cell(formats.middle_cut(summary.metric, 60), summary.metric),
            *(Cell(formats.number(value), formats.exact(value)) for value in values),
            Cell(formats.count(summary.n)),
            Cell(formats.count(summary.last_step)),
            Cell(formats.count(odd) if odd else "", f"{summary.n_nan} NaN, {summary.n_inf} infinite"),
        ),
    )
