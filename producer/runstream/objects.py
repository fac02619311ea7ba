"""Where artifact files go: content-addressed objects behind one interface.

The implementations live in `runstream_storage.objects` and are found by the scheme of their URL through the entry
points group `runstream.object_stores`: this package does not import them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, runtime_checkable
from urllib.parse import urlsplit

from runstream.errors import ObjectStoreUnknown

GROUP = "runstream.object_stores"
NAMES = {"file": "file", "http": "s3", "https": "s3", "s3": "s3"}


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """`key` holds `size` bytes; `modified_us` in microseconds since 1970-01-01 UTC."""

    key: str
    size: int
    modified_us: int


class FileState(NamedTuple):
    """What changes when somebody writes to a file or puts another one in its place."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, fd: int) -> FileState:
        """Of an open file."""
        found = os.fstat(fd)
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Uploads(Protocol):
    """The part of an object store that the agent needs."""

    def renew(self, key: str, size: int) -> bool:
        """Whether the whole object, of `size` bytes, is there; then it counts as new, so that no collection removes it
        before the event that names it is in the database. One of another length is as none: it is stored again."""

    def put_file(self, key: str, path: Path, sha256: str, seen: FileState | None = None) -> None:
        """Stores the file at `path` under `key`; all of it or nothing.

        `sha256`: hex, checked against what was read; or, where that costs another pass over the bytes, by the file
        being all the while in the state `seen`, in which the caller has just hashed it.
        """


class ObjectStore(Uploads, Protocol):
    """Blocking calls, safe from several threads at once. A missing key raises FileNotFoundError."""

    def exists(self, key: str) -> bool:
        """Whether the whole object is there."""

    def put_bytes(self, key: str, data: bytes) -> None: ...

    def open(self, key: str, offset: int = 0) -> BinaryIO:
        """A readable stream from the byte `offset` on, less than the object's size; the caller closes it."""

    def get_file(self, key: str, path: Path) -> None:
        """Writes the object to `path`, at once or not at all."""

    def stat(self, key: str) -> ObjectStat: ...

    def url(self, key: str, expires_s: int, *, content_type: str = "", disposition: str = "") -> str:
        """An address from which a browser can fetch the object for `expires_s` seconds; a store that serves HTTP
        answers with this Content-Type and Content-Disposition where they are given."""

    def list(self, prefix: str) -> Iterator[ObjectStat]: ...

    def delete(self, key: str) -> None:
        """Removes the object; no error when it is not there."""


@runtime_checkable
class ReadsOtherBuckets(Protocol):
    """A store whose server and keys also give objects of other buckets: what s3:// references name."""

    def facts_in(self, bucket: str, name: str) -> tuple[str, str, int]:
        """ETag, version (empty: none) and bytes of an object."""

    def open_in(self, bucket: str, name: str) -> BinaryIO:
        """A readable stream; the caller closes it."""


RENEW_AFTER_S = 900
"""An object that is younger counts as new anyway: collections spare what is younger than an hour."""


def object_key(sha256: str) -> str:
    """The key of the content with this hex digest: `sha256/ab/ab…`."""
    return f"sha256/{sha256[:2]}/{sha256}"


def open_store(url: str) -> ObjectStore:
    """The object store of `file:///dir` or `http(s)://access:secret@host:port/bucket`.

    Raises ObjectStoreUnknown when no installed package serves this scheme, and what the store raises.
    """
    scheme = urlsplit(url).scheme
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    entry = installed.get(NAMES.get(scheme, ""))
    if entry is None:
        raise ObjectStoreUnknown(scheme=scheme, known=sorted(installed))
    try:
        store: ObjectStore = entry.load()(url)
    except ImportError as error:
        raise ObjectStoreUnknown(scheme=scheme, known=[]) from error
    return store


class StoreOpenedLater:
    """`Uploads` to the store at `url`, which is opened when first needed, and tried again when that fails."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: ObjectStore | None = None

    def _opened(self) -> ObjectStore:
        if self._store is None:
            self._store = open_store(self._url)
        return self._store

    def opened(self) -> ObjectStore:
        """The store itself. Raises as `open_store`."""
        return self._opened()

    def close(self) -> None:
        """Have uploads under way fail soon, where the store can do that: for the end of a process."""
        close = getattr(self._store, "close", None)
        if close is not None:
            close()

    def renew(self, key: str, size: int) -> bool:
        return self._opened().renew(key, size)

    def put_file(self, key: str, path: Path, sha256: str, seen: FileState | None = None) -> None:
        self._opened().put_file(key, path, sha256, seen)
