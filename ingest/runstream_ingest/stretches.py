"""Sets of sequence numbers as stretches.

`[0, 10, 20, 30]` holds 0 to 9 and 20 to 29: starts and ends in turn, rising, no two stretches touching. A writer that
lost nothing has one stretch, so the usual case is a list of two numbers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

Stretches = list[int]


def add(held: Stretches, start: int, end: int) -> None:
    """Puts `start` to `end` - 1 in."""
    if start >= end:
        return
    i, j = bisect_left(held, start), bisect_right(held, end)
    held[i:j] = ([] if i & 1 else [start]) + ([] if j & 1 else [end])


def remove(held: Stretches, start: int, end: int) -> None:
    """Takes `start` to `end` - 1 out."""
    if start >= end:
        return
    i, j = bisect_left(held, start), bisect_right(held, end)
    held[i:j] = ([start] if i & 1 else []) + ([end] if j & 1 else [])


def missing(held: Stretches, start: int, end: int) -> list[tuple[int, int]]:
    """The pieces of `start` to `end` - 1 that are not in it, each as start and end."""
    pieces = []
    i = bisect_right(held, start)
    if i & 1:
        start = held[i]
        i += 1
    while start < end:
        stop = min(end, held[i]) if i < len(held) else end
        pieces.append((start, stop))
        if i + 1 >= len(held):
            break
        start = held[i + 1]
        i += 2
    return pieces


def around(held: Stretches, number: int) -> tuple[int, int]:
    """The stretch that holds `number`, which must be in it, as start and end."""
    i = bisect_right(held, number)
    return held[i - 1], held[i]
