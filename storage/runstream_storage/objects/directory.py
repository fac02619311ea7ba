"""Objects as files of a directory."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from runstream.objects import FileState, ObjectStat
from runstream_storage.errors import ObjectError, ObjectNotFound
from runstream_storage.objects.keys import TEMPORARY, check_key, check_prefix, copy_checked, promised_sha256
from runstream_storage.objects.local_copy import copy_file
from runstream_storage.objects.removal import wait_until_not_removed

CHUNK_BYTES = 1 << 20
LEFTOVER_AGE_S = 24 * 3600


class DirectoryStore:
    """The directory of `file:///dir`, made when it is missing. An object appears whole or not at all.

    Files that an upload left unfinished lie in `.incoming/` and go away a day later, when the store is next opened.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
            raise ObjectError(f"{url!r} is no directory: write file:///absolute/path.")
        self.root = Path(unquote(parts.path))
        self._incoming = self.root / TEMPORARY
        self._incoming.mkdir(parents=True, exist_ok=True)
        self.unfinished(LEFTOVER_AGE_S, give_up=True)

    def __repr__(self) -> str:
        return f"DirectoryStore({self.root.as_uri()!r})"

    def put_file(self, key: str, path: Path, sha256: str, seen: FileState | None = None) -> None:
        """Store a copy of `path`; raises ChecksumMismatch, keeping nothing, unless what was read has this sha256.

        A file that is in the state `seen` to the end was hashed by the caller.
        """
        check_key(key)
        with path.open("rb") as source, self._arriving(key) as target:
            copy_file(source, target, key=key, expected=sha256, seen=seen)

    def put_bytes(self, key: str, data: bytes) -> None:
        """Store `data`; under a content-addressed key it must have the key's sha256."""
        check_key(key)
        with self._arriving(key) as target:
            copy_checked(_Once(data), target.write, key=key, expected=promised_sha256(key), chunk=CHUNK_BYTES)

    def open(self, key: str, offset: int = 0) -> BinaryIO:
        """The object from the byte `offset` on, as a seekable stream; the caller closes it; raises ObjectNotFound."""
        try:
            stream = self._path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectNotFound(key=key, store=str(self.root)) from None
        stream.seek(offset)
        return stream

    def get_file(self, key: str, path: Path) -> None:
        """Write the object to `path`, checked against the key's sha256 where it has one, at once or not at all."""
        partial = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}")
        try:
            with self.open(key) as source, partial.open("xb") as target:
                copy_checked(source, target.write, key=key, expected=promised_sha256(key), chunk=CHUNK_BYTES)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def stat(self, key: str) -> ObjectStat:
        """Raises ObjectNotFound."""
        path = self._path(key)
        if not path.is_file():
            raise ObjectNotFound(key=key, store=str(self.root))
        status = path.stat()
        return ObjectStat(key, status.st_size, status.st_mtime_ns // 1000)

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def renew(self, key: str, size: int) -> bool:
        """Whether the object is there in its whole `size`; its time becomes now, and a collection leaves it."""
        try:
            if self.stat(key).size != size:
                return False
            os.utime(self._path(key))
        except FileNotFoundError:
            return False
        wait_until_not_removed(self, key)
        return self.exists(key)

    def url(self, key: str, expires_s: int, *, content_type: str = "", disposition: str = "") -> str:
        """The file's address, which does not expire; for programs on this machine."""
        return self._path(key).as_uri()

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """The objects whose keys begin with `prefix`, in order of key."""
        folder = check_prefix(prefix).rpartition("/")[0]
        start = self.root / folder if folder else self.root
        return self._walk(start, f"{folder}/" if folder else "", prefix)

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def unfinished(self, age_s: float, *, give_up: bool = False) -> tuple[int, int]:
        """Files that uploads left behind longer ago, and their bytes; `give_up` removes them."""
        oldest = time.time() - age_s
        files = size = 0
        for entry in os.scandir(self._incoming):
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if status.st_mtime < oldest:
                    files, size = files + 1, size + status.st_size
                    if give_up:
                        Path(entry.path).unlink()
        return files, size

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _walk(self, folder: Path, place: str, prefix: str) -> Iterator[ObjectStat]:
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        # A folder sorts as its keys do, with the '/' that follows its name.
        named = sorted((entry.name + ("/" if entry.is_dir(follow_symlinks=False) else ""), entry) for entry in entries)
        for name, entry in named:
            key = place + name
            if key == f"{TEMPORARY}/" or not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if name.endswith("/"):
                yield from self._walk(Path(entry.path), key, prefix)
            elif entry.is_file(follow_symlinks=False) and key.startswith(prefix):
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    yield ObjectStat(key, status.st_size, status.st_mtime_ns // 1000)

    @contextmanager
    def _arriving(self, key: str) -> Iterator[BinaryIO]:
        """A file that becomes the object when the block ends without an error."""
        partial = self._incoming / uuid.uuid4().hex
        final = self._path(key)
        try:
            with partial.open("x+b") as target:
                yield target
                target.flush()
                os.fsync(target.fileno())
            final.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(final)
            _sync_directory(final.parent)
        finally:
            partial.unlink(missing_ok=True)


class _Once:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int = -1, /) -> bytes:
        data, self._data = self._data, b""
        return data


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
