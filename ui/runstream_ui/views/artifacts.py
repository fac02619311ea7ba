"""Artifacts of a project: every version, who made it, and its files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import streamlit as st

from runstream_ui import data, formats, frame, urls
from runstream_ui.markup import in_markdown
from runstream_ui.palette import run_colour
from runstream_ui.widgets import empty
from runstream_ui.widgets.artifact_files import artifact_box, no_artifacts
from runstream_ui.widgets.table import Cell, Chip, Column, Row, table


def page() -> None:
    project = frame.project()
    if project is None:
        empty.no_runs("")
        return
    artifacts = data.artifact_names(project)
    if not artifacts:
        no_artifacts()
        return
    search = st.text_input(
        "Search artifacts",
        key="artifact-search",
        type="search",
        placeholder="Search artifacts by name or type",
        icon=":material/search:",
        live="250ms",
        label_visibility="collapsed",
        width=360,
    )
    now = datetime.now(UTC)
    wanted = (search or "").lower()
    shown = [artifact for artifact in artifacts if wanted in f"{artifact.name} {artifact.type}".lower()]
    if not shown:
        st.markdown(f"No artifact has **{in_markdown(search)}** in its name or type.")
        return
    table(
        [
            Column("name", "Artifact", pin=True),
            Column("type", "Type"),
            Column("latest", "Newest"),
            Column("versions", "Versions", kind="number"),
            Column("size", "Size", kind="number"),
            Column("created", "Logged"),
        ],
        [
            Row(
                artifact.name,
                (
                    Cell(
                        formats.middle_cut(artifact.name, 60),
                        artifact.name,
                        href=urls.page_link("artifacts", project=project, artifact=artifact.name),
                    ),
                    Cell(artifact.type),
                    Cell(artifact.latest),
                    Cell(formats.count(artifact.versions)),
                    Cell(formats.size(artifact.size), f"{formats.count(artifact.size)} bytes"),
                    Cell(formats.age(artifact.created_at, now), formats.utc(artifact.created_at)),
                ),
            )
            for artifact in shown
        ],
        key="artifacts",
        label=f"Artifacts of {project}",
        on_open=_open,
        max_height="20rem",
    )
    name = urls.get("artifact")
    if name:
        _versions(project, name)


def _open(name: str, _column: str) -> None:
    urls.put("artifact", name)
    urls.put("version", "")


def _versions(project: str, name: str) -> None:
    versions = data.artifact_versions(project, name)
    if not versions:
        st.markdown(f"There is no artifact **{in_markdown(name)}** in this project.")
        return
    now = datetime.now(UTC)
    st.markdown(f"**Versions of {in_markdown(name)}**")
    table(
        [
            Column("version", "Version", pin=True),
            Column("aliases", "Aliases"),
            Column("run", "By run"),
            Column("size", "Size", kind="number"),
            Column("files", "Files", kind="number"),
            Column("created", "Logged"),
            Column("digest", "Digest", kind="code"),
        ],
        [
            Row(
                version.version,
                (
                    Cell(
                        version.version,
                        href=urls.page_link("artifacts", project=project, artifact=name, version=version.version),
                    ),
                    Cell(chips=tuple(Chip(alias) for alias in version.aliases)),
                    Cell(
                        formats.middle_cut(version.run_name, 36),
                        version.run_name,
                        href=urls.run_link(project, version.run_id),
                        swatch=run_colour(version.run_id),
                    ),
                    Cell(formats.size(version.size), f"{formats.count(version.size)} bytes"),
                    Cell(formats.count(version.n_files)),
                    Cell(formats.age(version.created_at, now), formats.utc(version.created_at)),
                    Cell(version.digest[:12], version.digest),
                ),
            )
            for version in versions
        ],
        key="artifact-versions",
        label=f"Versions of {name}",
        on_open=_opener(project, {version.version: version.run_id for version in versions}),
        max_height="20rem",
    )
    chosen = data.artifact(project, name, urls.get("version") or versions[0].version)
    if chosen is not None:
        artifact_box(chosen)


def _opener(project: str, makers: dict[str, str]) -> Callable[[str, str], None]:
    def opened(version: str, column: str) -> None:
        if column == "run":
            frame.go("run", project=project, run=makers[version])
        urls.put("version", version)

    return opened
