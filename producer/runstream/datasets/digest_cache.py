"""Digests of files that were read before, in a file of the data directory."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from pathlib import Path

MIN_BYTES = 1 << 20
"""Smaller files are read as quickly as they are looked up."""
SETTLED_NS = 2_000_000_000
"""A file changed so recently may be changed again within one tick of the file system's clock."""
MAX_ENTRIES = 200_000
_LINE = re.compile(r"(\d+ \d+ \d+ \d+ \d+) ([0-9a-f]{64})")


class DigestCache:
    """SHA-256 by device, inode, size, and times of the last change of content and of inode.

    A line an entry, appended in one write, so that processes share the file; torn lines are skipped. It is a memory
    only: without room, or without the right to write, everything is read again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, str] | None = None

    @staticmethod
    def key(status: os.stat_result) -> str:
        return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"

    def get(self, status: os.stat_result) -> str | None:
        """The digest of the file with that status, if it is known."""
        if status.st_size < MIN_BYTES:
            return None
        with self._lock:
            if self._known is None:
                self._known = self._load()
            return self._known.get(self.key(status))

    def put(self, status: os.stat_result, sha256: str, began_ns: int) -> None:
        """Remember the digest of a file whose reading began at `began_ns` (Unix time)."""
        changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
        if status.st_size < MIN_BYTES or changed_ns > began_ns - SETTLED_NS:
            return
        with self._lock, contextlib.suppress(OSError):
            if self._known is None:
                self._known = self._load()
            self._known[self.key(status)] = sha256
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab", buffering=0) as file:
                file.write(f"{self.key(status)} {sha256}\n".encode())

    def _load(self) -> dict[str, str]:
        try:
            lines = self._path.read_text("ascii", "replace").splitlines()
        except OSError:
            return {}
        found = {match[1]: match[2] for line in lines if (match := _LINE.fullmatch(line))}
        if len(lines) > MAX_ENTRIES:
            kept = dict(list(found.items())[-MAX_ENTRIES // 2 :])
            with contextlib.suppress(OSError):
                part = self._path.with_name(f"{self._path.name}.{os.getpid()}.{time.time_ns():x}")
                part.write_text("".join(f"{key} {sha256}\n" for key, sha256 in kept.items()))
                part.replace(self._path)
        return found
