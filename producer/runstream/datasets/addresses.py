"""Data behind an address: its content, streamed."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from runstream.datasets.files import Found
from runstream.datasets.progress import Progress
from runstream.masking import mask_text

READ_BYTES = 1 << 20
TIMEOUT_S = 60.0


def address(url: str, progress: Progress, s3: str = "") -> Found:
    """The digest is the SHA-256 of the bytes, as that of a file. `s3`: the object store (`RUNSTREAM_S3`), whose server
    and keys serve s3:// where fsspec does not. Raises OSError, or TypeError for a scheme that nobody here can read."""
    digest, size = hashlib.sha256(), 0
    with contextlib.closing(_opened(url, s3)) as file:
        # An answer of HTTP that ends early looks like one that ends.
        expected = int(getattr(file, "headers", {}).get("Content-Length") or -1)
        progress.total += max(0, expected)
        while piece := file.read(READ_BYTES):
            digest.update(piece)
            size += len(piece)
            progress.add(len(piece))
    if 0 <= expected != size:
        raise OSError(f"{mask_text(url)} ended after {size} of {expected} bytes; try again")
    return Found("uri", digest.hexdigest(), -1, size, {}, {}, url)


def _opened(url: str, s3: str) -> BinaryIO:
    parts = urlsplit(url)
    if parts.scheme.lower() in ("http", "https"):
        from http.client import HTTPException
        from urllib.request import urlopen

        try:
            answer: BinaryIO = urlopen(url, timeout=TIMEOUT_S)  # noqa: S310 - http and https only
        except (HTTPException, ValueError) as error:  # such as a space in it
            raise OSError(f"{mask_text(url)} cannot be asked for: {error}") from None
        return answer
    try:
        return _by_fsspec(url)
    except ImportError as error:
        if parts.scheme.lower() != "s3":
            raise TypeError(
                f"{parts.scheme}:// cannot be read here ({error}); pip install fsspec and its package for "
                f"{parts.scheme}, or fetch the data and give the path"
            ) from None
        return _from_store(parts.netloc, unquote(parts.path.lstrip("/")), s3)


def _by_fsspec(url: str) -> BinaryIO:
    import fsspec  # type: ignore[import-not-found,import-untyped,unused-ignore]  # the user's

    try:
        opened: Any = fsspec.open(url, "rb")
    except ValueError as error:  # a scheme that it does not know
        raise ImportError(str(error)) from None
    file: BinaryIO = opened.open()
    return file


def _from_store(bucket: str, name: str, s3: str) -> BinaryIO:
    from runstream.objects import ReadsOtherBuckets, open_store

    store = open_store(s3) if s3.startswith(("http://", "https://")) else None
    if not isinstance(store, ReadsOtherBuckets):
        raise TypeError(
            "s3:// cannot be read here; pip install s3fs, set RUNSTREAM_S3 to the server that has it, or fetch the "
            "data and give the path"
        )
    return store.open_in(bucket, name)
