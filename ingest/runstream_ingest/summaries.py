"""The rows of `metric_summary`: one for each writer and metric of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from runstream_ingest.frames import Origin
from runstream_ingest.native import Block, Parts
from runstream_ingest.stacks import Keys, Stack
from runstream_ingest.tables import block_of_columns

Redone = Mapping[tuple[Origin, int], tuple[int, int]]
"""The lowest and highest step logged again or out of order, by writer and `id` of the key set."""
_NO_STEPS = ((1 << 63) - 1, -(1 << 63))
_LAST = (1 << 64) - 1


class Summaries:
    def __init__(self, rows: int, projects: Keys, metrics: Keys) -> None:
        self._projects, self._metrics = projects, metrics
        self._rows = rows
        self._at = 0
        self.project = np.empty(rows, projects.dtype)
        self.metric = np.empty(rows, metrics.dtype)
        self.run_id = np.empty((rows, 2), np.uint64)
        self.rank = np.empty(rows, np.uint32)
        self.writer = np.empty(rows, np.uint64)
        self.min = np.empty(rows, np.float64)
        self.max = np.empty(rows, np.float64)
        self.attempt = np.empty(rows, np.uint16)
        self.first: tuple[Any, ...] = (*(np.empty(rows, t) for t in (np.int64, np.uint64, np.float64)),)
        self.last: tuple[Any, ...] = (*(np.empty(rows, t) for t in (np.int64, np.uint64, np.float64)),)
        self.first_us = np.empty(rows, np.int64)
        self.last_us = np.empty(rows, np.int64)
        self.counts = tuple(np.zeros(rows, np.uint64) for _ in range(3))
        self.redo_lo, self.redo_hi = (np.full(rows, bound, np.int64) for bound in _NO_STEPS)

    def add(self, stack: Stack, values: NDArray[np.float64], redone: Redone) -> None:
        """One row for each group and metric; `values` is G x M x R."""
        g, m, r = stack.shape
        here = slice(self._at, self._at + g * m)
        self._at = here.stop
        each = np.arange(g)
        self.metric[here].reshape(g, m)[:] = self._metrics.places(stack.keys)
        self.run_id[here].reshape(g, m, 2)[:] = stack.runs[:, None]
        for column, of_group in (
            (self.project, stack.projects(self._projects)),
            (self.rank, stack.ranks),
            (self.writer, stack.writers),
            (self.attempt, stack.attempts),
            (self.first_us, stack.times_us.min(axis=1)),
            (self.last_us, stack.times_us.max(axis=1)),
        ):
            column[here].reshape(g, m)[:] = of_group[:, None]
        self.min[here] = _least(values.reshape(g * m, r))
        self.max[here] = _greatest(values.reshape(g * m, r))
        steps, vers = stack.steps, stack.vers
        lowest = np.where(steps == steps.min(axis=1)[:, None], vers, _LAST).argmin(axis=1)
        highest = np.where(steps == steps.max(axis=1)[:, None], vers, 0).argmax(axis=1)
        for row, (step, ver, value) in ((lowest, self.first), (highest, self.last)):
            step[here].reshape(g, m)[:] = steps[each, row][:, None]
            ver[here].reshape(g, m)[:] = vers[each, row][:, None]
            value[here].reshape(g, m)[:] = values[each, :, row]
        if redone:
            found = [redone.get((group.origin, id(group.keys)), _NO_STEPS) for group in stack.groups]
            for column, bound in zip((self.redo_lo, self.redo_hi), np.array(found, np.int64).T, strict=True):
                column[here].reshape(g, m)[:] = bound[:, None]
        for column, counted in zip(self.counts, stack.counts(), strict=True):
            column[here].reshape(g, m)[:] = counted

    def block(self) -> Block:
        return block_of_columns(
            "metric_summary",
            self._rows,
            self._projects.keyed(self.project),
            self._metrics.keyed(self.metric),
            self.run_id,
            self.rank,
            self.writer,
            self.min,
            self.max,
            Parts(self.first),
            Parts((self.attempt, *self.last)),
            self.first_us,
            self.last_us,
            *self.counts,
            self.redo_lo,
            self.redo_hi,
        )


def _least(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least number of each line; NaN where there is none."""
    found = values.min(axis=1)
    unsure = np.flatnonzero(np.isnan(found))
    if len(unsure):
        found[unsure] = np.fmin.reduce(values[unsure], axis=1)
    return cast("NDArray[np.float64]", found)


def _greatest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    found = values.max(axis=1)
    unsure = np.flatnonzero(np.isnan(found))
    if len(unsure):
        found[unsure] = np.fmax.reduce(values[unsure], axis=1)
    return cast("NDArray[np.float64]", found)
