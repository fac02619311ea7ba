"""Memory for the columns of batches, used again by the batches that follow.

A batch of a million points has 76 MB of columns. Asking the system for them each time costs a page fault for every
4 KiB; and what settles in the heap between two of them lets the process grow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
SMALLEST = 4 << 20
"""Less than this is not worth keeping."""
SPARE = 2
"""Buffers kept that no batch uses: one is inserted while the next is made."""
PATIENCE = 200
"""A large buffer is let go when so many batches in a row were small."""
_LINE = 64


class Buffers:
    """Lends memory. What is never given back is simply freed."""

    def __init__(self) -> None:
        self._spare: list[Bytes] = []
        self._small = 0

    def take(self, size: int) -> Bytes:
        """At least `size` bytes, with anything in them."""
        if size < SMALLEST:
            self._small += 1
            if self._small > PATIENCE:
                self._spare.clear()
            return np.empty(size, np.uint8)
        self._small = 0
        for place, buffer in enumerate(self._spare):
            if buffer.nbytes >= size:
                return self._spare.pop(place)
        # Batches are about as large as each other: a little more makes it do for most that follow.
        self._spare.clear()
        return np.empty(size + size // 8, np.uint8)

    def give(self, buffer: Bytes) -> None:
        """`buffer` is not used any more."""
        if buffer.nbytes >= SMALLEST and len(self._spare) < SPARE:
            self._spare.append(buffer)


class Carver:
    """Cuts arrays out of a buffer."""

    def __init__(self, buffer: Bytes) -> None:
        self._buffer = buffer
        self._at = 0

    def array(self, count: int, dtype: Any) -> NDArray[Any]:
        """`count` values of `dtype`, with anything in them."""
        start, size = self._at, count * np.dtype(dtype).itemsize
        self._at = start + _whole(size)
        return self._buffer[start : start + size].view(dtype)


def size_of(count: int, *dtypes: Any) -> int:
    """Bytes of a buffer from which an array of `count` values of each of `dtypes` can be cut."""
    return sum(_whole(count * np.dtype(dtype).itemsize) for dtype in dtypes)


def _whole(size: int) -> int:
    return -(-size // _LINE) * _LINE
