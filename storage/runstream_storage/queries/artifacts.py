"""Artifacts: what there is, its versions and their files, and what a run made or read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runstream_storage.execution import moment, rows
from runstream_storage.queries.json_objects import json_object
from runstream_storage.queries.results import (
    ArtifactFile,
    ArtifactLink,
    ArtifactName,
    ArtifactVersion,
    AwaitedArtifact,
    Name,
)

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MANY = 1_000_000
DIGESTS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A folder, whose `path` ends with a slash, or a file; `size` in bytes of the `files` files that it is or holds."""

    path: str
    files: int
    size: int
    file: ArtifactFile | None

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class FileListing:
    """A page of `total` entries, folders first, by name."""

    entries: list[FileEntry]
    total: int


def artifact_names(
    client: Client,
    projects: Sequence[str],
    *,
    type: str = "",
    search: str = "",
    tag: str = "",
    include_deleted: bool = False,
    limit: int = MANY,
    offset: int = 0,
) -> list[ArtifactName]:
    """The artifacts of the projects, the most recently changed first.

    `type` is the type of the newest version, `tag` one that a version has, `search` a part of the name in any case.
    Artifacts of which every version is deleted are left out unless `include_deleted` asks for them.
    """
    found = rows(
        client,
        "artifact_names",
        projects=list(projects),
        type=type,
        search=search,
        tag=tag,
        deleted=int(include_deleted),
        limit=limit,
        offset=offset,
    )
    return [
        ArtifactName(of_project, name, kind, versions, latest, size, moment(newest_us), total)
        for of_project, name, kind, versions, latest, size, newest_us, total in found
    ]


def artifact_tags(client: Client, projects: Sequence[str]) -> list[Name]:
    """The tags of artifact versions, by name; `runs` counts versions."""
    return [Name(tag, versions) for tag, versions in rows(client, "artifact_tags", projects=list(projects))]


def artifact_versions(
    client: Client,
    project: str,
    name: str,
    *,
    search: str = "",
    include_deleted: bool = False,
    limit: int = MANY,
    offset: int = 0,
) -> list[ArtifactVersion]:
    """The versions of an artifact, the newest first, without their files.

    `search` finds what has it in number, digest, aliases, tags, description or metadata, in any case.
    """
    return _versions(
        client, project, [name], search=search, include_deleted=include_deleted, limit=limit, offset=offset
    )


def artifact(
    client: Client, project: str, name: str, version: str = "latest", *, include_deleted: bool = False
) -> ArtifactVersion | None:
    """One version with its files: v3, an alias, a digest or the beginning of one (8 characters at least).

    None when there is none.
    """
    versions = artifact_versions(client, project, name, include_deleted=include_deleted)
    chosen = next(
        (
            known
            for known in versions
            if version in (known.version, known.digest, *known.aliases)
            or (len(version) >= 8 and known.digest.startswith(version))
        ),
        None,
    )
    if chosen is None:
        return None
    found = _versions(
        client, project, [name], digests=[chosen.digest], with_files=True, include_deleted=include_deleted
    )
    return found[0] if found else None


def artifact_files(
    client: Client,
    project: str,
    name: str,
    digest: str,
    *,
    folder: str = "",
    contains: str = "",
    limit: int = 1000,
    offset: int = 0,
) -> FileListing:
    """What lies in `folder` of the version `digest`; or all files below it with `contains` in their paths, in any case.

    An empty listing when there is no such version or folder.
    """
    below = f"{folder.strip('/')}/" if folder.strip("/") else ""
    found = rows(
        client,
        "artifact_files",
        project=project,
        name=name,
        digest=digest,
        folder=below,
        contains=contains,
        limit=limit,
        offset=offset,
    )
    entries = [
        FileEntry(path, files, size, None if is_folder else ArtifactFile(path, sha256, size, mime, ref))
        for path, is_folder, files, size, sha256, mime, ref, _ in found
    ]
    return FileListing(entries, found[0][-1] if found else 0)


def run_artifacts(client: Client, project: str, run_id: str) -> list[ArtifactLink]:
    """What the run made and read, in order of time; versions that were deleted since, too."""
    links = rows(client, "artifact_links", project=project, run_id=run_id)
    known: dict[tuple[str, str, str], ArtifactVersion] = {}
    for holder in sorted({link[5] for link in links if link[2]}):
        names = sorted({link[1] for link in links if link[5] == holder})
        digests = sorted({link[2] for link in links if link[2] and link[5] == holder})
        known |= {(holder, *key): found for key, found in known_versions(client, holder, names, digests).items()}
    return [
        ArtifactLink(
            role=role,
            name=name,
            asked=asked,
            at=moment(ts_us),
            artifact=known.get((holder, name, digest)),
            project=holder,
        )
        for role, name, digest, asked, ts_us, holder in links
    ]


def run_awaited(client: Client, project: str, run_id: str) -> list[AwaitedArtifact]:
    """What the run logged and is not there, in order of time."""
    found = rows(client, "run_awaited", project=project, run_id=run_id)
    return [
        AwaitedArtifact(name, type, files, size, state, reason, moment(us))
        for name, type, files, size, state, reason, us in found
    ]


def known_versions(
    client: Client, project: str, names: Sequence[str], digests: Sequence[str]
) -> dict[tuple[str, str], ArtifactVersion]:
    """The versions with these names and digests by both, deleted ones too, without their files."""
    known: dict[tuple[str, str], ArtifactVersion] = {}
    # No more than fits a parameter of a request.
    for first in range(0, len(digests), DIGESTS_AT_ONCE):
        part = digests[first : first + DIGESTS_AT_ONCE]
        found = _versions(
            client, project, names if len(names) < DIGESTS_AT_ONCE else [], digests=part, include_deleted=True
        )
        known |= {(version.name, version.digest): version for version in found}
    return known


def _versions(
    client: Client,
    project: str,
    names: Sequence[str],
    *,
    digests: Sequence[str] = (),
    with_files: bool = False,
    search: str = "",
    include_deleted: bool = False,
    limit: int = MANY,
    offset: int = 0,
) -> list[ArtifactVersion]:
    found = []
    for row in rows(
        client,
        "artifact_versions",
        project=project,
        names=list(names),
        digests=list(digests),
        with_files=int(with_files),
        search=search,
        deleted=int(include_deleted),
        limit=limit,
        offset=offset,
    ):
        of_project, name, version, digest, kind, aliases, tags, run_id, run_name, created_us, expires_us = row[:11]
        score, deleted, size, n_files, metadata, description, files = row[11:]
        found.append(
            ArtifactVersion(
                project=of_project,
                name=name,
                version=version,
                digest=digest,
                type=kind,
                aliases=tuple(aliases),
                run_id=run_id,
                run_name=run_name,
                created_at=moment(created_us),
                size=size,
                n_files=n_files,
                metadata=json_object(metadata),
                description=description,
                files=tuple(ArtifactFile(*file) for file in files),
                tags=tuple(tags),
                expires_at=moment(expires_us) if expires_us else None,
                score=score,
                deleted=bool(deleted),
            )
        )
    return found
