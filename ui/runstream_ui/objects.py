"""Files of artifacts, out of the object store that the settings name."""

from __future__ import annotations

from functools import lru_cache
from typing import BinaryIO

from runstream.objects import ObjectStore, object_key, open_store
from runstream_storage.errors import ObjectNotFound
from runstream_ui import context
from runstream_ui.errors import NoSuchFile


def open_file(sha256: str) -> tuple[int, BinaryIO]:
    """(size in bytes, a stream that the caller closes) of the file with this sha256 in hex. Raises NoSuchFile."""
    store = _store(context.settings().object_store_url)
    key = object_key(sha256)
    try:
        return store.stat(key).size, store.open(key)
    except (ObjectNotFound, FileNotFoundError):
        raise NoSuchFile(sha256=sha256) from None


@lru_cache(maxsize=4)
def _store(url: str) -> ObjectStore:
    return open_store(url)
