"""What changed between two versions of an artifact: files, metadata, description."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from runstream_storage.errors import StorageError
from runstream_storage.queries.results import ArtifactFile, ArtifactVersion
from runstream_ui import artifact_data, formats, preview, urls
from runstream_ui.differences import Change, FileChange, counted, differing, differing_files, flat
from runstream_ui.errors import UiError
from runstream_ui.markup import in_html
from runstream_ui.text_diff import diff_html
from runstream_ui.widgets.table import Cell, Column, Row, table

_OFFERED = 200
_SHOWN = 1_000
_SIGNS = {"added": "+ added", "removed": "− removed", "changed": "≠ changed", "same": "same"}
_TEXTS = ("text", "json", "csv", "markdown")


def artifact_diff(version: ArtifactVersion) -> None:
    """Against the version before, or the one that the address names under `against`."""
    others = [
        known
        for known in artifact_data.versions(version.project, version.name, limit=_OFFERED)
        if known.digest != version.digest
    ]
    linked = urls.get("against")
    if linked and linked not in {known.version for known in others}:
        asked = artifact_data.version(version.project, version.name, linked)
        others += [asked] if asked is not None and asked.digest != version.digest else []
    if not others:
        st.markdown("This is the only version: there is nothing to compare it with.")
        return
    before = _chosen(version, others)
    project, name = version.project, version.name
    with st.spinner("Comparing files…", show_time=True):
        old = artifact_data.all_files(project, name, before.digest)
        new = artifact_data.all_files(project, name, version.digest)
        changes = differing_files(old, new)
    counts = counted(changes)
    grown = sum(change.growth for change in changes)
    parts = [f"{counts[how]:,} {how}" for how in ("added", "removed", "changed") if counts[how]] or ["no file differs"]
    parts += [f"{counts['same']:,} the same", f"{'+' if grown >= 0 else '−'}{formats.size(abs(grown))}"]
    way = f"From <b>{before.version}</b> to <b>{version.version}</b>"
    st.html(f'<div class="rs-line" role="status">{way}: {" · ".join(parts)}</div>')
    differ = [change for change in changes if change.how != "same"]
    if differ:
        _files(differ)
        _text(differ)
    _facts(before, version)


def _chosen(version: ArtifactVersion, others: Sequence[ArtifactVersion]) -> ArtifactVersion:
    by_name = {known.version: known for known in others}
    older = [known for known in others if known.created_at <= version.created_at]
    default = (older or list(others))[0].version
    linked = urls.get("against")
    st.session_state["diff-against"] = linked if linked in by_name else default
    chosen = st.selectbox(
        "Compared with",
        list(by_name),
        key="diff-against",
        width=260,
        format_func=lambda number: f"{number} · {', '.join(by_name[str(number)].aliases)}".rstrip(" ·"),
        on_change=lambda: urls.put("against", st.session_state["diff-against"]),
    )
    return by_name[str(chosen)]


def _files(changes: Sequence[FileChange]) -> None:
    table(
        [
            Column("how", "Change"),
            Column("path", "File", pin=True),
            Column("before", "Before", kind="number"),
            Column("after", "After", kind="number"),
            Column("mime", "Type", kind="muted"),
        ],
        [_file_row(change) for change in changes[:_SHOWN]],
        key="artifact-diff",
        label="Files that differ",
        on_open=lambda path, _column: urls.put("diff-file", path),
        max_height="24rem",
    )
    if len(changes) > _SHOWN:
        st.caption(f"The first {formats.count(_SHOWN)} of {formats.plural(len(changes), 'file')} that differ.")


def _file_row(change: FileChange) -> Row:
    file = change.after or change.before
    moved = f" (moved from {change.moved_from})" if change.moved_from else ""
    readable = change.before and change.after and preview.look_of(change.path, file.mime if file else "") in _TEXTS
    href = urls.page_link("artifacts", **st.query_params.to_dict() | {"diff-file": change.path}) if readable else ""
    return Row(
        change.path,
        (
            Cell(_SIGNS[change.how]),
            Cell(formats.middle_cut(f"{change.path}{moved}", 80), f"{change.path}{moved}", href=href),
            _size(change.before),
            _size(change.after),
            Cell(file.mime if file else ""),
        ),
    )


def _size(file: ArtifactFile | None) -> Cell:
    return (
        Cell("–", mark="absent") if file is None else Cell(formats.size(file.size), f"{formats.count(file.size)} bytes")
    )


def _text(changes: Sequence[FileChange]) -> None:
    """The chosen text file of both, beside each other."""
    chosen = next((change for change in changes if change.path == urls.get("diff-file")), None)
    if chosen is None or chosen.before is None or chosen.after is None:
        return
    st.html(f'<div class="rs-section"><b>{in_html(chosen.path)}</b></div>')
    try:
        old = artifact_data.text_head(chosen.before.sha256).text
        new = artifact_data.text_head(chosen.after.sha256).text
    except (StorageError, UiError) as error:
        st.html(f'<div class="rs-wrong" role="alert"><p>{in_html(error)}</p></div>')
        return
    st.html(diff_html(old, new, left="before", right="after", layout="side by side"))


def _facts(before: ArtifactVersion, after: ArtifactVersion) -> None:
    changes = [change for change in differing(_said(before), _said(after)) if change.how != "same"]
    if not changes:
        st.html('<div class="rs-line">Metadata and description are the same.</div>')
        return
    st.html('<div class="rs-section"><b>Metadata</b></div>')
    table(
        [
            Column("how", "Change"),
            Column("name", "Name", pin=True),
            Column("before", before.version, kind="wrap"),
            Column("after", after.version, kind="wrap"),
        ],
        [_fact_row(change) for change in changes],
        key="metadata-diff",
        label="Metadata that differ",
        max_height="24rem",
    )


def _fact_row(change: Change) -> Row:
    sides = (
        Cell("–", mark="absent") if text is None else Cell(text, mark="differs" if change.how == "changed" else "")
        for text in (change.before, change.after)
    )
    return Row(change.name, (Cell(_SIGNS[change.how]), Cell(formats.middle_cut(change.name, 60), change.name), *sides))


def _said(version: ArtifactVersion) -> dict[str, str]:
    return flat(version.metadata) | ({"description": version.description} if version.description else {})
