"""Which keys an object may have, and the checksum that a key promises."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Protocol

from runstream_storage.errors import ChecksumMismatch, InvalidKey

KEY = re.compile(r"[A-Za-z0-9._-]{1,255}(/[A-Za-z0-9._-]{1,255})*")
PREFIX = re.compile(r"([A-Za-z0-9._-]{1,255}/)*[A-Za-z0-9._-]{0,255}")
CONTENT_KEY = re.compile(r"sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})")
MAX_CHARACTERS = 1024
TEMPORARY = ".incoming"


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def check_key(key: str) -> str:
    """`key` itself; raises InvalidKey unless it is a relative path that stays where it is."""
    parts = key.split("/")
    if len(key) > MAX_CHARACTERS or not KEY.fullmatch(key) or {".", ".."} & set(parts) or parts[0] == TEMPORARY:
        raise InvalidKey(key=key)
    return key


def check_prefix(prefix: str) -> str:
    """As check_key, for the beginning of keys; may be empty."""
    if len(prefix) > MAX_CHARACTERS or not PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
        raise InvalidKey(key=prefix)
    return prefix


def promised_sha256(key: str) -> str:
    """The sha256 in hex that a content-addressed key names; empty for others."""
    match = CONTENT_KEY.fullmatch(key)
    return match[2] if match else ""


class CheckedReader:
    """Reads `source` to the byte `size` and refuses its last piece unless the whole has the sha256 `expected`.

    So an upload that reads from it never completes with the wrong bytes. An empty `expected` checks the size only.
    """

    def __init__(self, source: Readable, *, key: str, size: int, expected: str) -> None:
        self._source = source
        self._key = key
        self._left = size
        self._expected = expected.lower()
        self._digest = hashlib.sha256()
        if size == 0:
            self._check()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        if not wanted:
            return b""
        data = self._source.read(wanted)
        self._digest.update(data)
        self._left -= len(data)
        if not data:
            raise ChecksumMismatch(
                key=self._key, expected=self._expected, found=f"the file, cut {self._left} bytes short"
            )
        if not self._left:
            if self._source.read(1):
                raise ChecksumMismatch(
                    key=self._key, expected=self._expected, found="a file that grew while it was read"
                )
            self._check()
        return data

    def _check(self) -> None:
        found = self._digest.hexdigest()
        if self._expected and found != self._expected:
            raise ChecksumMismatch(key=self._key, expected=self._expected, found=found)


def copy_checked(source: Readable, write: Callable[[bytes], object], *, key: str, expected: str, chunk: int) -> None:
    """Copy all of `source`; raises ChecksumMismatch at its end unless it has the sha256 `expected` (empty: any)."""
    digest = hashlib.sha256()
    while data := source.read(chunk):
        digest.update(data)
        write(data)
    if expected and digest.hexdigest() != expected.lower():
        raise ChecksumMismatch(key=key, expected=expected.lower(), found=digest.hexdigest())
