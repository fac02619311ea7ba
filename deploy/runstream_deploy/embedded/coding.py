"""HTTP content codings in both directions, piece by piece: zstd, lz4 (frames), gzip, deflate."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Protocol

import lz4.frame

from runstream_deploy.embedded.errors import QueryError

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

PIECE_BYTES = 1 << 20
OFFERED = ("zstd", "lz4", "gzip", "deflate")
"""What an answer may be coded with, the best first where a client likes all the same."""


class Encoder(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class _Lz4Encoder:
    """Frames with the header in front of the first piece."""

    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes, /) -> bytes:
        head = b"" if self._begun else self._frame.begin()
        self._begun = True
        return bytes(head + self._frame.compress(data))

    def flush(self) -> bytes:
        head = b"" if self._begun else self._frame.begin()
        return bytes(head + self._frame.flush())


class _Inflater:
    """zlib with the interface of the others."""

    def __init__(self, window_bits: int) -> None:
        self._object = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def needs_input(self) -> bool:
        return not self._object.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        return self._object.decompress(self._object.unconsumed_tail + data, max_length)


class Decoding:
    """A body of one or more frames, taken in pieces of any size, given in pieces of PIECE_BYTES at most."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._decoder: Decoder | None = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What `piece` adds. Raises QueryError 271 where it is not what the coding says."""
        try:
            while piece or (self._decoder and not self._decoder.eof and not self._decoder.needs_input):
                if self._decoder is None or self._decoder.eof:
                    self._decoder = _decoder(self._coding)
                yield self._decoder.decompress(piece, PIECE_BYTES)
                piece = self._decoder.unused_data if self._decoder.eof else b""
        except (zlib.error, zstd.ZstdError, RuntimeError, EOFError) as error:
            raise QueryError(271, "CANNOT_DECOMPRESS", f"The body is not valid {self._coding}: {error}") from error

    def close(self) -> None:
        """Raises QueryError 32 where the body ended inside a frame."""
        if self._decoder is not None and not self._decoder.eof:
            raise QueryError(32, "ATTEMPT_TO_READ_AFTER_EOF", f"The {self._coding} body ends too early.")


def choose(accepted: str) -> str | None:
    """The coding for an Accept-Encoding header, in the client's order where it names several; None for plain."""
    weights: dict[str, float] = {}
    for part in accepted.split(","):
        name, _, parameters = part.strip().partition(";")
        weight = 1.0
        if parameters.strip().startswith("q="):
            try:
                weight = float(parameters.strip()[2:])
            except ValueError:
                weight = 0.0
        if name.strip() in OFFERED and weight > 0:
            weights[name.strip()] = weight
    best = max(weights.values(), default=0.0)
    return next((name for name in OFFERED if weights.get(name) == best), None)


def encoder(coding: str) -> Encoder:
    match coding:
        case "zstd":
            return zstd.ZstdCompressor(level=1)
        case "lz4":
            return _Lz4Encoder()
        case "gzip":
            return zlib.compressobj(3, zlib.DEFLATED, 31)
        case _:
            return zlib.compressobj(3)


def decoding(coding: str) -> Decoding | None:
    """For a Content-Encoding header; None for identity. Raises QueryError 89 for one that is not known."""
    name = coding.strip().lower().removeprefix("x-")
    if name in ("", "identity"):
        return None
    if name not in OFFERED:
        known = ", ".join(OFFERED)
        raise QueryError(
            89, "UNKNOWN_COMPRESSION_METHOD", f"Unknown Content-Encoding {name[:40]!r}: use one of {known}."
        )
    return Decoding(name)


def _decoder(coding: str) -> Decoder:
    match coding:
        case "zstd":
            return zstd.ZstdDecompressor()
        case "lz4":
            return lz4.frame.LZ4FrameDecompressor()  # type: ignore[no-any-return]
        case "gzip":
            return _Inflater(31)
        case _:
            return _Inflater(zlib.MAX_WBITS)
