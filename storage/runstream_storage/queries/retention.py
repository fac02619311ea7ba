"""What is still needed, for whoever removes what is not: objects that something names, versions that are due."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from runstream_storage.execution import moment, rows, statement, translate
from runstream_storage.queries.console import microseconds

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True, slots=True)
class LiveObject:
    """An object that an artifact or a media value names; `size` in bytes."""

    sha256: str
    size: int

    @property
    def key(self) -> str:
        return f"sha256/{self.sha256[:2]}/{self.sha256}"


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


def live_objects(client: Client, *, prefix: str = "") -> Iterator[list[LiveObject]]:
    """The objects that are still needed, of all projects, in order of sha256; in lists that are read while you iterate.

    They are named by versions of artifacts that are not deleted, and by media of runs that are not deleted or that a
    fork shows. Files that were not copied have no object. `prefix` is the beginning of the sha256. An object may be
    younger than its event: spare those of the last day.
    """
    try:
        with client.query_row_block_stream(statement("live_objects"), parameters={"prefix": prefix}) as stream:
            for block in stream:
                yield [LiveObject(sha256, size) for sha256, size in block]
    except GeneratorExit:
        raise
    except Exception as error:
        raise translate(error) from error


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
