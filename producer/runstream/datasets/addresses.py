"""Data behind an address: its content, streamed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from runstream.datasets.files import Found
from runstream.datasets.progress import Progress

READ_BYTES = 1 << 20
TIMEOUT_S = 60.0


def address(url: str, progress: Progress) -> Found:
    """The digest is the SHA-256 of the bytes, as that of a file. Raises OSError, or TypeError for a scheme that nobody
    here can read."""
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(url, progress):
        digest.update(piece)
        size += len(piece)
        progress.add(len(piece))
    return Found("uri", digest.hexdigest(), -1, size, {}, {}, url)


def _pieces(url: str, progress: Progress) -> Iterator[bytes]:
    if url.lower().startswith(("http://", "https://")):
        from urllib.request import urlopen

        with urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - http and https only
            progress.total += int(answer.headers.get("Content-Length") or 0)
            while piece := answer.read(READ_BYTES):
                yield piece
        return
    try:
        import fsspec  # type: ignore[import-not-found,import-untyped,unused-ignore]  # the user's
    except ImportError:
        scheme = url.partition("://")[0]
        raise TypeError(f"{scheme}:// can be read with fsspec, which is not installed: pip install fsspec") from None
    opened: Any = fsspec.open(url, "rb")
    with opened as file:
        while piece := file.read(READ_BYTES):
            yield piece
