"""A look at one file: pictures, sound, tables, code, the tensors of a model, or its first bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal

import pandas as pd
import streamlit as st

from runstream_storage.errors import StorageError
from runstream_storage.queries.results import ArtifactFile
from runstream_ui import artifact_data, formats, preview, urls
from runstream_ui.errors import NotReadable, UiError
from runstream_ui.markup import in_html, in_markdown, user_markdown
from runstream_ui.widgets.table import Cell, Column, Row, table

_PX = 460
_TENSORS = 1_000
_SHORT = 12


def file_preview(file: ArtifactFile) -> None:
    """Name, size and checksum, a download, and what can be seen of the file."""
    name = file.path.rsplit("/", 1)[-1]
    where = (
        f"only referenced: {in_html(file.ref)}"
        if file.ref
        else f'<a href="{in_html(urls.file_link(file.sha256, name))}" download>Download</a>'
    )
    st.html(
        f'<div class="rs-head"><b title="{in_html(file.path)}">{in_html(formats.middle_cut(name, 60))}</b>'
        f'<span class="rs-line">{formats.size(file.size) if file.size >= 0 else ""} · {in_html(file.mime)} · '
        f'<span title="sha256 {in_html(file.sha256)}">{in_html(file.sha256[:12])}</span> · {where}</span></div>'
    )
    if file.ref:
        st.markdown("The artifact holds the address of this file and its checksum, not a copy.")
        st.code(file.ref, language=None)
        return
    if file.size == 0:
        st.markdown("An empty file.")
        return
    look = preview.look_of(file.path, file.mime)
    try:
        _SHOWN.get(look, _text)(file)
    except NotReadable as error:
        st.caption(in_markdown(error))
        _otherwise(file)
    except (UiError, StorageError) as error:
        st.html(f'<div class="rs-wrong" role="alert"><p>{in_html(error)}</p></div>')


def _otherwise(file: ArtifactFile) -> None:
    """As text, and if it is none, the first bytes."""
    try:
        _text(file)
    except NotReadable:
        _binary(file)
    except (UiError, StorageError) as error:
        st.html(f'<div class="rs-wrong" role="alert"><p>{in_html(error)}</p></div>')


def _image(file: ArtifactFile) -> None:
    artifact_data.whole_picture(file.sha256)
    link = urls.image_link(file.sha256, file.path.rsplit("/", 1)[-1])
    st.html(f'<div class="rs-look"><img src="{in_html(link)}" alt="{in_html(file.path)}"></div>')


def _audio(file: ArtifactFile) -> None:
    link = urls.media_link(file.sha256, file.path.rsplit("/", 1)[-1])
    st.html(f'<div class="rs-look"><audio controls preload="metadata" src="{in_html(link)}"></audio></div>')


def _video(file: ArtifactFile) -> None:
    link = urls.media_link(file.sha256, file.path.rsplit("/", 1)[-1])
    st.html(f'<div class="rs-look"><video controls preload="metadata" src="{in_html(link)}"></video></div>')


def _markdown(file: ArtifactFile) -> None:
    head = artifact_data.text_head(file.sha256)
    with st.container(height=_PX, border=True):
        st.markdown(user_markdown(head.text))
    _cut(head, file)


def _json(file: ArtifactFile) -> None:
    text = artifact_data.json_text(file.sha256)
    with st.container(height=_PX, border=True):
        st.json(json.loads(text), expanded=2)


def _csv(file: ArtifactFile) -> None:
    columns, rows, whole = artifact_data.csv_head(file.sha256, file.path)
    if not columns:
        st.markdown("A table without columns.")
        return
    _frame(pd.DataFrame(rows, columns=columns, dtype=str), file)
    more = "" if whole else f"the first {formats.plural(len(rows), 'row')}; download it for the rest"
    st.caption(more or formats.plural(len(rows), "row"))


def _parquet(file: ArtifactFile) -> None:
    head, rows = artifact_data.parquet_head(file.sha256)
    _frame(head.to_pandas(), file)
    shown = f"the first {head.num_rows} of " if head.num_rows < rows else ""
    st.caption(f"{shown}{formats.plural(rows, 'row')}, {formats.plural(head.num_columns, 'column')}")


def _frame(frame: pd.DataFrame, file: ArtifactFile) -> None:
    height: Literal["auto"] | int = "auto" if len(frame) <= _SHORT else _PX
    st.dataframe(frame, hide_index=True, height=height, key=f"head-{file.sha256[:16]}", alt=f"Head of {file.path}")


def _tensors(file: ArtifactFile) -> None:
    found = artifact_data.tensors(file.sha256)
    values = 0
    rows = []
    for tensor in found:
        size = 1
        for extent in tensor.shape:
            size *= extent
        values += size
        shape = " × ".join(map(str, tensor.shape)) or "scalar"
        cells = (Cell(formats.middle_cut(tensor.name, 60), tensor.name), Cell(tensor.dtype), Cell(shape))
        rows.append(Row(tensor.name, (*cells, Cell(formats.count(size)))))
    table(
        [Column("name", "Tensor"), Column("dtype", "Type"), Column("shape", "Shape"), Column("n", "Values", "number")],
        rows[:_TENSORS],
        key=f"tensors-{file.sha256[:16]}",
        label=f"Tensors of {file.path}",
        max_height=f"{_PX}px",
    )
    more = f", the first {formats.count(_TENSORS)} shown" if len(found) > _TENSORS else ""
    st.caption(f"{formats.plural(len(found), 'tensor')}, {formats.count(values)} values{more}")


def _text(file: ArtifactFile) -> None:
    head = artifact_data.text_head(file.sha256)
    st.code(head.text, language=preview.language_of(file.path), line_numbers=True, height=_PX)
    _cut(head, file)


def _binary(file: ArtifactFile) -> None:
    st.code(artifact_data.hex_head(file.sha256), language=None)
    st.caption("The first bytes.")


def _cut(head: preview.Head, file: ArtifactFile) -> None:
    if not head.whole:
        st.caption(f"The first {formats.size(len(head.text.encode()))} of {formats.size(file.size)}.")


_SHOWN: dict[preview.Look, Callable[[ArtifactFile], None]] = {
    "image": _image,
    "audio": _audio,
    "video": _video,
    "markdown": _markdown,
    "json": _json,
    "csv": _csv,
    "parquet": _parquet,
    "tensors": _tensors,
}
