"""Where installed services live, and how an installation becomes visible all at once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from .errors import ChecksumMismatch


def cache_dir() -> Path:
    """The per-user directory of everything installed; XDG_CACHE_HOME moves it."""
    return Path(platformdirs.user_cache_dir("runstream")) / "services"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`, which is created; the kernel releases it when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def installed(name: str, version: str, build: Callable[[Path], None], *, root: Path | None = None) -> Path:
    """The directory of `name` at `version`, built first when it is not there.

    `build` fills the empty directory it is given. Only a finished build is renamed into place, so a directory that
    exists is complete; of processes that ask at once, one builds and the others wait for it.
    """
    root = root or cache_dir()
    final = root / f"{name}-{version}"
    if final.is_dir():
        return final
    with locked(root / f".{name}-{version}.lock"):
        if final.is_dir():
            return final
        for stale in root.glob(f".{name}-{version}.tmp*"):  # what a killed build left; the lock says it is nobody's
            shutil.rmtree(stale, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".{name}-{version}.tmp", dir=root))
        try:
            build(work)
            work.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return final


def sha256(path: Path) -> str:
    """The hex digest of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def require_sha256(path: Path, expected: str) -> None:
    """Raise ChecksumMismatch unless `path` hashes to `expected`."""
    found = sha256(path)
    if found != expected:
        raise ChecksumMismatch(file=path.name, expected=f"sha256 {expected}", found=found)


def private_dir(path: Path) -> Path:
    """Create `path` for this user only and refuse one that is somebody else's."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to another user; name a directory of your own with --dir.")
    return path
