"""ClickHouse's own block compression (`compress=1`, `decompress=1`).

A block is a CityHash128 (version 1.0.2) of what follows, a method byte (0x82 LZ4, 0x90 ZSTD, 0x02 none), the length of
header and data, the length when unpacked, the data:
https://clickhouse.com/docs/native-protocol/compression
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import lz4.block
from clickhouse_cityhash.cityhash import CityHash128

from runstream_deploy.embedded.coding import zstd
from runstream_deploy.embedded.errors import QueryError

HEADER = struct.Struct("<BII")
CHECKSUM = struct.Struct("<QQ")
LZ4, ZSTD, NONE = 0x82, 0x90, 0x02
BLOCK_BYTES = 1 << 20
LIMIT_BYTES = 128 << 20
"""Largest unpacked block that is accepted. Clients write blocks of 1 MiB or less."""
LZ4_RATIO = 255
"""Most that LZ4 can pack; a header that promises more lies."""


def _checksum(data: bytes) -> bytes:
    halves = CityHash128(data)
    return CHECKSUM.pack(halves >> 64, halves & 0xFFFFFFFFFFFFFFFF)


def pack(data: bytes) -> bytes:
    """`data` as a row of LZ4 blocks."""
    blocks: list[bytes] = []
    for start in range(0, len(data), BLOCK_BYTES):
        plain = data[start : start + BLOCK_BYTES]
        packed = lz4.block.compress(plain, store_size=False)
        block = HEADER.pack(LZ4, len(packed) + HEADER.size, len(plain)) + packed
        blocks += (_checksum(block), block)
    return b"".join(blocks)


class Unpacker:
    """Takes pieces of any size and gives what whole blocks unpack to. Raises QueryError 40 for a wrong checksum."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        self._buffer += piece
        while len(self._buffer) >= CHECKSUM.size + HEADER.size:
            method, packed_bytes, plain_bytes = HEADER.unpack_from(self._buffer, CHECKSUM.size)
            expected = LZ4_RATIO * packed_bytes if method == LZ4 else LIMIT_BYTES
            if packed_bytes < HEADER.size or packed_bytes > LIMIT_BYTES or plain_bytes > min(expected, LIMIT_BYTES):
                raise QueryError(
                    271, "CANNOT_DECOMPRESS", f"A block of {packed_bytes} bytes cannot hold {plain_bytes}."
                )
            end = CHECKSUM.size + packed_bytes
            if len(self._buffer) < end:
                return
            block = bytes(self._buffer[CHECKSUM.size : end])
            if _checksum(block) != self._buffer[: CHECKSUM.size]:
                raise QueryError(40, "CHECKSUM_DOESNT_MATCH", "Checksum doesn't match: corrupted data.")
            del self._buffer[:end]
            yield _unpack(method, block[HEADER.size :], plain_bytes)

    def close(self) -> None:
        if self._buffer:
            raise QueryError(32, "ATTEMPT_TO_READ_AFTER_EOF", "The compressed body ends inside a block.")


def _unpack(method: int, packed: bytes, plain_bytes: int) -> bytes:
    try:
        if method == LZ4:
            return bytes(lz4.block.decompress(packed, uncompressed_size=plain_bytes))
        if method == ZSTD:
            return zstd.ZstdDecompressor().decompress(packed, plain_bytes)
    except (lz4.block.LZ4BlockError, zstd.ZstdError) as error:
        raise QueryError(271, "CANNOT_DECOMPRESS", f"Cannot decompress a block: {error}") from error
    if method == NONE:
        return packed
    raise QueryError(89, "UNKNOWN_COMPRESSION_METHOD", f"Unknown compression method: {method:#x}. Use LZ4 or ZSTD.")
