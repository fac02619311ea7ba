"""Avro's variable-length longs, one at a time and as whole arrays in numpy.

Encoding: 7 bits a byte, lowest first, the high bit says that more follow; zigzag, so that small negative numbers are
short.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from runstream_ingest.errors import MessageUnusable

Longs = NDArray[np.int64]

MAX_BYTES = 10
FEW = 32
"""Below this many values a Python loop is faster than numpy."""
_U64 = np.uint64
_KEEP = np.array([(1 << 8 * n) - 1 for n in range(9)] + [(1 << 64) - 1] * 2, dtype=_U64)
_SHIFTS = tuple(
    (_U64(low), _U64(high), _U64(shift))
    for low, high, shift in (
        (0x007F007F007F007F, 0x7F007F007F007F00, 1),
        (0x00003FFF00003FFF, 0x3FFF00003FFF0000, 2),
        (0x000000000FFFFFFF, 0x0FFFFFFF00000000, 4),
    )
)


def truncated(what: str, *, at: int, size: int) -> MessageUnusable:
    return MessageUnusable("truncated", f"it ends inside {what}: byte {at} of {size}")


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """The long at byte `at` and the place after it. Raises MessageUnusable."""
    try:
        byte = data[at]
        if byte < 0x80:
            return (byte >> 1) ^ -(byte & 1), at + 1
        value, shift, start = byte & 0x7F, 7, at
        while True:
            at += 1
            byte = data[at]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift >= 7 * MAX_BYTES:
                raise MessageUnusable("unreadable", f"the number at byte {start} has more than {MAX_BYTES} bytes")
    except IndexError:
        raise truncated("a number", at=len(data), size=len(data)) from None
    value &= 0xFFFFFFFFFFFFFFFF
    return (value >> 1) ^ -(value & 1), at + 1


def read_longs(data: bytes, at: int, count: int) -> tuple[Longs, int]:
    """`count` >= 1 longs from byte `at`, and the place after them; allocates no more than `data` can hold."""
    if count > len(data) - at:
        raise truncated(f"{count} numbers", at=len(data), size=len(data))
    if count < FEW:
        few = []
        for _ in range(count):
            value, at = read_long(data, at)
            few.append(value)
        return np.array(few, np.int64), at
    window = np.frombuffer(data, np.uint8, min(len(data) - at, MAX_BYTES * count), at)
    ends = np.flatnonzero(window < 0x80)[:count]
    if len(ends) < count:
        return _read_slowly(data, at, count)
    starts = np.empty(count, np.int64)
    starts[0] = 0
    starts[1:] = ends[:-1]
    starts[1:] += 1
    lengths = ends - starts
    lengths += 1
    if int(lengths.max()) > 8 or at + int(starts[-1]) + 8 > len(data):
        return _read_lanes(data, window, starts, lengths), at + int(ends[-1]) + 1
    # Eight bytes from each start at once, then the groups of 7 bits move together in three steps.
    raw = np.ndarray((int(starts[-1]) + 1,), "<u8", data, at, (1,))[starts]
    raw &= _KEEP[lengths]
    raw &= _U64(0x7F7F7F7F7F7F7F7F)
    for low, high, shift in _SHIFTS:
        raw = (raw & low) | ((raw & high) >> shift)
    return _zigzag(raw), at + int(ends[-1]) + 1


def _read_lanes(data: bytes, window: NDArray[np.uint8], starts: Longs, lengths: Longs) -> Longs:
    longest = int(lengths.max())
    if longest > MAX_BYTES:
        raise MessageUnusable("unreadable", f"a number has more than {MAX_BYTES} bytes")
    raw = (window[starts] & 0x7F).astype(_U64)
    for lane in range(1, longest):
        has = np.flatnonzero(lengths > lane)
        raw[has] |= (window[starts[has] + lane] & 0x7F).astype(_U64) << _U64(7 * lane)
    return _zigzag(raw)


def _read_slowly(data: bytes, at: int, count: int) -> tuple[Longs, int]:
    """Only to say what is wrong: `count` numbers do not end within 10 bytes each, so one is too long or cut off."""
    for _ in range(count):
        _, at = read_long(data, at)
    raise MessageUnusable("unreadable", "numbers are not encoded as longs")


def _zigzag(raw: NDArray[np.uint64]) -> Longs:
    sign = -(raw & _U64(1)).view(np.int64)
    raw >>= _U64(1)
    return cast("Longs", raw.view(np.int64) ^ sign)
