"""The version of a row: a pure function of its event, so that a redelivery writes the same row."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

EPOCH_US = 1_735_689_600_000_000
"""2025-01-01 UTC."""
_LAST = (1 << 50) - 1


def version(attempt: int, time_us: int, writer: int) -> int:
    """`min(attempt, 255) << 56 | clip(time_us - 2025) << 6 | writer & 63`."""
    return min(attempt, 255) << 56 | min(max(time_us - EPOCH_US, 0), _LAST) << 6 | writer & 63


def versions(
    attempts: NDArray[np.uint16], times_us: NDArray[np.int64], writers: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """`version` of each; the arrays are broadcast against one another."""
    clipped = np.clip(times_us, EPOCH_US, EPOCH_US + _LAST)
    clipped -= EPOCH_US
    clipped <<= 6
    found = cast("NDArray[np.uint64]", clipped.view(np.uint64))
    found |= np.minimum(attempts, 255).astype(np.uint64) << np.uint64(56) | writers & np.uint64(63)
    return found
