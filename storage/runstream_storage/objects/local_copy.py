"""Copies inside one machine: by the kernel, which may share blocks, and checked as they lie there."""

from __future__ import annotations

import errno
import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from runstream.objects import FileState
from runstream_storage.errors import ChecksumMismatch
from runstream_storage.objects.keys import copy_checked

SMALL_BYTES = 1 << 20
STEP_BYTES = 8 << 20
READ_BYTES = 1 << 20
_CANNOT = (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EBADF)


def copy_file(source: BinaryIO, target: BinaryIO, *, key: str, expected: str, seen: FileState | None = None) -> None:
    """Copy all of `source` into the empty `target`, which is open for reading, too.

    Raises ChecksumMismatch unless what lies in `target` then has the sha256 `expected` (empty: any), or is what
    somebody hashed who saw `source` in the state `seen`, in which it still is.
    """
    if os.fstat(source.fileno()).st_size > SMALL_BYTES and hasattr(os, "copy_file_range"):
        try:
            if seen is not None and FileState.of(source.fileno()) == seen:
                size = _copied(source.fileno(), target.fileno())
                if size == seen.size and FileState.of(source.fileno()) == seen:
                    return
                raise ChecksumMismatch(
                    key=key, expected=expected.lower(), found="a file that changed while it was read"
                )
            found = _by_kernel(source.fileno(), target.fileno())
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            source.seek(0)
            target.seek(0)
            target.truncate()
        else:
            if expected and found != expected.lower():
                raise ChecksumMismatch(key=key, expected=expected.lower(), found=found)
            return
    copy_checked(source, target.write, key=key, expected=expected, chunk=READ_BYTES)


def _copied(source: int, target: int) -> int:
    done = 0
    while count := os.copy_file_range(source, target, STEP_BYTES, done, done):
        done += count
    return done


def _by_kernel(source: int, target: int) -> str:
    """The sha256 of the copy. A step is hashed while the next one is copied, so it is still in memory."""
    digest = hashlib.sha256()

    def add(start: int, size: int) -> None:
        while size:
            piece = os.pread(target, min(size, READ_BYTES), start)
            if not piece:
                raise OSError(errno.EIO, "the copy was cut short while it was read")
            digest.update(piece)
            start, size = start + len(piece), size - len(piece)

    done = 0
    with ThreadPoolExecutor(1) as hashing:
        last: Future[None] | None = None
        while count := os.copy_file_range(source, target, STEP_BYTES, done, done):
            if last is not None:
                last.result()
            last = hashing.submit(add, done, count)
            done += count
        if last is not None:
            last.result()
    return digest.hexdigest()
