"""Digests of files and directories, read in constant memory."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runstream.datasets.digest_cache import DigestCache
from runstream.datasets.progress import Progress

READ_BYTES = 1 << 20
AT_ONCE = 4
THREADS_FROM_BYTES = 64 << 20
"""Hashing does without the interpreter's lock, so several files go side by side when there is much to read."""
LINES = (".csv", ".tsv", ".jsonl", ".ndjson", ".txt")
MAX_COLUMNS_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What was found out of some data."""

    kind: str
    digest: str
    rows: int
    size: int
    schema: Any
    profile: dict[str, Any]
    source: str


class FileDigests:
    """SHA-256 of files, with a memory for those that were not changed since."""

    def __init__(self, cache: DigestCache | None) -> None:
        self._cache = cache

    def described(self, path: Path, progress: Progress) -> Found:
        """A file or a directory. Raises OSError."""
        if path.is_dir():
            return self._directory(path, _below(path), progress)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file or directory {path}")
        progress.total += path.stat().st_size
        sha256, size, lines = self._file(path, progress)
        profile: dict[str, Any] = {}
        schema: dict[str, Any] = {"suffix": path.suffix}
        if path.suffix.lower() in LINES:
            profile["lines"] = lines
            if path.suffix.lower() in (".csv", ".tsv"):
                schema["columns"] = _columns(path)
        return Found("file", sha256, -1, size, schema, profile, str(path.absolute()))

    def described_list(self, paths: list[Path], progress: Progress) -> Found:
        """Files chosen one by one, named by their places below the directory that holds them all. Raises OSError."""
        whole = [path.absolute() for path in paths]
        if missing := [path for path in whole if not path.is_file()]:
            raise FileNotFoundError(f"there is no file {missing[0]}")
        base = Path(os.path.commonpath([path.parent for path in whole]))
        return self._directory(base, sorted(set(whole)), progress)

    def _directory(self, base: Path, paths: Iterable[Path], progress: Progress) -> Found:
        """The manifest is the one of an artifact: a tree has the same digest as a dataset and as an artifact."""
        chosen = list(paths)
        if not chosen:
            raise FileNotFoundError(f"there is no file in {base}")
        progress.total += sum(path.stat().st_size for path in chosen)
        if progress.total >= THREADS_FROM_BYTES and len(chosen) > 1:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(AT_ONCE) as pool:
                digests = list(pool.map(lambda path: self._file(path, progress), chosen))
        else:
            digests = [self._file(path, progress) for path in chosen]
        entries = []
        suffixes: dict[str, int] = {}
        for path, (sha256, size, _) in zip(chosen, digests, strict=True):
            name = os.fsencode(path.relative_to(base).as_posix())
            entries.append((name, f"\t{sha256}\t{size}\n".encode()))
            suffixes[path.suffix] = suffixes.get(path.suffix, 0) + 1
        digest = hashlib.sha256(b"".join(name + rest for name, rest in sorted(entries))).hexdigest()
        schema = {"files": len(chosen), "suffixes": dict(sorted(suffixes.items())[:100])}
        return Found("directory", digest, -1, sum(size for _, size, _ in digests), schema, {}, str(base.absolute()))

    def _file(self, path: Path, progress: Progress) -> tuple[str, int, int]:
        """SHA-256, size and number of lines (-1: from memory, not counted)."""
        count = path.suffix.lower() in LINES
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise OSError(f"{path} is no regular file")
            known = self._cache.get(before) if self._cache is not None and not count else None
            if known is not None:
                progress.add(before.st_size)
                return known, before.st_size, -1
            began_ns = time.time_ns()
            digest, size, lines, last = hashlib.sha256(), 0, 0, b"\n"
            while piece := file.read(READ_BYTES):
                digest.update(piece)
                size += len(piece)
                if count:
                    lines += piece.count(b"\n")
                    last = piece[-1:]
                progress.add(len(piece))
            after = os.fstat(file.fileno())
        if self._cache is not None and DigestCache.key(before) == DigestCache.key(after):
            self._cache.put(after, digest.hexdigest(), began_ns)
        return digest.hexdigest(), size, lines + (last != b"\n")


def _below(root: Path) -> list[Path]:
    found = []
    for here, directories, names in os.walk(root):
        directories.sort()
        found += [path for name in sorted(names) if (path := Path(here, name)).is_file()]
    return found


def _columns(path: Path) -> list[str]:
    import csv

    with path.open("rb") as file:
        first = file.readline(MAX_COLUMNS_BYTES).decode("utf-8-sig", "replace")
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    return next(iter(csv.reader([first], delimiter=separator)), [])[:2000]
