"""Two texts beside each other, line by line, with long stretches that are the same folded away."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_CONTEXT = 3
MAX_LINES = 3_000


@dataclass(frozen=True, slots=True)
class Pair:
    """A line of each side with its number, from 1; a side without a counterpart is None. `hidden` lines that are the
    same on both sides were left out in its place."""

    how: Literal["same", "changed", "added", "removed", "hidden"]
    left: tuple[int, str] | None = None
    right: tuple[int, str] | None = None
    hidden: int = 0


def pairs(left: str, right: str, *, context: int = _CONTEXT) -> list[Pair]:
    """Lines of both texts in order; of equal stretches only `context` lines beside a change are kept.

    At most `MAX_LINES` lines of each text are compared.
    """
    old, new = left.splitlines()[:MAX_LINES], right.splitlines()[:MAX_LINES]
    found: list[Pair] = []
    codes = difflib.SequenceMatcher(None, old, new).get_opcodes()
    for place, (tag, a0, a1, b0, b1) in enumerate(codes):
        if tag == "equal":
            head = context if place > 0 else 0
            tail = context if place < len(codes) - 1 else 0
            found += _equal(old, a0, b0, a1 - a0, head, tail)
            continue
        for row in range(max(a1 - a0, b1 - b0)):
            was = (a0 + row + 1, old[a0 + row]) if a0 + row < a1 else None
            now = (b0 + row + 1, new[b0 + row]) if b0 + row < b1 else None
            found.append(Pair("changed" if was and now else "removed" if was else "added", was, now))
    return found


def _equal(lines: Sequence[str], a0: int, b0: int, count: int, head: int, tail: int) -> list[Pair]:
    def same(row: int) -> Pair:
        return Pair("same", (a0 + row + 1, lines[a0 + row]), (b0 + row + 1, lines[a0 + row]))

    if count <= head + tail + 1:
        return [same(row) for row in range(count)]
    return [
        *(same(row) for row in range(head)),
        Pair("hidden", hidden=count - head - tail),
        *(same(row) for row in range(count - tail, count)),
    ]
