"""As `data`, of artifacts and their files, lineage, models, and who changed what."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import streamlit as st

from runstream_storage import queries
from runstream_storage.queries import (
    ArtifactsPage,
    AuditPage,
    AuditPlace,
    Dataset,
    Environment,
    FileListing,
    Lineage,
    LineageKey,
    LineageNode,
    Model,
    ModelChange,
    ModelVersion,
    SavedView,
    Trash,
)
from runstream_storage.queries.results import ArtifactFile, ArtifactVersion, Name
from runstream_ui import data, objects, preview
from runstream_ui.data import client

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

_LIVE_S, _LISTED_S, _LASTING_S = 3, 10, 600
# What a file holds follows from its sha256: looks at it are kept as long as there is room.
_LOOKS = 64
_PATCH = "diff.patch"
_DIGITS = 8  # of a digest, at least, in a link
_NEIGHBOURS = 500


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def artifacts(
    project: str, search: str, kind: str, tag: str, sort: str, descending: bool, limit: int, offset: int
) -> ArtifactsPage:
    return queries.artifact_page(
        client(),
        project,
        search=search,
        type=kind,
        tag=tag,
        sort=sort,
        descending=descending,
        limit=limit,
        offset=offset,
    )


@st.cache_data(ttl=_LISTED_S, show_spinner=False, max_entries=64)
def types(project: str) -> list[Name]:
    return queries.artifact_types(client(), project)


@st.cache_data(ttl=_LISTED_S, show_spinner=False, max_entries=64)
def artifact_tags(project: str) -> list[Name]:
    return queries.artifact_tags(client(), [project])


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def versions(
    project: str, name: str, *, search: str = "", deleted: bool = False, limit: int = 100, offset: int = 0
) -> list[ArtifactVersion]:
    """A page of an artifact's versions, the newest first, without their files."""
    return queries.artifact_versions(
        client(), project, name, search=search, include_deleted=deleted, limit=limit, offset=offset
    )


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def version(project: str, name: str, asked: str) -> ArtifactVersion | None:
    """The version that a link means by number, alias or (the beginning of) a digest, deleted ones too, without its
    files; the newest for an empty `asked`."""
    if not asked:
        newest = versions(project, name, limit=1) or versions(project, name, deleted=True, limit=1)
        return newest[0] if newest else None
    near = queries.artifact_versions(client(), project, name, search=asked, include_deleted=True)
    exact = [known for known in near if asked in (known.version, known.digest, *known.aliases)]
    begun = [known for known in near if len(asked) >= _DIGITS and known.digest.startswith(asked)]
    return next(iter(exact or begun), None)


@st.cache_data(ttl=_LASTING_S, show_spinner=False, max_entries=16)
def all_files(project: str, name: str, digest: str) -> tuple[ArtifactFile, ...]:
    """Every file of a version: what it holds follows from its digest."""
    found = queries.artifact(client(), project, name, digest, include_deleted=True)
    return found.files if found else ()


@st.cache_data(ttl=_LASTING_S, show_spinner=False, max_entries=256)
def files(
    project: str, name: str, digest: str, *, folder: str = "", contains: str = "", limit: int, offset: int
) -> FileListing:
    """A page of a directory of a version, or of what has `contains` in its path."""
    return queries.artifact_files(
        client(), project, name, digest, folder=folder, contains=contains, limit=limit, offset=offset
    )


