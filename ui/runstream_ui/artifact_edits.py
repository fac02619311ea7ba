"""What people change of artifact versions, each with the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runstream.edits import ArtifactEdit
from runstream_storage.queries.results import ArtifactVersion
from runstream_ui import edits, formats
from runstream_ui.edits import Change


def edit_version(
    version: ArtifactVersion,
    *,
    aliases: Sequence[str],
    tags: Sequence[str],
    description: str,
    metadata: Mapping[str, Any],
    expires_us: int,
) -> None:
    """A version as a form left it; what the form did not change is not written. `expires_us` 0: never."""
    own = [alias for alias in version.aliases if alias != "latest"]
    there = _versioned(version)
    steps = [
        *(there("alias", alias) for alias in aliases if alias not in own),
        *(there("unalias", alias) for alias in own if alias not in aliases),
        *(there("tag", tag) for tag in tags if tag not in version.tags),
        *(there("untag", tag) for tag in version.tags if tag not in tags),
    ]
    back = [
        *(there("unalias", alias) for alias in aliases if alias not in own),
        *(there("alias", alias) for alias in own if alias not in aliases),
        *(there("untag", tag) for tag in tags if tag not in version.tags),
        *(there("tag", tag) for tag in version.tags if tag not in tags),
    ]
    if description != version.description:
        steps.append(there("description", description))
        back.append(there("description", version.description))
    if dict(metadata) != version.metadata:
        steps.append(there("metadata", dict(metadata)))
        back.append(there("metadata", version.metadata))
    was_us = int(version.expires_at.timestamp() * 1e6) if version.expires_at else 0
    if expires_us != was_us:
        steps.append(there("expires", expires_us))
        back.append(there("expires", was_us))
    if steps:
        edits.apply(
            Change(version.project, artifacts=steps),
            f"{_named(version)} changed.",
            undo=Change(version.project, artifacts=back),
        )


def delete(version: ArtifactVersion) -> None:
    """Hide it; its files go with the next collection of garbage, unless it is restored before."""
    _flip(version, "delete", "restore", "deleted")


def restore(version: ArtifactVersion) -> None:
    _flip(version, "restore", "delete", "restored")


def _flip(version: ArtifactVersion, action: str, opposite: str, word: str) -> None:
    there = _versioned(version)
    edits.apply(
        Change(version.project, artifacts=[there(action, "")]),
        f"{_named(version)} {word}.",
        undo=Change(version.project, artifacts=[there(opposite, "")]),
    )


def _versioned(version: ArtifactVersion) -> Any:
    def made(action: str, value: Any) -> ArtifactEdit:
        return ArtifactEdit(version.name, version.digest, action, value)

    return made


def _named(version: ArtifactVersion) -> str:
    return f"{formats.middle_cut(version.name, 40)}:{version.version}"
