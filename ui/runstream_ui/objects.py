"""Files of artifacts, out of the object store that the settings name."""

from __future__ import annotations

from functools import lru_cache
from typing import BinaryIO
from urllib.parse import urlsplit

from runstream.objects import ObjectStore, object_key, open_store
from runstream_storage.errors import ObjectNotFound
from runstream_ui import context
from runstream_ui.errors import NoSuchFile

ADDRESS_S = 900


def open_file(sha256: str) -> tuple[int, BinaryIO]:
    """(size in bytes, a stream that the caller closes) of the file with this sha256 in hex. Raises NoSuchFile."""
    store = _store(context.settings().object_store_url)
    key = object_key(sha256)
    try:
        return store.stat(key).size, store.open(key)
    except (ObjectNotFound, FileNotFoundError):
        raise NoSuchFile(sha256=sha256) from None


def address(sha256: str, *, content_type: str, disposition: str) -> str | None:
    """Where a browser gets the file from the store itself, for 15 minutes; None where it cannot: the store is a
    directory, or the settings say so. Raises NoSuchFile."""
    settings = context.settings()
    if settings.ui_files == "through" or urlsplit(settings.object_store_url).scheme == "file":
        return None
    store = _store(settings.object_store_url)
    key = object_key(sha256)
    try:
        store.stat(key)
    except (ObjectNotFound, FileNotFoundError):
        raise NoSuchFile(sha256=sha256) from None
    return store.url(key, ADDRESS_S, content_type=content_type, disposition=disposition)


@lru_cache(maxsize=4)
def _store(url: str) -> ObjectStore:
    return open_store(url)
