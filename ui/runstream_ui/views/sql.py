"""SQL: any question, read-only, with the documentation of the views beside it."""

from __future__ import annotations

import io
import time
from typing import Any

import pyarrow as pa
import streamlit as st

from runstream_storage.errors import QueryError
from runstream_storage.queries.results import SqlResult
from runstream_ui import data, formats, frame, sql_chart, urls
from runstream_ui.markup import in_html, in_markdown

_SHOWN_ROWS = 10_000
_SHOWN_SECONDS = 30.0
_EXPORT_ROWS = 1_000_000
_EXPORT_SECONDS = 120.0
_HISTORY = 30
_SHORT, _GRID_PX = 10, 420
_DEFAULT = """SELECT run_name, state, created_at
FROM v_runs
WHERE project = '{project}'
ORDER BY created_at DESC
LIMIT 20"""


def page() -> None:
    project = frame.project() or "default"
    if "sql-text" not in st.session_state:
        quoted = project.replace("\\", "\\\\").replace("'", "\\'")
        st.session_state["sql-text"] = urls.get("q") or _DEFAULT.format(project=quoted)
        st.session_state["sql-run"] = bool(urls.get("q"))
    left, right = st.columns([3, 1.25], gap="medium")
    with right:
        _documentation()
    with left:
        editor = st.container()
        _result()
        with editor:
            _editor()


@st.fragment(key="sql-editor")
def _editor() -> None:
    st.text_area("SQL", key="sql-text", height=190, label_visibility="collapsed", on_change="ignore")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Run", icon=":material/play_arrow:", type="primary", on_click=_ask, key="run-sql", shortcut="ctrl+enter"
        )
        history: list[dict[str, Any]] = st.session_state.get("sql-history", [])
        with st.popover("History", icon=":material/history:", disabled=not history):
            for number, entry in enumerate(reversed(history)):
                st.button(
                    in_markdown(formats.middle_cut(" ".join(entry["text"].split()), 80)),
                    key=f"history-{len(history) - number}",
                    help=f"{entry['at']} · {entry['said']}",
                    type="tertiary",
                    on_click=_recall,
                    args=(entry["text"],),
                )
        st.html(
            f'<div class="rs-line">Read-only · at most {formats.count(_SHOWN_ROWS)} rows shown, '
            f"{_SHOWN_SECONDS:.0f} s a query · downloads up to {formats.count(_EXPORT_ROWS)} rows</div>"
        )


def _ask() -> None:
    urls.put("q", st.session_state["sql-text"])
    st.session_state["sql-run"] = True
    st.rerun("app")


def _recall(text: str) -> None:
    st.session_state["sql-text"] = text


def _result() -> None:
    if st.session_state.pop("sql-run", False):
        _run(st.session_state["sql-text"].strip())
    outcome = st.session_state.get("sql-outcome")
    if outcome is None:
        return
    text, answer = outcome
    if isinstance(answer, QueryError):
        _show_error(text, answer)
    else:
        _show(text, answer)


def _run(text: str) -> None:
    answer: SqlResult | QueryError
    try:
        with st.spinner("Running the query…", show_time=True):
            answer = data.sql(text, max_rows=_SHOWN_ROWS, max_seconds=_SHOWN_SECONDS)
    except QueryError as error:
        answer = error
        said = "failed"
    else:
        said = f"{formats.plural(answer.table.num_rows, 'row')} in {formats.duration(answer.seconds)}"
    st.session_state["sql-outcome"] = (text, answer)
    history = st.session_state.setdefault("sql-history", [])
    if not history or history[-1]["text"] != text:
        history.append({"text": text, "at": time.strftime("%H:%M:%S"), "said": said})
        del history[:-_HISTORY]


def _show_error(text: str, error: QueryError) -> None:
    shown = ""
    if 0 < error.position <= len(text):
        start = text.rfind("\n", 0, error.position - 1) + 1
        line = text[start:].split("\n", 1)[0]
        shown = f"{in_html(line)}\n{' ' * (error.position - 1 - start)}^\n"
    code = f" (ClickHouse error {error.code})" if error.code else ""
    st.html(f'<div class="rs-wrong" role="alert"><pre>{shown}{in_html(error)}{code}</pre></div>')


def _show(text: str, answer: SqlResult) -> None:
    result = answer.table
    more = " · there are more: add a LIMIT, or download them all" if answer.truncated else ""
    st.html(
        f'<div class="rs-line" role="status"><b>{formats.plural(result.num_rows, "row")}</b> in '
        f"{formats.duration(answer.seconds)}{more}</div>"
    )
    if not result.num_columns:
        return
    grid, chart = st.tabs(["Table", "Chart"], key="sql-view", on_change="rerun")
    if grid.open:
        with grid:
            floats = [field.name for field in result.schema if pa.types.is_floating(field.type)]
            st.dataframe(
                result,
                hide_index=True,
                height="auto" if result.num_rows <= _SHORT else _GRID_PX,
                key="sql-grid",
                column_config={name: st.column_config.NumberColumn(format="%.6g") for name in floats},
                alt="Answer of the query",
            )
    if chart.open:
        with chart:
            sql_chart.show(result)
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "CSV",
            data=lambda: _export(text, answer, "csv"),
            file_name="query.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="csv",
        )
        st.download_button(
            "Parquet",
            data=lambda: _export(text, answer, "parquet"),
            file_name="query.parquet",
            mime="application/vnd.apache.parquet",
            icon=":material/download:",
            on_click="ignore",
            key="parquet",
        )


def _export(text: str, answer: SqlResult, kind: str) -> bytes:
    """The shown rows, or when those were not all, the answer asked for again up to the limit of downloads."""
    result = answer.table
    if answer.truncated:
        result = data.sql(text, max_rows=_EXPORT_ROWS, max_seconds=_EXPORT_SECONDS).table
    buffer = io.BytesIO()
    if kind == "csv":
        from pyarrow import csv

        csv.write_csv(_flat(result), buffer)
    else:
        from pyarrow import parquet

        parquet.write_table(result, buffer, compression="zstd")
    return buffer.getvalue()


def _flat(result: pa.Table) -> pa.Table:
    """Nested columns as text: CSV has no lists."""
    columns = [
        pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
        if pa.types.is_nested(column.type)
        else column
        for column in result.columns
    ]
    return pa.table(columns, names=result.column_names)


@st.fragment
def _documentation() -> None:
    views = data.views()
    st.markdown("**Views**")
    with st.container(height=560, border=False):
        for view in views:
            with st.expander(
                in_markdown(view.name), expanded=view.name == "v_runs", key=f"view-{view.name}", type="compact"
            ):
                rows = "".join(
                    f"<tr><th>{in_html(column.name)}</th><td>{in_html(column.comment)} "
                    f'<span class="rs-type">{in_html(column.type)}</span></td></tr>'
                    for column in view.columns
                )
                st.html(f'<p class="rs-note">{in_html(view.comment)}</p><table class="rs-kv">{rows}</table>')
