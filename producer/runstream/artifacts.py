"""Artifacts as they are made: files, trees and references under a name, put beside the spool when they are logged."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstream import labels

if TYPE_CHECKING:
    from datetime import timedelta

POLICIES = ("copy", "link")
GOALS = {"min": "minimize", "minimize": "minimize", "max": "maximize", "maximize": "maximize"}
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
MAX_TTL_S = 100 * 365.25 * 86_400
MAX_KEPT = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class LoggedArtifact:
    """What `log_artifact` has staged; the agent uploads it and the version becomes visible."""

    name: str
    type: str
    size: int
    """Bytes of all files that are copied."""
    files: tuple[str, ...]
    """Relative paths, `/` between the parts, references too."""
    stage: str = ""
    """Where it lies beside the spool of this process, which is how this run can name it before it has a digest."""
    writer: str = ""
    """Name of that spool."""


@dataclasses.dataclass(frozen=True, slots=True)
class Retention:
    """How long a version is kept: until `expires_us` (0: for ever), and while it is among the `keep_best` by score."""

    expires_us: int = 0
    score: float | None = None
    keep_best: int = 0
    keep_goal: str = ""


class Artifact:
    """What is to be logged as one version: `run.log_artifact(Artifact("digits", "dataset").add_dir("data"))`.

    The files are read when it is logged, not when they are added. `ttl`: how long it is kept (see `log_artifact`).
    The methods return the artifact, so that they can be chained.
    """

    def __init__(
        self,
        name: str,
        type: str = "file",
        description: str = "",
        metadata: Mapping[str, Any] | None = None,
        ttl: float | str | timedelta | None = None,
    ) -> None:
        self.name = name
        self.type = type
        self.description = description
        self.metadata = dict(metadata or {})
        self.ttl = ttl
        self._added: list[tuple[str, str, str, str]] = []

    def __repr__(self) -> str:
        return f"Artifact({self.name!r}, {self.type!r}, {len(self._added)} added)"

    def copy(self) -> Artifact:
        """Another one with the same files, name and so on."""
        other = Artifact(self.name, self.type, self.description, self.metadata, self.ttl)
        other._added = list(self._added)
        return other

    def add_file(self, path: str | os.PathLike[str], name: str | None = None, policy: str = "copy") -> Artifact:
        """Keep the file as `name` (default: its file name). `policy="link"` links it where that can be done, which
        costs nothing; it must then not be changed in place before it is uploaded."""
        self._added.append(("file", os.fspath(path), name or "", policy))
        return self

    def add_dir(self, path: str | os.PathLike[str], name: str = "", policy: str = "copy") -> Artifact:
        """Keep all files below the directory, under `name/` when one is given."""
        self._added.append(("dir", os.fspath(path), name.strip("/"), policy))
        return self

    def add_reference(self, address: str, name: str | None = None) -> Artifact:
        """Name what lies at s3://, http(s)://, file://, gs:// or hf:// without copying it, as `name` (default: the last
        part of the address). ETag and size are looked up when the artifact is sent, where that can be done."""
        self._added.append(("reference", str(address), name or "", ""))
        return self

    def event(self, directory: Path, stage: str, spool: Path, **said: Any) -> tuple[LoggedArtifact, dict[str, Any]]:
        """Stage all of it in `stage` of the writer's `directory`; what was logged, and its ArtifactStaged event.

        `said`: aliases, tags, and the fields of `retention`. Raises OSError, ValueError or EditRefused, and then
        leaves nothing.
        """
        from runstream import staging

        aliases = sorted({labels.alias(alias) for alias in _listed(said.get("aliases"))})
        tags = sorted({labels.tag(tag) for tag in _listed(said.get("tags"))})
        ttl = said.get("ttl") if said.get("ttl") is not None else self.ttl
        kept = retention(ttl, said.get("keep_best"), said.get("score"), said.get("goal"))
        name, kind = labels.name(self.name), labels.kind(self.type)
        metadata = labels.metadata(self.metadata)
        description = labels.note(self.description)
        files = staging.stage(self._sources(spool.resolve()), directory / stage)
        size = sum(file.get("size", 0) for file in files)
        body = {
            "type": "ArtifactStaged",
            "name": name,
            "artifact_type": kind,
            "aliases": aliases,
            "metadata": metadata,
            "description": description,
            "tags": tags,
            **dataclasses.asdict(kept),
            **staging.listed(directory, stage, files),
        }
        return LoggedArtifact(name, kind, size, tuple(file["path"] for file in files), stage, directory.name), body

    def _sources(self, spool: Path) -> list[Any]:
        from runstream import staging

        sources: list[staging.Source] = []
        for kind, where, name, policy in self._added:
            if kind == "reference":
                from runstream.references import checked_address

                address = checked_address(where)
                sources.append(staging.Source(name or address.rstrip("/").rpartition("/")[2], ref=address))
                continue
            if policy not in POLICIES:
                raise ValueError(f"the policy {policy!r} is neither copy nor link")
            path = Path(where)
            if kind == "file" and path.is_dir():
                raise IsADirectoryError(f"{path} is a directory; add_dir() takes those")
            if kind == "dir" and path.is_file():
                raise NotADirectoryError(f"{path} is a file; add_file() takes those")
            sources += staging.walk(path, name, spool, policy)
        return sources


def of_path(path: str | os.PathLike[str], policy: str = "copy") -> Artifact:
    """The file or directory as an artifact of its name."""
    source = Path(path)
    artifact = Artifact(source.resolve().name)
    return artifact.add_dir(source, policy=policy) if source.is_dir() else artifact.add_file(source, policy=policy)


def retention(
    ttl: float | str | timedelta | None, keep_best: int | None, score: float | None, goal: str | None
) -> Retention:
    """The fields of an event. Raises ValueError for what cannot be used."""
    expires_us = 0 if ttl is None else time.time_ns() // 1000 + int(ttl_s(ttl) * 1e6)
    number = None if score is None else float(score)
    if number is not None and math.isinf(number):
        raise ValueError(f"score={score!r} cannot be ranked; give a finite number")
    best = int(keep_best or 0)
    if not 0 <= best <= MAX_KEPT:
        raise ValueError(f"keep_best={keep_best!r} is not from 1 to {MAX_KEPT}; leave it out to keep all")
    if goal is not None and goal not in GOALS:
        raise ValueError(f"goal={goal!r} is neither minimize nor maximize")
    if best and (number is None or math.isnan(number)):
        number = None  # such a version is never among the worst: nothing is known of it
    chosen = GOALS[goal or "minimize"] if best or number is not None else ""
    return Retention(expires_us, None if number is None or math.isnan(number) else number, best, chosen)


def ttl_s(ttl: float | str | timedelta) -> float:
    """Seconds of a time to live: a number of seconds, a timedelta, or text such as `12h`, `30d`, `2w`."""
    import re

    if isinstance(ttl, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*", ttl.lower())
        seconds = float(match[1]) * UNITS_S[match[2] or "s"] if match else math.nan
    elif isinstance(ttl, int | float):
        seconds = float(ttl)
    else:
        seconds = ttl.total_seconds()
    if not 0 < seconds <= MAX_TTL_S:
        raise ValueError(f"ttl={ttl!r} is no time to live; give seconds, or text such as 12h, 30d or 2w")
    return seconds


def _listed(words: Iterable[str] | str | None) -> list[str]:
    if words is None:
        return []
    return [words] if isinstance(words, str) else list(words)
