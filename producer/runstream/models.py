"""The model registry: named models, whose versions are versions of artifacts, with aliases, stages and a history.

`run.register_model(...)` enters a version from a run; these functions do without one. `model` is a name with what
follows a colon: `resnet:v2`, `resnet:prod` (an alias), `resnet@production` (the newest version in a stage); alone, the
newest version. Each change is an event with an actor, and what it was given back can be waited for.

Reading raises LookupFailed (no answer) and ModelNotFound; changing raises EditRefused, too.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstream.errors import ModelNotFound
from runstream.identity import NO_RUN
from runstream.lookup import ask, database_url
from runstream.settings import Settings
from runstream.versions import ArtifactVersion

if TYPE_CHECKING:
    from runstream.edits import Edited, ModelEdit

LOOKUP_S = 30.0
_MODELS = """
SELECT model, versions, latest, stages, aliases, tags, description, toUnixTimestamp64Micro(changed_at) AS changed_us,
       changed_by
FROM v_models
WHERE project = {project:String} AND deleted = 0
ORDER BY model
"""
_VERSIONS = """
SELECT model, version, artifact_project, artifact, artifact_version, digest, stage, aliases, tags, verdict, description,
       note,
       toUnixTimestamp64Micro(registered_at) AS registered_us, registered_by,
       toUnixTimestamp64Micro(changed_at) AS changed_us, changed_by, run_id, run_name, deleted = 1 AS deleted
FROM v_model_versions
WHERE project = {project:String} AND model = {model:String}
ORDER BY toUInt32OrZero(substring(version, 2)) DESC
"""
_HISTORY = """
SELECT ts_us AS at_us, actor, action, artifact_project, artifact, digest, value, note, toString(run_id) AS run_id
FROM model_events FINAL
WHERE project = {project:String} AND model = {model:String}
ORDER BY ts_us, writer, action
"""
NIL = str(NO_RUN)


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    """A registered model. `stages` and `aliases`: each with the version that it means; times in microseconds."""

    name: str
    versions: int
    latest: str
    stages: dict[str, str]
    aliases: dict[str, str]
    tags: tuple[str, ...]
    description: str
    changed_us: int
    changed_by: str


@dataclasses.dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model. Times in microseconds since 1970."""

    project: str
    model: str
    version: str
    """`v1`, `v2`, … in the order of registration."""
    artifact_project: str
    """Which has the artifact: `project`, or another one."""
    artifact: str
    artifact_version: str
    digest: str
    stage: str
    aliases: tuple[str, ...]
    tags: tuple[str, ...]
    verdict: str
    """`approved`, `rejected`, or empty: the last word."""
    description: str
    note: str
    """The newest one."""
    registered_us: int
    registered_by: str
    changed_us: int
    changed_by: str
    run_id: str
    """Of the run that made the artifact; empty when it was made outside a run."""
    run_name: str
    deleted: bool
    settings: Settings = dataclasses.field(repr=False, compare=False)

    def files(self) -> ArtifactVersion:
        """The version of the artifact, to look at or to download."""
        return ArtifactVersion(self.settings, self.artifact_project, self.artifact, self.digest)

    def download(self, directory: str | os.PathLike[str] | None = None, **how: Any) -> Path:
        """As `ArtifactVersion.download`."""
        return self.files().download(directory, **how)


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One entry of a model's history, oldest first."""

    at_us: int
    actor: str
    action: str
    version: str
    """Which version was meant, or empty: the model."""
    value: str
    note: str
    run_id: str
    """The run that did it, or empty."""


def ls(*, project: str | None = None, settings: Settings | None = None) -> list[Model]:
    """The models of a project (default: that of the environment), by name."""
    chosen = settings or Settings.from_env(os.environ)
    return [
        Model(
            name=row["model"],
            versions=int(row["versions"]),
            latest=row["latest"],
            stages=dict(map(_pair, row["stages"])),
            aliases=dict(map(_pair, row["aliases"])),
            tags=tuple(row["tags"]),
            description=row["description"],
            changed_us=int(row["changed_us"]),
            changed_by=row["changed_by"],
        )
        for row in _ask(chosen, project, _MODELS, {})
    ]


def versions(
    model: str, *, project: str | None = None, deleted: bool = False, settings: Settings | None = None
) -> list[ModelVersion]:
    """The versions of a model, the newest first, with `deleted` also those that were deleted; empty: no such model."""
    chosen = settings or Settings.from_env(os.environ)
    found = []
    for row in _ask(chosen, project, _VERSIONS, {"model": model}):
        run_id = str(row.pop("run_id"))
        row.update(aliases=tuple(row["aliases"]), tags=tuple(row["tags"]), deleted=bool(row["deleted"]))
        row.update(run_id="" if run_id == NIL else run_id, project=project or chosen.project, settings=chosen)
        found.append(ModelVersion(**row))
    return found if deleted else [version for version in found if not version.deleted]


