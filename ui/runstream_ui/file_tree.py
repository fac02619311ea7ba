"""The files of an artifact as directories: an artifact holds paths only, and a person looks for places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runstream_storage.queries.results import ArtifactFile


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory right below the one that is looked at; `size` in bytes and `files` count all that is in it."""

    name: str
    path: str
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What stands in one directory, by name. `path` has no slash at its ends and is empty for the root."""

    path: str
    directories: tuple[Directory, ...]
    files: tuple[ArtifactFile, ...]

    @property
    def parents(self) -> list[tuple[str, str]]:
        """(name, path) of each directory from below the root down to this one."""
        parts = self.path.split("/") if self.path else []
        return [(part, "/".join(parts[: place + 1])) for place, part in enumerate(parts)]


def listing(files: Iterable[ArtifactFile], path: str = "") -> Listing:
    """The directory at `path`; of a path that nothing lies in, the nearest one above it that has something."""
    known = list(files)
    path = "/".join(part for part in path.split("/") if part)
    while path and not any(file.path.startswith(f"{path}/") for file in known):
        path = path.rpartition("/")[0]
    prefix = f"{path}/" if path else ""
    here: list[ArtifactFile] = []
    below: dict[str, list[ArtifactFile]] = {}
    for file in known:
        if not file.path.startswith(prefix):
            continue
        name, slash, _ = file.path[len(prefix) :].partition("/")
        if slash:
            below.setdefault(name, []).append(file)
        else:
            here.append(file)
    directories = tuple(
        Directory(name, prefix + name, len(inside), sum(file.size for file in inside))
        for name, inside in sorted(below.items())
    )
    return Listing(path, directories, tuple(sorted(here, key=lambda file: file.path)))


def matching(files: Iterable[ArtifactFile], search: str) -> list[ArtifactFile]:
    """The files with every word of `search` in their path or media type, in any case, by path."""
    words = search.lower().split()
    return sorted(
        (file for file in files if all(word in f"{file.path} {file.mime}".lower() for word in words)),
        key=lambda file: file.path,
    )


def largest_first(files: Sequence[ArtifactFile]) -> list[ArtifactFile]:
    return sorted(files, key=lambda file: (-file.size, file.path))
