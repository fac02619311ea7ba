"""Artifacts with their files: download links, and a look at the images."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from runstream_storage.queries.results import ArtifactFile, ArtifactLink, ArtifactVersion
from runstream_ui import data, formats, urls
from runstream_ui.markup import in_html
from runstream_ui.widgets.table import Cell, Column, Row, table

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_IMAGES = 12
_BOXES = 20
_FILES = 500

_EXAMPLE = """run.log_artifact("model.pt", name="classifier", type="model", aliases=["best"])"""


def no_artifacts() -> None:
    st.markdown("No artifacts. Keep a file or a directory with the run:")
    st.code(_EXAMPLE, language="python")


def artifact_links(project: str, links: Sequence[ArtifactLink]) -> None:
    """What a run made and what it read, with the files of each."""
    if not links:
        no_artifacts()
    for link in links[:_BOXES]:
        known = data.artifact(project, link.name, link.artifact.digest) if link.artifact else None
        if known is None:
            asked = in_html(link.asked)
            st.html(f'<div class="rs-head"><b>{in_html(link.name)}</b> {asked} · read, not known here</div>')
        else:
            artifact_box(known, note=f"read as {link.asked or link.name}" if link.role == "in" else "")
    if len(links) > _BOXES:
        st.caption(f"The first {_BOXES} of {len(links)} artifacts; the others are on the Artifacts page.")


def artifact_box(artifact: ArtifactVersion, *, note: str = "") -> None:
    """Version, aliases, size, and the files."""
    aliases = "".join(f'<span class="rs-chip">{in_html(alias)}</span>' for alias in artifact.aliases)
    logged = formats.age(artifact.created_at, datetime.now(UTC))
    facts = [
        in_html(note) if note else "",
        in_html(artifact.type),
        formats.size(artifact.size),
        formats.plural(artifact.n_files, "file"),
        f'<span title="{formats.utc(artifact.created_at)}">{logged}</span>',
        f'<span title="{in_html(artifact.digest)}">{in_html(artifact.digest[:12])}</span>',
    ]
    st.html(
        f'<div class="rs-head"><b>{in_html(artifact.name)}</b><span>{in_html(artifact.version)}</span>{aliases}'
        f'<span class="rs-line">{" · ".join(fact for fact in facts if fact)}</span></div>'
        + (f'<p class="rs-note">{in_html(artifact.description)}</p>' if artifact.description else "")
    )
    table(
        [
            Column("path", "File"),
            Column("size", "Size", kind="number"),
            Column("mime", "Type"),
            Column("sha256", "sha256", kind="code"),
        ],
        [_file_row(file) for file in artifact.files[:_FILES]],
        key=f"files-{artifact.name}-{artifact.digest[:16]}-{note}",
        label=f"Files of {artifact.name}",
        max_height="22rem",
    )
    if len(artifact.files) > _FILES:
        st.caption(f"The first {_FILES} of {formats.plural(len(artifact.files), 'file')}.")
    _images(artifact.files)


def _file_row(file: ArtifactFile) -> Row:
    link = urls.file_link(file.sha256, _last(file.path))
    return Row(
        file.path,
        (
            Cell(formats.middle_cut(file.path, 70), f"Download {file.path}", href=link, download=True),
            Cell(formats.size(file.size), f"{formats.count(file.size)} bytes"),
            Cell(file.mime, mark="muted"),
            Cell(file.sha256[:12], file.sha256),
        ),
    )


def _images(files: Sequence[ArtifactFile]) -> None:
    """Pictures are fetched by the browser, as it comes to them, from where the files are downloaded."""
    images = [file for file in files if file.path.lower().endswith(_IMAGE_SUFFIXES)]
    if not images:
        return
    figures = "".join(
        f'<figure><a href="{urls.file_link(file.sha256, _last(file.path))}" title="Download {in_html(file.path)}">'
        f'<img src="{urls.image_link(file.sha256, _last(file.path))}" alt="{in_html(file.path)}" loading="lazy"></a>'
        f"<figcaption>{in_html(formats.middle_cut(file.path, 44))}</figcaption></figure>"
        for file in images[:_IMAGES]
    )
    st.html(f'<div class="rs-images">{figures}</div>')
    if len(images) > _IMAGES:
        st.caption(f"The first {_IMAGES} of {len(images)} images; download the others above.")


def _last(path: str) -> str:
    return path.rsplit("/", 1)[-1]
