"""What differs between two of a kind: the files and metadata of artifact versions, the facts of two runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runstream_storage.queries.results import ArtifactFile

How = Literal["added", "removed", "changed", "same"]


@dataclass(frozen=True, slots=True)
class Change:
    """One name with what it was and what it is; an absent side is None."""

    name: str
    how: How
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file of either version. `moved_from` names where the same content lay before, for an added file."""

    path: str
    how: How
    before: ArtifactFile | None
    after: ArtifactFile | None
    moved_from: str = ""

    @property
    def growth(self) -> int:
        """Bytes that the newer version has more."""
        return (self.after.size if self.after else 0) - (self.before.size if self.before else 0)


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """Every name of either side, by name, those that are the same included."""
    return [
        Change(name, _how(before.get(name), after.get(name)), before.get(name), after.get(name))
        for name in sorted({*before, *after})
    ]


def differing_files(before: Sequence[ArtifactFile], after: Sequence[ArtifactFile]) -> list[FileChange]:
    """Every path of either version, by path. A removed file whose content lies elsewhere now shows there as moved."""
    old, new = {file.path: file for file in before}, {file.path: file for file in after}
    gone: dict[str, list[str]] = {}
    for path in sorted(old.keys() - new.keys()):
        gone.setdefault(old[path].sha256, []).append(path)
    changes = []
    for path in sorted({*old, *new}):
        was, now = old.get(path), new.get(path)
        how = _how(was.sha256 if was else None, now.sha256 if now else None)
        origin = gone.get(now.sha256, []) if now is not None and was is None else []
        changes.append(FileChange(path, how, was, now, origin.pop(0) if origin else ""))
    return changes


def counted(changes: Sequence[Change | FileChange]) -> dict[How, int]:
    found: dict[How, int] = {"added": 0, "removed": 0, "changed": 0, "same": 0}
    for change in changes:
        found[change.how] += 1
    return found


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested metadata as one text a leaf, under dotted names: what a person can see line by line."""
    if isinstance(value, Mapping) and (value or not prefix):
        leaves: dict[str, str] = {}
        for key, inside in value.items():
            leaves |= flat(inside, f"{prefix}.{key}" if prefix else str(key))
        return leaves
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return {prefix: text}


def _how(before: object, after: object) -> How:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    return "same" if before == after else "changed"
