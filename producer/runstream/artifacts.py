"""Artifacts: staged beside the spool when logged, fetched from the object store when used."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from runstream.errors import ArtifactError
from runstream.lookup import ask, database_url
from runstream.settings import Settings

MAX_FILES = 100_000
_VERSION = """
SELECT version, digest, type, size, metadata,
       arrayMap(f -> tupleElement(f, 'path'), files) AS paths,
       arrayMap(f -> tupleElement(f, 'sha256'), files) AS sums
FROM v_artifacts
WHERE project = {project:String} AND name = {name:String}
  AND (version = {version:String} OR digest = {version:String} OR has(aliases, {version:String}))
LIMIT 1
"""


@dataclasses.dataclass(frozen=True, slots=True)
class LoggedArtifact:
    """What `log_artifact` has staged; the agent uploads it and the version becomes visible."""

    name: str
    type: str
    size: int
    """Bytes of all files."""
    files: tuple[str, ...]
    """Relative paths, `/` between the parts."""


def checked_name(name: str) -> str:
    """The name. Raises ValueError for one that `use_artifact("name:version")` could not ask for."""
    if not name or ":" in name or not name.isprintable():
        raise ValueError(f"the name {name!r} is empty, or has a colon or a control character")
    return name


def stage(source: Path, directory: Path, spool: Path) -> list[dict[str, Any]]:
    """Copy the file or tree `source` into `directory`; path and size of each file in order of path.

    What lies in `spool` is left out: a tree may well contain the spool, and with it this very copy.

    A copy, not a hard link: checkpoints are often overwritten in place, and a link would change with them. Where the
    file system can (XFS, Btrfs), the copy shares its blocks with the original. Raises OSError or ValueError, and then
    leaves nothing.
    """
    import shutil

    files: list[dict[str, Any]] = []
    try:
        for path, relative in _files_of(source, spool.resolve()):
            relative.encode()  # a name that is not text could not be asked for again
            target = directory / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            files.append({"path": relative, "size": _copy(path, target)})
        _check_count(len(files))
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return files


def _check_count(files: int) -> None:
    if not 0 < files <= MAX_FILES:
        raise ValueError(f"{files} files in it; 1 to {MAX_FILES} can be kept, more as an archive")


def _files_of(source: Path, spool: Path) -> Iterator[tuple[Path, str]]:
    if source.is_file():
        yield source, source.name
        return
    if not source.is_dir():
        raise FileNotFoundError(f"there is no file or directory {source}")
    for root, directories, names in os.walk(source):
        here = Path(root).resolve()
        directories[:] = sorted(name for name in directories if here / name != spool)
        for name in sorted(names):
            path = Path(root, name)
            if path.is_file():  # not a socket, a device or a link to nowhere
                yield path, path.relative_to(source).as_posix()


def _copy(source: Path, target: Path) -> int:
    import shutil

    with source.open("rb") as reader, target.open("xb") as writer:
        if hasattr(os, "copy_file_range"):
            try:
                while os.copy_file_range(reader.fileno(), writer.fileno(), 1 << 30):
                    pass
                return os.fstat(writer.fileno()).st_size
            except OSError:  # across file systems, or not supported: copy what is left by hand
                reader.seek(0)
                writer.seek(0)
                writer.truncate()
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        return os.fstat(writer.fileno()).st_size


class UsedArtifact:
    """An artifact that the run reads: `name`, `asked` (version, alias or digest as asked for), and `download()`."""

    def __init__(
        self, settings: Settings, project: str, name: str, asked: str, resolved: Callable[[str], None] | None = None
    ) -> None:
        self.name = name
        self.asked = asked
        self._settings = settings
        self._project = project
        self._resolved = resolved
        self._found: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"UsedArtifact({self.name}:{self.asked})"

    @property
    def version(self) -> str:
        """`v0`, `v1`, … Asks the database once. Raises as `resolve` does."""
        return str(self.resolve()["version"])

    @property
    def digest(self) -> str:
        """The identity of the content. Asks the database once. Raises as `resolve` does."""
        return str(self.resolve()["digest"])

    @property
    def metadata(self) -> dict[str, Any]:
        """What was given to `log_artifact(metadata=)`."""
        found = json.loads(self.resolve()["metadata"] or "{}")
        return found if isinstance(found, dict) else {}

    def resolve(self, timeout_s: float = 30.0) -> dict[str, Any]:
        """Find the version. Raises LookupFailed (no answer) and ArtifactError (no such artifact or no database)."""
        if self._found is None:
            url = database_url(self._settings)
            if url is None:
                raise ArtifactError(
                    f"Artifact {self.name}:{self.asked} cannot be looked up: no database. "
                    "Set RUNSTREAM_CLICKHOUSE, or start `runstream up`."
                )
            asked = {"project": self._project, "name": self.name, "version": self.asked}
            rows = ask(url, _VERSION, asked, timeout_s)
            if not rows:
                raise ArtifactError(
                    f"There is no artifact {self.name}:{self.asked} in project {self._project!r}. "
                    "A version just logged is visible once the agent has uploaded it."
                )
            self._found = rows[0]
            if self._resolved is not None:
                self._resolved(str(self._found["digest"]))
        return self._found

    def download(self, directory: str | os.PathLike[str] | None = None) -> Path:
        """Fetch all files into `directory` (default: `artifacts/<name>-<version>` here) and return it.

        Each file is checked against its sha256 and only then gets its name; files already there with the right content
        are kept. Raises ArtifactError and what `resolve` raises.
        """
        found = self.resolve()
        safe = self.name.replace("/", "-")
        target = Path(directory) if directory is not None else Path("artifacts", f"{safe}-{found['version']}")
        from runstream.objects import open_store

        store = open_store(self._settings.s3)
        for path, sha256 in zip(found["paths"], found["sums"], strict=True):
            self._fetch(store, target / _safe(path), sha256)
        return target

    def _fetch(self, store: Any, target: Path, sha256: str) -> None:
        if target.is_file() and _sha256(target) == sha256:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            store.get_file(f"sha256/{sha256[:2]}/{sha256}", part)
            if _sha256(part) != sha256:
                raise ArtifactError(f"{target.name} of {self.name}:{self.asked} arrived damaged: its sha256 differs.")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def _safe(path: str) -> PurePosixPath:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts:
        raise ArtifactError(f"The artifact names a file outside its directory: {path!r}.")
    return parts


def _sha256(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
