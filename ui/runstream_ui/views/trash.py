"""Trash: deleted runs, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from runstream_storage.queries.trash import DeletedRun
from runstream_ui import artifact_data, edits, formats, frame, run_edits, urls
from runstream_ui.markup import in_markdown
from runstream_ui.palette import run_colour
from runstream_ui.widgets import empty
from runstream_ui.widgets.table import Cell, Column, Row, table

_PAGE = 100


def page() -> None:
    project = frame.project()
    if project is None:
        empty.no_runs("")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="trash-row"):
        search = st.text_input(
            "Search deleted runs",
            key="find",
            type="search",
            placeholder="Search deleted runs",
            icon=":material/search:",
            live="250ms",
            label_visibility="collapsed",
            width=320,
            bind="query-params",
        )
        actions = st.container(horizontal=True, vertical_alignment="center", gap="small")
    number = urls.get_int("page", 1, 1, 1_000_000)
    found = artifact_data.trash(project, (search or "").strip(), _PAGE, (number - 1) * _PAGE)
    if not found.runs:
        st.markdown(
            f"No deleted run has **{in_markdown(search)}** in its name."
            if search
            else "#### The trash is empty\n\n"
            "Runs that somebody deletes are kept here with all their data, and can be restored."
        )
        return
    known = {run.run_id: run for run in found.runs}
    selected = [run_id for run_id in st.session_state.get("trash-selected", []) if run_id in known]
    with actions:
        st.html(
            f'<div class="rs-line" role="status">{formats.plural(found.total, "deleted run")}</div>', width="content"
        )
        if edits.allowed():
            st.button(
                f"Restore {len(selected)}" if selected else "Restore",
                icon=":material/restore_from_trash:",
                type="primary",
                key="restore-runs",
                disabled=not selected,
                on_click=_restore,
                args=(project, [known[run_id] for run_id in selected]),
            )
    _table(project, found.runs, selected)
    pages = -(-found.total // _PAGE)
    if pages > 1:
        st.session_state["trash-page"] = min(number, pages)
        st.pagination(pages, key="trash-page", on_change=lambda: urls.put("page", str(st.session_state["trash-page"])))


def _table(project: str, runs: Sequence[DeletedRun], selected: Sequence[str]) -> None:
    now = datetime.now(UTC)
    rows = [
        Row(
            run.run_id,
            (
                Cell(formats.middle_cut(run.name, 50), run.name, swatch=run_colour(run.run_id)),
                Cell(formats.age(run.created_at, now), formats.utc(run.created_at)),
                Cell(run.user),
                Cell(formats.age(run.deleted_at, now), formats.utc(run.deleted_at)),
                Cell(run.deleted_by),
                Cell(run.run_id[:13], run.run_id),
            ),
            label=run.name,
        )
        for run in runs
    ]
    table(
        [
            Column("name", "Run", pin=True),
            Column("created", "Started"),
            Column("user", "By"),
            Column("deleted", "Deleted"),
            Column("by", "By"),
            Column("id", "Id", kind="code"),
        ],
        rows,
        key="trash-table",
        label=f"Deleted runs of {project}",
        selected=selected,
        on_select=_select if edits.allowed() else None,
        max_height="66vh",
    )


def _select(run_ids: list[str]) -> None:
    st.session_state["trash-selected"] = run_ids


def _restore(project: str, runs: Sequence[DeletedRun]) -> None:
    run_edits.restore(project, [(run.run_id, run.name) for run in runs])
    st.session_state.pop("trash-selected", None)