@st.cache_data(ttl=_LASTING_S, show_spinner=False, max_entries=256)
def file(project: str, name: str, digest: str, path: str) -> ArtifactFile | None:
    """The file at `path` of a version."""
    folder = path.rpartition("/")[0]
    found = queries.artifact_files(client(), project, name, digest, folder=folder, contains=path)
    return next((entry.file for entry in found.entries if entry.file is not None and entry.path == path), None)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def lineage(project: str, root: LineageKey, depth: int, limit: int) -> Lineage:
    return queries.lineage(client(), project, root, upstream=depth, downstream=depth, limit=limit)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def uses(project: str, name: str, digest: str) -> list[tuple[LineageNode, bool]]:
    """The runs next to a version; whether it was they who made it."""
    root = LineageKey("artifact", name, digest, project)
    found = queries.lineage(client(), project, root, upstream=1, downstream=1, limit=_NEIGHBOURS)
    made = {edge.source for edge in found.edges if edge.target == root}
    return [(node, node.key in made) for node in found.nodes if node.kind == "run"]


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def models(project: str, search: str, deleted: bool) -> list[Model]:
    return queries.models(client(), [project], search=search, include_deleted=deleted)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def model_versions(project: str, model: str) -> list[ModelVersion]:
    """All versions, deleted ones too, the newest first."""
    return queries.model_versions(client(), project, model, include_deleted=True)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def model_history(project: str, model: str) -> list[ModelChange]:
    return queries.model_history(client(), project, model)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def audit(
    project: str,
    *,
    run_ids: tuple[str, ...] = (),
    subjects: tuple[str, ...] = (),
    kinds: tuple[str, ...] = (),
    actor: str = "",
    before: AuditPlace | None = None,
    limit: int = 100,
) -> AuditPage:
    return queries.audit(
        client(), project, run_ids=run_ids, subjects=subjects, kinds=kinds, actor=actor, before=before, limit=limit
    )


@st.cache_data(ttl=_LISTED_S, show_spinner=False, max_entries=64)
def actors(project: str) -> list[Name]:
    return queries.audit_actors(client(), project)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def trash(project: str, search: str, limit: int, offset: int) -> Trash:
    return queries.trash(client(), project, search=search, limit=limit, offset=offset)


@st.cache_data(ttl=_LISTED_S, show_spinner=False, max_entries=64)
def saved_views(project: str) -> list[SavedView]:
    return queries.saved_views(client(), project)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def datasets(project: str, run_ids: tuple[str, ...]) -> list[Dataset]:
    return queries.datasets(client(), project, run_ids)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=32)
def environments(project: str, run_ids: tuple[str, ...]) -> dict[str, Environment]:
    return queries.environments(client(), project, run_ids)


@st.cache_data(ttl=_LASTING_S, show_spinner=False, max_entries=32)
def patch(project: str, run_id: str) -> str:
    """The uncommitted changes that a run was started with; empty without."""
    for link in data.run_artifacts(project, run_id):
        if link.role == "out" and link.artifact is not None and link.artifact.type == "code":
            found = file(project, link.name, link.artifact.digest, _PATCH)
            if found is not None:
                return text_head(found.sha256, limit=1 << 20).text
    return ""


@st.cache_data(ttl=_LASTING_S, show_spinner=False, max_entries=_LOOKS)
def text_head(sha256: str, *, limit: int = preview.TEXT_BYTES) -> preview.Head:
    return _read(sha256, lambda source, size: preview.text_head(source, size, limit=limit))


@st.cache_data(ttl=_LASTING_S, show_spinner=False, max_entries=_LOOKS)
def json_text(sha256: str) -> str:
    """The document, checked to be JSON, in one line."""
    return json.dumps(_read(sha256, preview.json_value))


@st.cache_data(ttl=_LASTING_S, show_spinner=False, max_entries=_LOOKS)
def csv_head(sha256: str, path: str) -> tuple[list[str], list[list[str]], bool]:
    return _read(sha256, lambda source, size: preview.csv_head(source, size, path))


@st.cache_data(ttl=_LASTING_S, show_spinner=False, max_entries=_LOOKS)
def parquet_head(sha256: str) -> tuple[pa.Table, int]:
    return _read(sha256, preview.parquet_head)


@st.cache_data(ttl=_LASTING_S, show_spinner=False, max_entries=_LOOKS)
def tensors(sha256: str) -> list[preview.Tensor]:
    return _read(sha256, lambda source, _size: preview.tensors(source))


@st.cache_data(ttl=_LASTING_S, show_spinner=False, max_entries=_LOOKS)
def whole_picture(sha256: str) -> None:
    """Raises NotReadable for one that a browser would leave blank."""
    _read(sha256, preview.whole_picture)


@st.cache_data(ttl=_LASTING_S, show_spinner=False, max_entries=_LOOKS)
def hex_head(sha256: str) -> str:
    return _read(sha256, lambda source, _size: preview.hex_head(source))


def _read(sha256: str, read: Callable[[BinaryIO, int], T]) -> T:
    size, source = objects.open_file(sha256)
    with source:
        return read(source, size)
