"""The rows of `curve`: least and greatest value of each 2^10 and 2^12 steps.

They are what the table's materialised views would compute (a test compares them), at a tenth of the cost: here the rows
stand in the order of their steps, there they are found by hashing. `INCLUDED` in the `log_comment` of an insert tells
the views that the rows come with it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runstream_ingest.native import Block
from runstream_ingest.stacks import Keys, Stack
from runstream_ingest.tables import block_of_columns
from runstream_ingest.varints import Longs

LEVELS = (10, 12)
INCLUDED = "runstream: curve included"
_Doubles = NDArray[np.float64]


class _Tier(NamedTuple):
    """B buckets of M metrics: `low` and `high` are M x B, the rest B values long."""

    group: Longs
    bucket: Longs
    low: _Doubles
    high: _Doubles
    t0: Longs
    t1: Longs
    s0: Longs
    s1: Longs


class Curves:
    def __init__(self, projects: Keys, metrics: Keys) -> None:
        self._projects, self._metrics = projects, metrics
        self._rows = 0
        self._columns: list[tuple[NDArray[Any], ...]] = []

    def add(self, stack: Stack, values: _Doubles) -> None:
        """One row for each group, metric, level and bucket; `values` is G x M x R."""
        tiers: list[_Tier] = []
        for level in LEVELS:
            tiers.append(_first(stack, values, level) if not tiers else _coarser(tiers[-1], level - LEVELS[0]))
        group, bucket, low, high, *times_and_steps = (
            np.concatenate(part, axis=-1) for part in zip(*tiers, strict=True)
        )
        metrics, buckets = low.shape
        level_of = np.repeat(np.array(LEVELS, np.uint8), [len(tier.bucket) for tier in tiers])
        of_bucket = (stack.projects(self._projects)[group], stack.runs[group], stack.ranks[group], level_of, bucket)
        project, run, rank, lvl, bucket, *rest = (
            np.tile(column, (metrics, 1)) if column.ndim == 2 else np.tile(column, metrics)
            for column in (*of_bucket, *times_and_steps)
        )
        metric = np.repeat(self._metrics.places(stack.keys), buckets)
        self._columns.append((project, run, metric, rank, lvl, bucket, low.ravel(), high.ravel(), *rest))
        self._rows += metrics * buckets

    def block(self) -> Block:
        if not self._rows:
            return block_of_columns("curve", 0, *((),) * 12)
        project, run, metric, *rest = (np.concatenate(parts) for parts in zip(*self._columns, strict=True))
        keyed = self._projects.keyed(project), run, self._metrics.keyed(metric)
        return block_of_columns("curve", self._rows, *keyed, *rest)


def _first(stack: Stack, values: _Doubles, level: int) -> _Tier:
    """The finest tier, of the points themselves."""
    g, m, r = stack.shape
    group, bucket = np.repeat(np.arange(g), r), (stack.steps >> level).ravel()
    table = values[0] if g == 1 else values.transpose(1, 0, 2).reshape(m, g * r)
    steps, times_us = stack.steps.ravel(), stack.times_us.ravel()
    if (stack.steps[:, 1:] < stack.steps[:, :-1]).any():
        order = np.lexsort((bucket, group))
        bucket, steps, times_us, table = bucket[order], steps[order], times_us[order], table[:, order]
    finite = np.isfinite(table)
    if not finite.all():
        table = np.where(finite, table, np.nan)
    return _folded(_Tier(group, bucket, table, table, times_us, times_us, steps, steps))


def _coarser(tier: _Tier, shift: int) -> _Tier:
    return _folded(tier._replace(bucket=tier.bucket >> shift))


def _folded(tier: _Tier) -> _Tier:
    """Neighbours of the same group and bucket become one."""
    group, bucket = tier.group, tier.bucket
    begins = np.ones(len(bucket), np.bool_)
    begins[1:] = (bucket[1:] != bucket[:-1]) | (group[1:] != group[:-1])
    at = np.flatnonzero(begins)
    # fmin and fmax pass over NaN, which stands for a bucket without a finite value.
    return _Tier(
        group[at],
        bucket[at],
        np.fmin.reduceat(tier.low, at, axis=1),
        np.fmax.reduceat(tier.high, at, axis=1),
        np.minimum.reduceat(tier.t0, at),
        np.maximum.reduceat(tier.t1, at),
        np.minimum.reduceat(tier.s0, at),
        np.maximum.reduceat(tier.s1, at),
    )
