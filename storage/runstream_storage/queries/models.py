"""Registered models: what there is, their versions, and what was done to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from runstream import identity
from runstream_storage.execution import moment, rows

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

NO_RUN = str(identity.NO_RUN)


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model; `stages` and `aliases` are pairs of a name and the version (v1, v2, …) that has it.

    `latest` is empty when all versions are deleted.
    """

    project: str
    name: str
    versions: int
    latest: str
    stages: tuple[tuple[str, str], ...]
    aliases: tuple[tuple[str, str], ...]
    tags: tuple[str, ...]
    description: str
    created_at: datetime
    changed_at: datetime
    changed_by: str
    deleted: bool


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of an artifact as a version of a model: the last word of each attribute.

    `artifact_project` has the artifact, and the run that made it: mostly the project of the model. `artifact_version`
    and `run_id`, that run, are empty when the artifact is not known here; `note` is the newest one.
    """

    project: str
    model: str
    version: str
    artifact_project: str
    artifact: str
    artifact_version: str
    digest: str
    stage: str
    aliases: tuple[str, ...]
    tags: tuple[str, ...]
    verdict: Literal["", "approved", "rejected"]
    description: str
    note: str
    registered_at: datetime
    registered_by: str
    changed_at: datetime
    changed_by: str
    run_id: str
    run_name: str
    deleted: bool


@dataclass(frozen=True, slots=True)
class ModelChange:
    """Somebody did `action` to a version of a model, or to the model itself, whose `version` is empty."""

    at: datetime
    actor: str
    action: str
    version: str
    artifact_project: str
    artifact: str
    digest: str
    value: str
    note: str


def models(client: Client, projects: Sequence[str], *, search: str = "", include_deleted: bool = False) -> list[Model]:
    """The models of the projects, the most recently changed first; `search` is a part of name, description or tag."""
    found = rows(client, "models", projects=list(projects), search=search, deleted=int(include_deleted))
    return [
        Model(
            project=project,
            name=name,
            versions=versions,
            latest=latest,
            stages=tuple(tuple(pair) for pair in stages),
            aliases=tuple(tuple(pair) for pair in aliases),
            tags=tuple(tags),
            description=description,
            created_at=moment(created_us),
            changed_at=moment(changed_us),
            changed_by=changed_by,
            deleted=bool(deleted),
        )
        for (
            project,
            name,
            versions,
            latest,
            stages,
            aliases,
            tags,
            description,
            created_us,
            changed_us,
            changed_by,
            deleted,
        ) in found
    ]


def model_versions(client: Client, project: str, model: str, *, include_deleted: bool = False) -> list[ModelVersion]:
    """The versions of a model, the newest first; empty when there is no such model."""
    found = []
    for row in rows(client, "model_versions", project=project, model=model, deleted=int(include_deleted)):
        version, holder, artifact, artifact_version, digest, stage, aliases, tags, verdict, description = row[:10]
        note, registered_us, registered_by, changed_us, changed_by, run_id, run_name, deleted = row[10:]
        found.append(
            ModelVersion(
                project=project,
                model=model,
                version=version,
                artifact_project=holder,
                artifact=artifact,
                artifact_version=artifact_version,
                digest=digest,
                stage=stage,
                aliases=tuple(aliases),
                tags=tuple(tags),
                verdict=verdict,
                description=description,
                note=note,
                registered_at=moment(registered_us),
                registered_by=registered_by,
                changed_at=moment(changed_us),
                changed_by=changed_by,
                run_id="" if run_id == NO_RUN else run_id,
                run_name=run_name,
                deleted=bool(deleted),
            )
        )
    return found


def model_version(client: Client, project: str, model: str, version: str = "") -> ModelVersion | None:
    """One version that is not deleted: v3, an alias, or the newest one in a stage; empty or `latest`: the newest.

    A number goes before an alias, an alias before a stage. None when there is none.
    """
    known = model_versions(client, project, model)
    by_alias = [one for one in known if version in one.aliases]
    found = (
        [one for one in known if version == one.version]
        or by_alias
        or [one for one in known if version and version == one.stage]
        or (known if version in ("", "latest") else [])
    )
    return found[0] if found else None


def model_history(client: Client, project: str, model: str, *, limit: int = 1000) -> list[ModelChange]:
    """What was done to a model, the newest first."""
    return [
        ModelChange(moment(ts_us), *what)
        for ts_us, *what in rows(client, "model_history", project=project, model=model, limit=limit)
    ]
