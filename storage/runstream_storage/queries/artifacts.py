"""Artifacts: what there is, its versions, and what a run made or read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runstream_storage.execution import moment, rows
from runstream_storage.queries.results import ArtifactFile, ArtifactLink, ArtifactName, ArtifactVersion

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def artifact_names(client: Client, projects: Sequence[str], *, type: str = "") -> list[ArtifactName]:
    """The artifacts of the projects, the most recently changed first; `type` narrows them down."""
    found = rows(client, "artifact_names", projects=list(projects), type=type)
    return [
        ArtifactName(of_project, name, kind, versions, latest, size, moment(newest_us))
        for of_project, name, kind, versions, latest, size, newest_us in found
    ]


def artifact_versions(client: Client, project: str, name: str) -> list[ArtifactVersion]:
    """All versions of an artifact, the newest first, without their files."""
    return _versions(client, project, [name])


def artifact(client: Client, project: str, name: str, version: str = "latest") -> ArtifactVersion | None:
    """One version with its files: v3, an alias, a digest or the beginning of one (8 characters at least).

    None when there is none.
    """
    versions = artifact_versions(client, project, name)
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
    found = _versions(client, project, [name], digests=[chosen.digest], with_files=True)
    return found[0] if found else None


def run_artifacts(client: Client, project: str, run_id: str) -> list[ArtifactLink]:
    """What the run made and read, in order of time."""
    links = rows(client, "artifact_links", project=project, run_id=run_id)
    known: dict[tuple[str, str], ArtifactVersion] = {}
    if links:
        names = sorted({link[1] for link in links})
        digests = sorted({link[2] for link in links if link[2]})
        known = {(v.name, v.digest): v for v in _versions(client, project, names, digests=digests)}
    return [
        ArtifactLink(role=role, name=name, asked=asked, at=moment(ts_us), artifact=known.get((name, digest)))
        for role, name, digest, asked, ts_us in links
    ]


def _versions(
    client: Client, project: str, names: Sequence[str], *, digests: Sequence[str] = (), with_files: bool = False
) -> list[ArtifactVersion]:
    found = []
    for row in rows(
        client,
        "artifact_versions",
        project=project,
        names=list(names),
        digests=list(digests),
        with_files=int(with_files),
    ):
        of_project, name, version, digest, kind, aliases, run_id, run_name, created_us, size, n_files = row[:11]
        metadata, description, files = row[11:]
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
                metadata=_metadata(metadata),
                description=description,
                files=tuple(ArtifactFile(*file) for file in files),
            )
        )
    return found


def _metadata(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
