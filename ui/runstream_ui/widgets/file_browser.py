"""The files of an artifact version: directories, search, downloads of one or many, and a look at the chosen one."""

from __future__ import annotations

import streamlit as st

from runstream_storage.queries import FileEntry
from runstream_storage.queries.results import ArtifactVersion
from runstream_ui import artifact_data, formats, urls
from runstream_ui.archives import archive_link
from runstream_ui.markup import in_html, in_markdown
from runstream_ui.widgets.file_preview import file_preview
from runstream_ui.widgets.table import Cell, Column, Row, table

_PAGE = 200
_PICKED = "picked-files"
_MAX_PICKED = 100


@st.fragment(key="file-browser")
def file_browser(version: ArtifactVersion) -> None:
    """Directory, search and chosen file are in the address: `in`, `find`, `file`, `files-page`."""
    if not version.n_files:
        st.markdown("This version has no files: it holds metadata only.")
        return
    left, right = st.columns([1, 1.15], gap="medium")
    with left:
        _list(version)
    with right:
        path = urls.get("file")
        file = artifact_data.file(version.project, version.name, version.digest, path) if path else None
        if file is not None:
            file_preview(file)
        elif path:
            st.markdown(f"This version has no file **{in_markdown(formats.middle_cut(path, 80))}**.")
        else:
            st.html('<div class="rs-hollow">Choose a file to look at it here.</div>')


def _list(version: ArtifactVersion) -> None:
    search = st.text_input(
        "Search files",
        key="find",
        type="search",
        placeholder="Search all paths",
        icon=":material/search:",
        live="250ms",
        label_visibility="collapsed",
        bind="query-params",
    )
    search, folder = (search or "").strip(), "" if search else urls.get("in")
    number = urls.get_int("files-page", 1, 1, 1_000_000)
    found = artifact_data.files(
        version.project,
        version.name,
        version.digest,
        folder="" if search else folder,
        contains=search,
        limit=_PAGE,
        offset=(number - 1) * _PAGE,
    )
    if search:
        of_all = f"{formats.plural(found.total, 'file')} of {formats.count(version.n_files)}"
        st.html(f'<div class="rs-line" role="status">{of_all}</div>')
    else:
        _way_back(version, folder)
    if not found.entries:
        st.markdown(f"No file has **{in_markdown(search)}** in its path." if search else "Nothing lies here.")
        return
    table(
        [Column("name", "File", pin=True), Column("size", "Size", kind="number"), Column("mime", "Type", kind="muted")],
        [_row(entry, whole=bool(search)) for entry in found.entries],
        key=f"files-{version.digest[:16]}",
        label=f"Files of {version.name} {version.version}",
        selected=_picked(version),
        on_select=lambda paths: _pick(version, paths),
        on_open=_open,
        max_height="min(60vh, 40rem)",
    )
    pages = -(-found.total // _PAGE)
    if pages > 1:
        st.session_state["files-page-number"] = min(number, pages)
        st.pagination(pages, key="files-page-number", on_change=_turn_page)
    _downloads(version)


def _row(entry: FileEntry, *, whole: bool) -> Row:
    size = Cell(formats.size(entry.size), f"{formats.count(entry.size)} bytes")
    if entry.file is None:
        folder = entry.path.rstrip("/")
        name = Cell(f"{formats.middle_cut(entry.name, 44)}/", f"Open {entry.path}", href=_link(folder, ""))
        return Row(entry.path, (name, size, Cell(formats.plural(entry.files, "file"))), label=f"directory {entry.name}")
    shown = entry.path if whole else entry.name
    name = Cell(formats.middle_cut(shown, 48), entry.path, href=_link(urls.get("in"), entry.path))
    mime = entry.file.mime
    kind = Cell("reference", entry.file.ref) if entry.file.ref else Cell(mime.removeprefix("application/"), mime)
    return Row(entry.path, (name, size, kind), label=shown)


def _link(folder: str, file: str) -> str:
    """Where a new tab would lead: this page with another directory or file."""
    kept = {name: value for name, value in st.query_params.items() if name not in ("in", "file", "files-page")}
    where = {name: value for name, value in (("in", folder), ("file", file)) if value}
    return urls.page_link("artifacts", **kept, **where)


def _way_back(version: ArtifactVersion, folder: str) -> None:
    parts = [part for part in folder.split("/") if part]
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="file-path"):
        if not parts:
            total = f"{formats.plural(version.n_files, 'file')}, {formats.size(version.size)}"
            st.html(f'<div class="rs-line">{total}</div>')
            return
        st.button("All files", type="tertiary", key="file-root", on_click=_enter, args=("",), icon=":material/home:")
        for place, name in enumerate(parts):
            path = "/".join(parts[: place + 1])
            st.html('<span class="rs-line" aria-hidden="true">/</span>', width="content")
            label = in_markdown(formats.middle_cut(name, 24))
            st.button(label, type="tertiary", key=f"up:{path}", on_click=_enter, args=(path,))


def _open(row: str, _column: str) -> None:
    if row.endswith("/"):
        _enter(row.rstrip("/"))
    else:
        urls.put("file", row)


def _enter(path: str) -> None:
    urls.put("in", path)
    urls.put("files-page", "")


def _turn_page() -> None:
    urls.put("files-page", str(st.session_state["files-page-number"]))


def _picked(version: ArtifactVersion) -> list[str]:
    digest, paths = st.session_state.get(_PICKED, ("", []))
    return list(paths) if digest == version.digest else []


def _pick(version: ArtifactVersion, paths: list[str]) -> None:
    st.session_state[_PICKED] = (version.digest, paths)


def _downloads(version: ArtifactVersion) -> None:
    picked = _picked(version)
    everything = archive_link(version.project, version.name, version.digest)
    parts = [f'<a href="{in_html(everything)}" download>All files as ZIP</a> ({formats.size(version.size)})']
    if len(picked) > _MAX_PICKED:
        parts.append(f"at most {_MAX_PICKED} chosen files at once; choose a directory, or take all")
    elif picked:
        link = archive_link(version.project, version.name, version.digest, picked)
        parts.insert(0, f'<a href="{in_html(link)}" download>The {len(picked)} chosen as ZIP</a>')
    st.html(f'<div class="rs-line rs-forks">{" · ".join(parts)}</div>')
