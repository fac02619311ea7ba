"""What a run made and what it read: each artifact with its files, and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from runstream_storage.queries import LineageKey
from runstream_storage.queries.results import ArtifactFile, ArtifactLink, ArtifactVersion, AwaitedArtifact
from runstream_ui import artifact_data, data, formats, urls
from runstream_ui.markup import in_html
from runstream_ui.preview import look_of
from runstream_ui.widgets.artifact_lineage import artifact_lineage
from runstream_ui.widgets.empty import guarded
from runstream_ui.widgets.table import Cell, Column, Row, table

_IMAGES = 12
_BOXES = 20
_FILES = 100
_ASK_EVERY_S = 5

_EXAMPLE = """run.log_artifact("model.pt", name="classifier", type="model", aliases=["best"])"""


def no_artifacts() -> None:
    st.markdown("#### No artifacts yet\n\nKeep a file or a directory with a run:")
    st.code(_EXAMPLE, language="python")


def artifact_links(
    project: str, run_id: str, links: Sequence[ArtifactLink], awaited: Sequence[AwaitedArtifact] = ()
) -> None:
    """What it made first, then what it read, each with the first of its files; and its lineage.

    Before them what is not there yet, or never will be.
    """
    if awaited:
        _awaited(project, run_id, awaited)
    if not links:
        if not awaited:
            no_artifacts()
        return
    if st.toggle("Lineage", key="lineage", bind="query-params", help="What this run was made from, and what of it"):
        artifact_lineage(project, LineageKey("run", "", run_id))
    ordered = sorted(links, key=lambda link: link.role == "in")
    for link in ordered[:_BOXES]:
        if link.artifact is None:
            asked = in_html(link.asked)
            st.html(f'<div class="rs-head"><b>{in_html(link.name)}</b> {asked} · read, not known here</div>')
        else:
            of = f" from {link.project}" if link.project != project else ""
            _box(link.artifact, note=f"read as {link.asked or link.name}{of}" if link.role == "in" else "made")
    if len(links) > _BOXES:
        st.caption(f"The first {_BOXES} of {len(links)} artifacts; the others are on the Artifacts page.")


def _awaited(project: str, run_id: str, awaited: Sequence[AwaitedArtifact]) -> None:
    lost = sum(one.state == "lost" for one in awaited)
    for one in sorted(awaited, key=lambda one: one.state != "lost")[:_BOXES]:
        facts = [in_html(one.type), formats.size(one.size), formats.plural(one.n_files, "file")]
        facts.append(f'<span title="{formats.utc(one.at)}">logged {formats.age(one.at, datetime.now(UTC))}</span>')
        word = "its files are on their way to the object store" if one.state == "pending" else in_html(one.reason)
        st.html(
            f'<div class="rs-head"><b title="{in_html(one.name)}">{in_html(formats.middle_cut(one.name, 60))}</b>'
            f'<span class="rs-chip">{one.state}</span><span class="rs-line">{" · ".join([word, *facts])}</span></div>'
        )
    if len(awaited) > _BOXES:
        st.caption(
            f"The first {_BOXES} of {len(awaited)} that are not there: {lost} lost, {len(awaited) - lost} on their way."
        )
    pending = tuple(one.at for one in awaited if one.state == "pending")
    if pending:
        part = st.fragment(guarded(_ask), run_every=_ASK_EVERY_S, key="awaited-artifacts")
        part(project, run_id, pending)


def _ask(project: str, run_id: str, pending: tuple[datetime, ...]) -> None:
    """Draw the page again once one of them has arrived, or is lost."""
    if tuple(one.at for one in data.run_awaited(project, run_id) if one.state == "pending") != pending:
        data.run_artifacts.clear()
        st.rerun("app")


def _box(artifact: ArtifactVersion, *, note: str) -> None:
    """Version, aliases, size, and the files."""
    chips = "".join(f'<span class="rs-chip">{in_html(alias)}</span>' for alias in artifact.aliases)
    logged = formats.age(artifact.created_at, datetime.now(UTC))
    link = urls.page_link("artifacts", project=artifact.project, artifact=artifact.name, version=artifact.version)
    facts = [
        in_html(note),
        in_html(artifact.type),
        formats.size(artifact.size),
        formats.plural(artifact.n_files, "file"),
        f'<span title="{formats.utc(artifact.created_at)}">{logged}</span>',
        f'<span title="{in_html(artifact.digest)}">{in_html(artifact.digest[:12])}</span>',
        "deleted since" if artifact.deleted else "",
    ]
    st.html(
        f'<div class="rs-head"><b><a href="{in_html(link)}" target="_self" title="{in_html(artifact.name)}">'
        f"{in_html(formats.middle_cut(artifact.name, 60))}</a></b><span>{in_html(artifact.version)}</span>{chips}"
        f'<span class="rs-line">{" · ".join(fact for fact in facts if fact)}</span></div>'
        + (f'<p class="rs-note">{in_html(artifact.description)}</p>' if artifact.description else "")
    )
    files = artifact_data.all_files(artifact.project, artifact.name, artifact.digest)[:_FILES]
    table(
        [
            Column("path", "File"),
            Column("size", "Size", kind="number"),
            Column("mime", "Type"),
            Column("sha256", "sha256", kind="code"),
        ],
        [_file_row(file) for file in files],
        key=f"files-{artifact.name}-{artifact.digest[:16]}-{note}",
        label=f"Files of {artifact.name}",
        max_height="22rem",
    )
    if artifact.n_files > len(files):
        st.caption(f"The first {len(files)} of {formats.plural(artifact.n_files, 'file')}; its page has them all.")
    _images(files)


def _file_row(file: ArtifactFile) -> Row:
    path = Cell(formats.middle_cut(file.path, 70), f"{file.path}: {file.ref}")
    if not file.ref:
        link = urls.file_link(file.sha256, _last(file.path))
        path = Cell(formats.middle_cut(file.path, 70), f"Download {file.path}", href=link, download=True)
    return Row(
        file.path,
        (
            path,
            Cell(formats.size(file.size), f"{formats.count(file.size)} bytes"),
            Cell("reference" if file.ref else file.mime, mark="muted"),
            Cell(file.sha256[:12], file.sha256),
        ),
    )


def _images(files: Sequence[ArtifactFile]) -> None:
    """Pictures are fetched by the browser, as it comes to them, from where the files are downloaded."""
    images = [file for file in files if not file.ref and look_of(file.path) == "image"]
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
        st.caption(f"The first {_IMAGES} of {len(images)} images; its page shows the others.")


def _last(path: str) -> str:
    return path.rsplit("/", 1)[-1]
