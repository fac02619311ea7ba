"""Artifacts of a project: which there are, and one version with its files, past, lineage and history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import streamlit as st

from runstream_storage.queries import LineageKey
from runstream_storage.queries.results import ArtifactName
from runstream_ui import artifact_data, formats, frame, urls
from runstream_ui.markup import in_markdown
from runstream_ui.widgets import empty
from runstream_ui.widgets.artifact_diff import artifact_diff
from runstream_ui.widgets.artifact_files import no_artifacts
from runstream_ui.widgets.artifact_header import artifact_header, crumbs
from runstream_ui.widgets.artifact_lineage import artifact_lineage
from runstream_ui.widgets.artifact_metadata import artifact_metadata
from runstream_ui.widgets.artifact_versions import artifact_versions
from runstream_ui.widgets.changes import changes
from runstream_ui.widgets.file_browser import file_browser
from runstream_ui.widgets.table import Cell, Column, Row, table

_PAGE = 50
_ALL = "all types"
_ANY = "any tag"
_TABS = ("Files", "Lineage", "Metadata", "Versions", "Changes", "History")
_COLUMNS = (
    Column("name", "Artifact", pin=True, sortable=True),
    Column("type", "Type", sortable=True),
    Column("latest", "Newest"),
    Column("versions", "Versions", kind="number", sortable=True),
    Column("size", "Size", kind="number", sortable=True, hint="Bytes of the newest version: click to sort"),
    Column("total_size", "All versions", kind="number", sortable=True, hint="Bytes of all versions: click to sort"),
    Column("created", "Logged", sortable=True),
)


def page() -> None:
    project = frame.project()
    if project is None:
        empty.no_runs("")
        return
    name = urls.get("artifact")
    if name:
        _artifact(project, name)
    else:
        _list(project)


def _list(project: str) -> None:
    types, tags = artifact_data.types(project), artifact_data.artifact_tags(project)
    if not types:
        no_artifacts()
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="artifact-row"):
        search = st.text_input(
            "Search artifacts",
            key="find",
            type="search",
            placeholder="Search artifacts by name or type",
            icon=":material/search:",
            live="250ms",
            label_visibility="collapsed",
            width=360,
            bind="query-params",
            on_change=lambda: urls.put("page", ""),
        )
        kind = _choice("Type", "type", _ALL, [entry.name for entry in types])
        tag = _choice("Tag", "tag", _ANY, [entry.name for entry in tags]) if tags else ""
    sort, number = urls.get("sort", "-created"), urls.get_int("page", 1, 1, 1_000_000)
    wanted = (search or "").strip()
    found = artifact_data.artifacts(
        project, wanted, kind, tag, sort.removeprefix("-"), sort.startswith("-"), _PAGE, (number - 1) * _PAGE
    )
    if not found.rows:
        said = f" with **{in_markdown(wanted)}** in its name or type" if wanted else ""
        st.markdown(f"No artifact{said}{' of this type or tag' if kind or tag else ''}.")
        return
    st.html(f'<div class="rs-line" role="status">{formats.plural(found.matched, "artifact")}</div>')
    way: Literal["asc", "desc"] = "desc" if sort.startswith("-") else "asc"
    heads = [replace(head, sorted=way) if head.id == sort.removeprefix("-") else head for head in _COLUMNS]
    now = datetime.now(UTC)
    table(
        heads,
        [_row(project, artifact, now) for artifact in found.rows],
        key="artifacts",
        label=f"Artifacts of {project}",
        on_sort=_sort,
        on_open=lambda name, _column: frame.go("artifacts", project=project, artifact=name),
        max_height="66vh",
    )
    pages = -(-found.matched // _PAGE)
    if pages > 1:
        st.session_state["artifacts-page"] = min(number, pages)
        st.pagination(
            pages, key="artifacts-page", on_change=lambda: urls.put("page", str(st.session_state["artifacts-page"]))
        )


def _choice(label: str, name: str, everything: str, options: list[str]) -> str:
    """A select whose choice is in the address; empty for all."""
    linked = urls.get(name)
    key = f"artifacts-{name}"
    st.session_state[key] = linked if linked in options else everything

    def chosen() -> None:
        value = st.session_state[key]
        urls.put(name, "" if value == everything else value)
        urls.put("page", "")

    value = st.selectbox(
        label,
        [everything, *options],
        key=key,
        format_func=lambda text: formats.middle_cut(str(text), 28),
        label_visibility="collapsed",
        width=190,
        on_change=chosen,
    )
    return "" if value == everything else str(value)


def _row(project: str, artifact: ArtifactName, now: datetime) -> Row:
    link = urls.page_link("artifacts", project=project, artifact=artifact.name)
    return Row(
        artifact.name,
        (
            Cell(formats.middle_cut(artifact.name, 60), artifact.name, href=link),
            Cell(formats.middle_cut(artifact.type, 24), artifact.type),
            Cell(artifact.latest),
            Cell(formats.count(artifact.versions)),
            Cell(formats.size(artifact.size), f"{formats.count(artifact.size)} bytes"),
            Cell(formats.size(artifact.total_size), f"{formats.count(artifact.total_size)} bytes"),
            Cell(formats.age(artifact.created_at, now), formats.utc(artifact.created_at)),
        ),
    )


def _sort(column: str) -> None:
    first, second = (column, f"-{column}") if column in ("name", "type") else (f"-{column}", column)
    urls.put("sort", second if urls.get("sort", "-created") == first else first)
    urls.put("page", "")


def _artifact(project: str, name: str) -> None:
    version = artifact_data.version(project, name, urls.get("version"))
    if version is None:
        crumbs(project, name)
        asked = f"{name}:{urls.get('version')}" if urls.get("version") else name
        st.markdown(f"#### No such artifact\n\n**{in_markdown(asked)}** is not in this project, or not yet.")
        return
    artifact_header(version)
    tabs = dict(zip(_TABS, st.tabs(_TABS, key="tab", on_change="rerun", bind="query-params"), strict=True))
    with tabs["Files"] as tab:
        if tab.open:
            file_browser(version)
    with tabs["Lineage"] as tab:
        if tab.open:
            artifact_lineage(project, LineageKey("artifact", name, version.digest))
    with tabs["Metadata"] as tab:
        if tab.open:
            artifact_metadata(version)
    with tabs["Versions"] as tab:
        if tab.open:
            artifact_versions(version)
    with tabs["Changes"] as tab:
        if tab.open:
            artifact_diff(version)
    with tabs["History"] as tab:
        if tab.open:
            changes(project, key="artifact", subjects=(name,), kinds=("ArtifactEdited", "ArtifactLogged"))
