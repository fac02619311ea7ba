"""What is still needed, for whoever removes what is not: objects that something names, versions that are due."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from runstream.objects import object_key
from runstream_storage.execution import moment, rows, statement, translate
from runstream_storage.queries.console import microseconds

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

FOR_EVER = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NamedObject:
    """An object that an artifact or a media value names; `size` in bytes. `needed`: one that is not deleted does.

    Of one that is not needed any more, `kind` is what named it; that of another may be either.
    """

    sha256: str
    size: int
    needed: bool
    kind: Literal["artifact", "media"]

    @property
    def key(self) -> str:
        return object_key(self.sha256)


@dataclass(frozen=True, slots=True)
class RemovableVersion:
    """A version of an artifact that may be removed, because it expired or because it is not among the best.

    `size` in bytes of all its files, which other versions may share. `rank` is 1 for the best score, None without one.
    """

    project: str
    name: str
    version: str
    digest: str
    size: int
    reason: Literal["expired", "not among the best"]
    expired_at: datetime | None
    score: float | None
    rank: int | None


def named_objects(
    client: Client, *, prefix: str = "", deleted_before: datetime = FOR_EVER
) -> Iterator[list[NamedObject]]:
    """The objects that something names, of all projects, in order of sha256; in lists that are read while you iterate.

    They are needed by versions of artifacts that are not deleted, and by media of runs that are not deleted or that a
    fork shows; a deletion counts when it was made before `deleted_before`. Files that were not copied have no object.
    `prefix` is the beginning of the sha256. An object may be older than its event: spare those of the last day.
    """
    cut = {"prefix": prefix, "deleted_before_us": microseconds(deleted_before)}
    try:
        with client.query_row_block_stream(statement("named_objects"), parameters=cut) as stream:
            for block in stream:
                yield [NamedObject(sha256, size, bool(needed), kind) for sha256, size, needed, kind in block]
    except GeneratorExit:
        raise
    except Exception as error:
        raise translate(error) from error


def named_count(client: Client, *, project: str = "", run_id: str = "") -> int:
    """About how many rows `named_objects` reads; or how many of them are of a project or a run."""
    return int(rows(client, "named_count", project=project, run=run_id)[0][0])


def removable_versions(client: Client, now: datetime, *, projects: Sequence[str] = ()) -> list[RemovableVersion]:
    """The versions that are due at `now`, in order of project, name and version; of all projects unless some are named.

    Never one that has an alias other than `latest`, or is a version of a registered model. How many of the best are
    kept is what the newest version says; a version without a score does not go for its rank.
    """
    found = rows(client, "removable_versions", projects=list(projects), now_us=microseconds(now))
    return [
        RemovableVersion(
            project=project,
            name=name,
            version=version,
            digest=digest,
            size=size,
            reason="expired" if expired_us else "not among the best",
            expired_at=moment(expired_us) if expired_us else None,
            score=None if math.isnan(score) else score,
            rank=rank or None,
        )
        for project, name, version, digest, size, expired_us, score, rank in found
    ]
