"""Runs that people deleted, which can be restored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from runstream_storage.execution import moment, rows

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True, slots=True)
class DeletedRun:
    """Who started it, and who deleted it."""

    run_id: str
    name: str
    created_at: datetime
    deleted_at: datetime
    user: str
    deleted_by: str


@dataclass(frozen=True, slots=True)
class Trash:
    """A page of the deleted runs, `total` in all."""

    runs: list[DeletedRun]
    total: int


def trash(client: Client, project: str, *, search: str = "", limit: int = 100, offset: int = 0) -> Trash:
    """The runs of a project that are deleted, the last first; `search` is a part of the name in any case."""
    found = rows(client, "trash", project=project, search=search, limit=limit, offset=offset)
    return Trash(
        [
            DeletedRun(run_id, name, moment(started_us), moment(deleted_us), user, actor)
            for run_id, name, started_us, deleted_us, user, actor, _ in found
        ],
        found[0][-1] if found else 0,
    )
