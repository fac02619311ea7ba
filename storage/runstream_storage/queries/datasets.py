"""Datasets that runs read, and the runs that read the same data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runstream_storage.execution import moment, rows
from runstream_storage.queries.json_objects import json_object

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True, slots=True)
class Dataset:
    """Data that a run read: the same `digest` is the same content, on whatever machine.

    `rows` and `size` (bytes) are None when they are unknown; `profile` is empty when there is none; `schema` is JSON.
    """

    run_id: str
    run_name: str
    name: str
    context: str
    digest: str
    kind: str
    source: str
    rows: int | None
    size: int | None
    schema: str
    profile: dict[str, Any]
    at: datetime


def datasets(client: Client, project: str, run_ids: Sequence[str], *, include_deleted: bool = False) -> list[Dataset]:
    """The datasets of the runs, in order of the runs, context and name."""
    return _datasets(client, project, run_ids, [], include_deleted, 100_000) if run_ids else []


def dataset_runs(client: Client, project: str, digest: str, *, limit: int = 1000) -> list[Dataset]:
    """The runs that read the data with this digest, the last first, as what each of them called it."""
    return _datasets(client, project, [], [digest], False, limit)


def _datasets(
    client: Client, project: str, run_ids: Sequence[str], digests: Sequence[str], include_deleted: bool, limit: int
) -> list[Dataset]:
    found = rows(
        client,
        "datasets",
        project=project,
        run_ids=list(run_ids),
        digests=list(digests),
        deleted=int(include_deleted),
        limit=limit,
    )
    return [
        Dataset(
            run_id=run_id,
            run_name=run_name,
            name=name,
            context=context,
            digest=digest,
            kind=kind,
            source=source,
            rows=None if n_rows < 0 else n_rows,
            size=None if size < 0 else size,
            schema=schema,
            profile=json_object(profile),
            at=moment(ts_us),
        )
        for run_id, run_name, name, context, digest, kind, source, n_rows, size, schema, profile, ts_us in found
    ]
