"""Frames exploded into the columns of `points`, and what is computed of them, without an object a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from runstream_ingest.buffers import Buffers, Carver, size_of
from runstream_ingest.curves import Curves
from runstream_ingest.frames import Frame
from runstream_ingest.native import Block
from runstream_ingest.stacks import Keys, Stack, stacked
from runstream_ingest.summaries import Redone, Summaries
from runstream_ingest.tables import block_of_columns

_DTYPES = (np.uint32, np.int64, np.int64, np.float64, np.uint64, np.uint16, np.uint64, np.int32, np.int64)
"""Of the columns of `points` from `rank` to `src_offset`."""


class PointBlocks(NamedTuple):
    """Blocks by the name of their table; empty when no frame has a point."""

    points: Block
    metric_summary: Block
    curve: Block


def blocks_of(
    frames: Sequence[Frame], redone: Redone = MappingProxyType({}), buffers: Buffers | None = None
) -> PointBlocks:
    """What the frames write, their summaries and tiers of curves included.

    The columns of `points` lie in memory of `buffers`; `Block.memory` is to be given back when they were sent.
    """
    stacks = stacked(frames)
    projects = Keys(sum(len(stack.groups) for stack in stacks))
    metrics = Keys(sum({id(stack.keys): len(stack.keys.names) for stack in stacks}.values()))
    points = _Points(sum(stack.points for stack in stacks), projects, metrics, buffers or Buffers())
    summaries = Summaries(sum(len(stack.groups) * len(stack.keys.names) for stack in stacks), projects, metrics)
    curves = Curves(projects, metrics)
    for stack in stacks:
        values = points.add(stack)
        summaries.add(stack, values, redone)
        curves.add(stack, values)
    return PointBlocks(points.block(), summaries.block(), curves.block())


class _Points:
    def __init__(self, rows: int, projects: Keys, metrics: Keys, buffers: Buffers) -> None:
        self._projects, self._metrics = projects, metrics
        self._rows = rows
        self._at = 0
        dtypes = (projects.dtype, "2u8", metrics.dtype, *_DTYPES)
        self._memory = buffers.take(size_of(rows, *dtypes))
        columns = Carver(self._memory)
        self.project = columns.array(rows, projects.dtype)
        self.run_id = columns.array(2 * rows, np.uint64).reshape(rows, 2)
        self.metric = columns.array(rows, metrics.dtype)
        (
            self.rank,
            self.step,
            self.ts_us,
            self.value,
            self.ver,
            self.attempt,
            self.writer,
            self.src_partition,
            self.src_offset,
        ) = (columns.array(rows, dtype) for dtype in _DTYPES)

    def add(self, stack: Stack) -> NDArray[np.float64]:
        """Fills the stack's place; the values as G x M x R, metrics in the order of their bytes."""
        g, m, r = stack.shape
        here = slice(self._at, self._at + stack.points)
        self._at = here.stop
        for column, of_group in (
            (self.project, stack.projects(self._projects)),
            (self.rank, stack.ranks),
            (self.attempt, stack.attempts),
            (self.writer, stack.writers),
            (self.src_partition, stack.partitions),
        ):
            column[here].reshape(g, m * r)[:] = of_group[:, None]
        self.run_id[here].reshape(g, m * r, 2)[:] = stack.runs[:, None]
        self.metric[here].reshape(g, m, r)[:] = self._metrics.places(stack.keys)[:, None]
        for column, of_row in (
            (self.step, stack.steps),
            (self.ts_us, stack.times_us),
            (self.ver, stack.vers),
            (self.src_offset, stack.offsets),
        ):
            column[here].reshape(stack.shape)[:] = of_row[:, None]
        # As integers: copying them keeps the bits of a NaN whatever the processor does with doubles.
        values = self.value[here].view(np.int64).reshape(stack.shape)
        stack.fill_values(values)
        return cast("NDArray[np.float64]", values.view(np.float64))

    def block(self) -> Block:
        block = block_of_columns(
            "points",
            self._rows,
            self._projects.keyed(self.project),
            self.run_id,
            self._metrics.keyed(self.metric),
            self.rank,
            self.step,
            self.ts_us,
            self.value,
            self.ver,
            self.attempt,
            self.writer,
            self.src_partition,
            self.src_offset,
        )
        return replace(block, memory=self._memory)
