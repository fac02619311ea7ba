"""A version's entry into the model registry, as events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from runstream.artifacts import LoggedArtifact
from runstream.versions import LATEST, ArtifactVersion, elsewhere

if TYPE_CHECKING:
    from runstream.settings import Settings


def registration(
    settings: Settings,
    project: str,
    artifact: LoggedArtifact | ArtifactVersion | str | None,
    model: str,
    aliases: Iterable[str],
    stage: str | None,
    note: str,
    writer: str = "",
) -> list[dict[str, Any]]:
    """The ModelEdited events: register, then aliases and stage. An artifact may be one of another project.

    `writer`: name of the spool that they go to. Raises EditRefused, ArtifactError or LookupFailed.
    """
    from runstream.edits import ModelEdit, model_event
    from runstream.errors import EditRefused

    if artifact is None:
        raise EditRefused("artifact", artifact, "it was not logged; see the warning before")
    words = [aliases] if isinstance(aliases, str) else list(aliases)
    changes = [("register", ""), *(("alias", word) for word in words)]
    changes += [("stage", stage)] if stage is not None else []
    staged, holder = "", ""
    if isinstance(artifact, LoggedArtifact):
        if artifact.writer != writer:
            what = "another process, or this one before a rewind, logged it; give name:version once it is uploaded"
            raise EditRefused("artifact", artifact.name, what)
        # Its digest is known once the agent has read the files; until then the stage stands for it.
        name, digest, staged = artifact.name, "0" * 64, artifact.stage
    else:
        version = artifact
        if not isinstance(version, ArtifactVersion):
            name, _, asked = str(artifact).partition(":")
            version = ArtifactVersion(settings, project, name, asked or LATEST, otherwise=elsewhere(name))
        digest, name = version.digest, version.name
        holder = version.project if version.project != project else ""
    bodies = [model_event(ModelEdit(model, action, name, digest, value, note, holder)) for action, value in changes]
    return [{**body, "digest": "", "stage": staged} for body in bodies] if staged else bodies
