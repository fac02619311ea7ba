"""All versions of an artifact, those that were deleted on request."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from runstream_storage.queries.results import ArtifactVersion
from runstream_ui import artifact_data, formats, frame, urls
from runstream_ui.markup import in_markdown
from runstream_ui.palette import run_colour
from runstream_ui.widgets.table import Cell, Chip, Column, Row, table

_PAGE = 50


def artifact_versions(current: ArtifactVersion) -> None:
    """A page of them, the newest first; search and page are in the address."""
    project, name = current.project, current.name
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="versions-row"):
        search = st.text_input(
            "Search versions",
            key="find-version",
            type="search",
            placeholder="Number, alias, tag, metadata",
            icon=":material/search:",
            live="250ms",
            label_visibility="collapsed",
            width=320,
            bind="query-params",
        )
        deleted = st.toggle("Deleted, too", key="gone", bind="query-params")
    number = urls.get_int("versions-page", 1, 1, 1_000_000)
    found = artifact_data.versions(
        project, name, search=(search or "").strip(), deleted=deleted, limit=_PAGE + 1, offset=(number - 1) * _PAGE
    )
    if not found:
        said = f" has **{in_markdown(search)}** in its number, names or metadata" if search else " is here"
        st.markdown(f"No version{said}.")
        return
    now = datetime.now(UTC)
    table(
        [
            Column("version", "Version", pin=True),
            Column("aliases", "Aliases"),
            Column("tags", "Tags"),
            Column("score", "Score", kind="number"),
            Column("run", "Made by"),
            Column("size", "Size", kind="number"),
            Column("files", "Files", kind="number"),
            Column("created", "Logged"),
            Column("expires", "Expires"),
            Column("digest", "Digest", kind="code"),
        ],
        [_row(version, current, now) for version in found[:_PAGE]],
        key="artifact-versions",
        label=f"Versions of {name}",
        on_open=lambda row, column: _open(project, name, row, column),
        max_height="60vh",
    )
    with st.container(horizontal=True, gap="small", key="versions-paging"):
        if number > 1:
            st.button("Newer", key="newer-versions", on_click=_turn, args=(number - 1,))
        if len(found) > _PAGE:
            st.button("Older", key="older-versions", on_click=_turn, args=(number + 1,))


def _row(version: ArtifactVersion, current: ArtifactVersion, now: datetime) -> Row:
    link = urls.page_link("artifacts", project=version.project, artifact=version.name, version=version.version)
    here = " (this one)" if version.digest == current.digest else ""
    score = Cell(formats.number(version.score), formats.exact(version.score)) if version.score is not None else Cell("")
    expires = Cell(formats.age(version.expires_at, now) if version.expires_at else "", formats.utc(version.expires_at))
    maker = Cell("")
    if version.run_name:
        run = urls.run_link(version.project, version.run_id)
        shown = formats.middle_cut(version.run_name, 32)
        maker = Cell(shown, version.run_name, href=run, swatch=run_colour(version.run_id))
    return Row(
        f"{version.version} {version.run_id}",
        (
            Cell(f"{version.version}{here}", href=link, mark="absent" if version.deleted else ""),
            Cell(chips=tuple(Chip(formats.middle_cut(alias, 20), alias) for alias in version.aliases))
            if not version.deleted
            else Cell("deleted", mark="absent"),
            Cell(chips=tuple(Chip(formats.middle_cut(tag, 20), tag) for tag in version.tags)),
            score,
            maker,
            Cell(formats.size(version.size), f"{formats.count(version.size)} bytes"),
            Cell(formats.count(version.n_files)),
            Cell(formats.age(version.created_at, now), formats.utc(version.created_at)),
            expires,
            Cell(version.digest[:12], version.digest),
        ),
        label=version.version,
    )


def _open(project: str, name: str, row: str, column: str) -> None:
    version, _, run_id = row.partition(" ")
    if column == "run":
        frame.go("run", project=project, run=run_id)
    frame.go("artifacts", project=project, artifact=name, version=version)


def _turn(number: int) -> None:
    urls.put("versions-page", str(number) if number > 1 else "")
