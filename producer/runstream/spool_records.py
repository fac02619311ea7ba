"""Records of a spool as bytes, and the room that they lie in."""

from __future__ import annotations

import errno
import json
import os
import struct
import zlib
from typing import Any

from runstream.spool import FRAME, ROW, aligned


class KeySet:
    """The metrics of a row in order, with what it takes to pack one."""

    __slots__ = ("last_offset", "length", "metrics", "number", "pack", "size", "start")

    def __init__(self, number: int, metrics: tuple[str, ...]) -> None:
        self.number = number
        self.metrics = metrics
        row = struct.Struct(f"<Qqq{len(metrics)}d")
        self.pack = row.pack
        self.length = row.size
        self.size = FRAME.size + row.size
        self.start = ROW | number << 32
        """What a row begins with: kind and key-set number."""
        self.last_offset = -1
        """The last place for a row in the current segment; -1: the names are not written there yet."""


def record(kind: int, argument: int, body: bytes) -> bytes:
    """One record with its checksum, filled up to a multiple of 8."""
    payload = struct.pack("<II", kind, argument) + body
    packed = FRAME.pack(len(payload), zlib.crc32(payload)) + payload
    return packed.ljust(aligned(len(packed)), b"\0")


def encoded(body: dict[str, Any]) -> bytes:
    """An event's fields as the JSON text that an EVENT record holds."""
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def reserve(fd: int, size: int) -> None:
    """Reserve the blocks now, so that a full disk is an OSError here and never a SIGBUS in a later write."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
        else:
            return
    zeros = bytes(1 << 20)
    for offset in range(0, size, len(zeros)):
        os.pwrite(fd, zeros[: size - offset], offset)
