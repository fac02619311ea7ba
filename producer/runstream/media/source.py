"""Values that exist as bytes already: a path, bytes, or an open file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from runstream.media.blob import ValueRefused
from runstream.media.sniff import HEAD_BYTES, TAIL_BYTES

MAX_BYTES_IN_MEMORY = 1 << 30


def is_source(value: object) -> bool:
    """Whether it is a path, bytes, or something to read bytes from."""
    return isinstance(value, str | os.PathLike | bytes | bytearray | memoryview) or callable(
        getattr(value, "read", None)
    )


def content_of(value: Any) -> bytes | Path:
    """The bytes, or the path of a file that is there. Raises ValueRefused, and OSError when it cannot be read."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str | os.PathLike):
        try:
            path = Path(value).expanduser()
            if path.is_dir():
                raise ValueRefused(f"{str(path)[:300]!r} is a directory. Log it with run.log_artifact()")
            if not path.is_file():
                raise ValueRefused(f"there is no file {str(path)[:300]!r}")
        except (ValueError, RuntimeError, UnicodeError) as error:  # a NUL in it, no home, a lone surrogate
            if isinstance(error, ValueRefused):
                raise
            raise ValueRefused(f"{str(value)[:300]!r} is no path: {error}") from error
        return path
    seek = getattr(value, "seek", None)
    if callable(seek):
        seek(0)
    data = value.read(MAX_BYTES_IN_MEMORY + 1)
    if isinstance(data, str):
        data = data.encode("utf-8", "replace")
    if len(data) > MAX_BYTES_IN_MEMORY:
        raise ValueRefused(f"more than {MAX_BYTES_IN_MEMORY} bytes from an open file. Log it by its path")
    return bytes(data)


def head_of(content: bytes | Path) -> bytes:
    """Its first bytes, for `sniff`. Raises ValueRefused when it is empty."""
    if isinstance(content, Path):
        with content.open("rb") as file:
            head = file.read(HEAD_BYTES)
    else:
        head = content[:HEAD_BYTES]
    if not head:
        raise ValueRefused("it is empty: 0 bytes")
    return head


def extension_of(value: object) -> str:
    """Of a path, `.png` or such in lower case; else empty."""
    return os.path.splitext(os.fspath(value))[1].lower() if isinstance(value, str | os.PathLike) else ""  # noqa: PTH122


def tail_of(content: bytes | Path) -> bytes:
    """Its last bytes, for `sniff`."""
    if isinstance(content, bytes):
        return content[-TAIL_BYTES:]
    with content.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        return file.read(TAIL_BYTES)
