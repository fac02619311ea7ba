"""Steps that a writer logs again or out of order: what makes incremental summaries wrong.

Each writer has, for each group of metrics, the highest step logged so far; a row whose step is not above it is
disorder. Key sets that share a metric are one group, so a metric that is logged by two alternating calls is looked at
as a whole. Too much may be found (the metrics of a group are not told apart), never too little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from runstream_ingest.frames import Frame, KeySet, Origin, Rows
from runstream_ingest.varints import Longs

MAX_KEY_SETS = 256
"""A writer with more of them has one group."""
_NOTHING = -(1 << 63) - 1
Redone = dict[tuple[Origin, int], tuple[int, int]]
"""The lowest and highest step in disorder, by writer and `id` of the key set."""


def join(into: Redone, found: Mapping[tuple[Origin, int], tuple[int, int]]) -> None:
    """Widens the ranges of `into` by those of `found`."""
    for key, (lo, hi) in found.items():
        have = into.get(key)
        into[key] = (lo, hi) if have is None else (min(lo, have[0]), max(hi, have[1]))


class StepOrder:
    """The highest steps of one writer. `logged`: those that are durable by metric, when the writer was met before."""

    __slots__ = ("_groups", "_highest", "_is_one", "_logged")

    def __init__(self, logged: Mapping[bytes, int] | None = None) -> None:
        self._logged = dict(logged) if logged else None
        self._groups: dict[KeySet, int] = {}
        self._highest: list[int] = []
        self._is_one = False

    def check(self, frame: Frame) -> Redone:
        """Takes the frame's steps in; the ranges of those in disorder."""
        if len(frame.blocks) == 1:
            block = frame.blocks[0]
            found = self._check(self._group(block.keys), block.steps) if len(block.steps) else None
            return {(frame.origin, id(block.keys)): found} if found else {}
        blocks = [block for block in frame.blocks if len(block.steps)]
        for block in blocks:
            self._group(block.keys)  # all first: a later one may join the groups of earlier ones
        redone: Redone = {}
        blocks.sort(key=lambda block: self._group(block.keys))
        for group, alike in groupby(blocks, lambda block: self._group(block.keys)):
            together = list(alike)
            found = self._check(group, _in_order(together))
            if found:
                redone |= {(frame.origin, id(block.keys)): found for block in together}
        return redone

    def _check(self, group: int, steps: Longs) -> tuple[int, int] | None:
        before = self._highest[group]
        if int(steps[0]) > before and (len(steps) == 1 or (steps[1:] > steps[:-1]).all()):
            self._highest[group] = int(steps[-1])
            return None
        highest = np.maximum.accumulate(steps)
        wrong = np.empty(len(steps), np.bool_)
        wrong[0] = int(steps[0]) <= before
        wrong[1:] = steps[1:] <= highest[:-1]
        if before > _NOTHING:
            wrong |= steps <= before
        self._highest[group] = max(before, int(highest[-1]))
        redone = steps[wrong]
        return int(redone.min()), int(redone.max())

    def _group(self, keys: KeySet) -> int:
        known = self._groups.get(keys)
        if known is not None:
            return known
        if len(self._groups) >= MAX_KEY_SETS:
            self._join_all()
        group = self._near(keys)
        if self._logged:
            logged = max((self._logged.get(name, _NOTHING) for name in keys.names), default=_NOTHING)
            self._highest[group] = max(self._highest[group], logged)
        if not self._is_one:
            self._groups[keys] = group
        return group

    def _near(self, keys: KeySet) -> int:
        """The group of a new key set, made of all those that it shares a metric with."""
        if self._is_one:
            return 0
        names = set(keys.names)
        near = sorted({group for other, group in self._groups.items() if not names.isdisjoint(other.names)})
        if not near:
            self._highest.append(_NOTHING)
            return len(self._highest) - 1
        if len(near) > 1:
            self._highest[near[0]] = max(self._highest[group] for group in near)
            self._groups.update({other: near[0] for other, group in self._groups.items() if group in near})
        return near[0]

    def _join_all(self) -> None:
        self._highest = [max(self._highest + list((self._logged or {}).values()))]
        self._groups.clear()
        self._is_one, self._logged = True, None


def _in_order(blocks: Sequence[Rows]) -> Longs:
    """The steps of blocks of one frame in the order of their rows."""
    if len(blocks) == 1:
        return blocks[0].steps
    places = np.concatenate([np.arange(len(b.steps)) if b.at is None else b.at for b in blocks])
    return np.concatenate([block.steps for block in blocks])[places.argsort()]
