"""Avro longs of a whole array at once: variable-length zigzag, 7 bits a byte, lowest first.

Steps and times of neighbouring rows have the same encoded length, so a block of them is encoded as one large integer
with 64 bits a value: a few shifts and masks move the groups of 7 bits of all values to their bytes. That costs a tenth
of an encoder that visits each value, and what does not fit the pattern goes to fastavro.
"""

from __future__ import annotations

import struct
from array import array
from functools import cache
from io import BytesIO

import fastavro

LANES = 1024
_LONGS = fastavro.parse_schema({"type": "array", "items": "long"})
_LONG = fastavro.parse_schema({"type": "long"})


def encode_long(value: int) -> bytes:
    """One Avro `long`."""
    out = BytesIO()
    fastavro.schemaless_writer(out, _LONG, value)
    return out.getvalue()


def encode_longs(values: array[int]) -> bytes:
    """`values` (type code q) as an Avro `array<long>` of one block, byte for byte what fastavro writes."""
    if not values:
        return b"\x00"
    parts = [encode_long(len(values))]
    for start in range(0, len(values), LANES):
        lanes = values[start : start + LANES]
        parts.append(_same_length(lanes) or _one_by_one(lanes))
    parts.append(b"\x00")
    return b"".join(parts)


def _one_by_one(values: array[int]) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, _LONGS, values)
    return out.getvalue()[len(encode_long(len(values))) : -1]


def _same_length(values: array[int]) -> bytes | None:
    """The values without count and end, or None unless all are in 0..2^55-1 and encode to equally many bytes."""
    n = len(values)
    first = values[0]
    if n < 32 or not 0 <= first < 1 << 55:
        return None
    length = max(1, (first.bit_length() + 7) // 7)
    # Zigzag of a value that is not negative is a shift by one. Too large or negative values show in the top byte.
    x = int.from_bytes(values.tobytes(), "little") << 1
    if x.bit_length() > 64 * n or x & _mask(0xFF << 56, n):
        return None
    x = x & _mask(0x000000000FFFFFFF, n) | (x & _mask(0x00FFFFFFF0000000, n)) << 4
    x = x & _mask(0x00003FFF00003FFF, n) | (x & _mask(0x0FFFC0000FFFC000, n)) << 2
    x = x & _mask(0x007F007F007F007F, n) | (x & _mask(0x3F803F803F803F80, n)) << 1
    x |= _mask(0x8080808080808080 & ((1 << 8 * (length - 1)) - 1), n)
    spread = x.to_bytes(8 * n, "little")
    if any(spread[byte::8].count(0) != n for byte in range(length, 8)):
        return None
    if length > 1 and 0 in spread[length - 1 :: 8]:
        return None
    if length == 8:
        return spread
    packed = bytearray(length * n)
    for byte in range(length):
        packed[byte::length] = spread[byte::8]
    return bytes(packed)


@cache
def _full_mask(lane: int) -> int:
    return int.from_bytes(struct.pack("<Q", lane) * LANES, "little")


def _mask(lane: int, n: int) -> int:
    return _full_mask(lane) >> 64 * (LANES - n) if n < LANES else _full_mask(lane)