def get(
    model: str, *, project: str | None = None, deleted: bool = False, settings: Settings | None = None
) -> ModelVersion:
    """One version: `resnet`, `resnet:v2`, `resnet:prod`, `resnet:<digest>` or `resnet@production`."""
    name, separator, asked = model.partition(":") if ":" in model else model.partition("@")
    for version in versions(name, project=project, deleted=deleted, settings=settings):
        by_stage = separator == "@" and version.stage == asked.lower()
        named = (version.version, version.digest, *version.aliases)
        if not asked or asked == "latest" or by_stage or (separator == ":" and asked in named):
            return version
    raise ModelNotFound(model, project or (settings or Settings.from_env(os.environ)).project)


def history(model: str, *, project: str | None = None, settings: Settings | None = None) -> list[Change]:
    """All that was done with a model, oldest first; empty: no such model."""
    name = model.partition(":")[0]
    known = {
        (one.artifact_project, one.artifact, one.digest): one.version
        for one in versions(name, project=project, deleted=True, settings=settings)
    }
    return [
        Change(
            at_us=int(row["at_us"]),
            actor=row["actor"],
            action=row["action"],
            version=known.get((row["artifact_project"], row["artifact"], row["digest"]), ""),
            value=row["value"],
            note=row["note"],
            run_id="" if row["run_id"] == NIL else row["run_id"],
        )
        for row in _ask(settings or Settings.from_env(os.environ), project, _HISTORY, {"model": name})
    ]


def register(
    artifact: ArtifactVersion | str,
    model: str,
    *,
    aliases: Iterable[str] = (),
    stage: str | None = None,
    note: str = "",
    project: str | None = None,
    settings: Settings | None = None,
    actor: str = "",
) -> Edited:
    """Enter a version of an artifact as the next version of `model`. Raises ArtifactError, too.

    `name:version`, or `other-project/name:version` where this project has no artifact of that whole name.
    """
    from runstream.edits import Editor, ModelEdit
    from runstream.registration import registration

    chosen = settings or Settings.from_env(os.environ)
    of = project or chosen.project
    bodies = registration(chosen, of, artifact, model, aliases, stage, note)
    fields = ModelEdit._fields
    return Editor(chosen, actor).edit_models(
        of, [ModelEdit(**{name: body[name] for name in fields}) for body in bodies]
    )


def promote(model: str, stage: str, *, note: str = "", **how: Any) -> Edited:
    """Put a version into a stage (`staging`, `production`, …; empty: out of all). Others stay in theirs."""
    return _change(model, "stage", [stage], note, **how)


def alias(model: str, *aliases: str, note: str = "", **how: Any) -> Edited:
    """Point aliases at a version; each moves away from where it pointed."""
    return _change(model, "alias", aliases, note, **how)


def unalias(model: str, *aliases: str, note: str = "", **how: Any) -> Edited:
    return _change(model, "unalias", aliases, note, **how)


def tag(model: str, *tags: str, note: str = "", **how: Any) -> Edited:
    return _change(model, "tag", tags, note, **how)


def untag(model: str, *tags: str, note: str = "", **how: Any) -> Edited:
    return _change(model, "untag", tags, note, **how)


def approve(model: str, note: str = "", **how: Any) -> Edited:
    return _change(model, "approve", [""], note, **how)


def reject(model: str, note: str = "", **how: Any) -> Edited:
    return _change(model, "reject", [""], note, **how)


def note(model: str, text: str, **how: Any) -> Edited:
    """Add a note to a version."""
    return _change(model, "note", [""], text, **how)


def delete(model: str, note: str = "", **how: Any) -> Edited:
    """Hide a version; with no version named, the newest."""
    return _change(model, "delete", [""], note, **how)


def restore(model: str, note: str = "", **how: Any) -> Edited:
    return _change(model, "restore", [""], note, deleted=True, **how)


def describe(
    model: str, text: str, *, project: str | None = None, settings: Settings | None = None, actor: str = ""
) -> Edited:
    """Describe the model as a whole."""
    from runstream.edits import Editor, ModelEdit

    chosen = settings or Settings.from_env(os.environ)
    return Editor(chosen, actor).edit_models(project or chosen.project, [ModelEdit(model, "describe", value=text)])


def _change(
    model: str,
    action: str,
    values: Iterable[str],
    note: str,
    *,
    project: str | None = None,
    settings: Settings | None = None,
    actor: str = "",
    deleted: bool = False,
) -> Edited:
    from runstream.edits import Editor, ModelEdit

    chosen = settings or Settings.from_env(os.environ)
    version = get(model, project=project, deleted=deleted, settings=chosen)
    edits: list[ModelEdit] = [
        ModelEdit(version.model, action, version.artifact, version.digest, value, note, version.artifact_project)
        for value in values
    ]
    return Editor(chosen, actor).edit_models(version.project, edits)


def _pair(value: Any) -> tuple[str, str]:
    """A named tuple, as ClickHouse writes it: an object, or a list."""
    first, second = value.values() if isinstance(value, dict) else value
    return str(first), str(second)


def _ask(settings: Settings, project: str | None, sql: str, parameters: dict[str, str]) -> list[dict[str, Any]]:
    url = database_url(settings)
    if url is None:
        raise ModelNotFound("", project or settings.project, no_database=True)
    return ask(url, sql, {"project": project or settings.project, **parameters}, LOOKUP_S)
