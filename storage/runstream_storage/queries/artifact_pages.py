"""Artifacts as one table among which people look: filtered, sorted and paged by the database."""

from __future__ import annotations

from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Literal

from runstream_storage.execution import ask, moment, rows, statement
from runstream_storage.queries.results import ArtifactName, Name

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

ArtifactSort = Literal["name", "type", "versions", "size", "total_size", "created"]
_COLUMNS: dict[str, str] = {
    "name": "lowerUTF8(name)",
    "type": "newest_type",
    "versions": "versions",
    "size": "newest_size",
    "total_size": "all_bytes",
    "created": "newest_us",
}


@dataclass(frozen=True, slots=True)
class ArtifactsPage:
    """One page of a project's artifacts, of which `matched` pass the filters."""

    rows: list[ArtifactName]
    matched: int


def artifact_page(
    client: Client,
    project: str,
    *,
    search: str = "",
    type: str = "",
    tag: str = "",
    sort: str = "created",
    descending: bool = True,
    limit: int = 50,
    offset: int = 0,
) -> ArtifactsPage:
    """A page of the artifacts that have a version which is not deleted.

    `search` is a part of name or type in any case, `type` the type of the newest version, `tag` one that a version has.
    `sort` is one of `ArtifactSort`; any other sorts by time. Equal ones are in order of their names.
    """
    order = f"{_COLUMNS.get(sort, 'newest_us')} {'DESC' if descending else 'ASC'}"
    found = ask(
        client,
        Template(statement("artifact_page")).substitute(order=order),
        {"project": project, "search": search, "type": type, "tag": tag, "limit": limit, "offset": offset},
    ).result_rows
    return ArtifactsPage(
        [
            ArtifactName(project, name, kind, versions, latest, size, moment(newest_us), total)
            for name, kind, versions, latest, size, newest_us, total, _ in found
        ],
        found[0][-1] if found else 0,
    )


def artifact_types(client: Client, project: str) -> list[Name]:
    """The types of a project's artifacts, most common first; `runs` counts artifacts."""
    return [Name(kind, artifacts) for kind, artifacts in rows(client, "artifact_types", project=project)]
