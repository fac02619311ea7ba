"""Images, sounds, tables and other media that runs logged, by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from runstream.objects import object_key
from runstream_storage.execution import moment, rows
from runstream_storage.queries.json_objects import json_object
from runstream_storage.queries.shown import Shown, any_rank, window_up_to

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MediaKind = Literal["image", "audio", "video", "table", "html", "figure", "text", "file", "object3d"]

MediaState = Literal["pending", "stored", "lost"]
"""Of the bytes: on their way from the machine that logged them, in the object store, or gone before they were sent."""


@dataclass(frozen=True, slots=True)
class MediaName:
    """A series of media and one of the kinds in it: in how many runs, at how many steps and how many items."""

    name: str
    kind: MediaKind
    runs: int
    steps: int
    items: int
    first_step: int
    last_step: int


@dataclass(frozen=True, slots=True)
class MediaItem:
    """One item; `index` is its place in a list that was logged at once, `size` in bytes, `key` its name in the object
    store. `state` is what its agent said last of the bytes: a store that was emptied since does not change it."""

    run_id: str
    name: str
    rank: int
    step: int
    index: int
    at: datetime
    kind: MediaKind
    sha256: str
    size: int
    mime: str
    caption: str
    metadata: dict[str, Any]
    state: MediaState

    @property
    def key(self) -> str:
        return object_key(self.sha256)


def media_names(
    client: Client,
    project: str,
    run_ids: Sequence[str],
    *,
    kinds: Sequence[MediaKind] = (),
    include_deleted: bool = False,
) -> list[MediaName]:
    """The media of the runs, by name; `kinds` narrows them down."""
    shown = Shown(client, project, run_ids, "media", include_deleted=include_deleted)
    return [MediaName(*row) for row in shown.ask("media_names", kinds=list(kinds))]


def media_steps(
    client: Client,
    project: str,
    run_ids: Sequence[str],
    names: Sequence[str],
    *,
    rank: int | None = None,
    include_deleted: bool = False,
) -> dict[str, list[int]]:
    """The steps at which one of the runs has media, rising, for each of `names`: the stops of a slider."""
    return Shown(client, project, run_ids, "media", include_deleted=include_deleted).steps(names, rank=rank)


def media(
    client: Client,
    project: str,
    run_ids: Sequence[str],
    names: Sequence[str],
    *,
    step: int | None = None,
    exact: bool = False,
    rank: int | None = None,
    limit: int = 1000,
    include_deleted: bool = False,
) -> list[MediaItem]:
    """What each run and rank has at `step`, or at its last step before it; in order of name, run, rank and index.

    `step` None: the newest. With `exact`, a run without media at that very step shows none. Empty `names`: all.
    """
    shown = Shown(client, project, run_ids, "media", include_deleted=include_deleted)
    found = shown.ask("media", names=names, window=window_up_to(step, exact=exact), rank=any_rank(rank), limit=limit)
    states = _states(client, project, shown.source_ids, sorted({row[7] for row in found}))
    return [
        MediaItem(
            run_id=run_id,
            name=name,
            rank=of_rank,
            step=of_step,
            index=index,
            at=moment(ts_us),
            kind=kind,
            sha256=sha256,
            size=size,
            mime=mime,
            caption=caption,
            metadata=json_object(metadata),
            state=states.get(sha256, "pending"),
        )
        for run_id, name, of_rank, of_step, index, ts_us, kind, sha256, size, mime, caption, metadata in found
    ]


def media_states(
    client: Client, project: str, run_ids: Sequence[str], sha256s: Sequence[str], *, include_deleted: bool = False
) -> dict[str, MediaState]:
    """What became of the bytes of these contents, which the runs logged: for cells of tables and masks of images."""
    shown = Shown(client, project, run_ids, "media", include_deleted=include_deleted)
    known = _states(client, project, shown.source_ids, sha256s)
    return {sha256: known.get(sha256, "pending") for sha256 in sha256s}


def _states(client: Client, project: str, run_ids: Sequence[str], sha256s: Sequence[str]) -> dict[str, MediaState]:
    if not run_ids or not sha256s:
        return {}
    found = rows(client, "media_states", project=project, run_ids=list(run_ids), sha256s=list(sha256s))
    return {str(sha256): state for sha256, state in found}
