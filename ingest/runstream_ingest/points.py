"""Frames exploded into the columns of `points`, and their summaries, without an object a point.

Rows of one writer with the same metrics are one group: a matrix of metrics x rows in each column. Groups of the same
metrics and as many rows are stacked, so that a thousand writers of one row each cost a handful of numpy calls, as one
writer of many rows does. Large groups stand in the order of the table's sort key and metrics in the order of their
bytes, so that ClickHouse mostly finds a block sorted and need not sort it (measured: a fifth of an insert).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from runstream_ingest.frames import Counts, Frame, KeySet, Origin, Rows
from runstream_ingest.native import Block, Keyed, Parts, index_type
from runstream_ingest.tables import block_of_columns
from runstream_ingest.varints import Longs
from runstream_ingest.versions import versions

SMALL = 512
"""Groups with fewer points than this are stacked where there are many: calls would cost more than points."""
FEW = 16
Redone = Mapping[tuple[Origin, int], tuple[int, int]]
"""The lowest and highest step logged again or out of order, by writer and `id` of the key set."""
_NO_STEPS = ((1 << 63) - 1, -(1 << 63))
_LOW_HALF = (1 << 64) - 1
_Words = NDArray[np.uint64]


def blocks_of(frames: Sequence[Frame], redone: Redone = MappingProxyType({})) -> tuple[Block, Block]:
    """The blocks of `points` and `metric_summary`; both are empty when no frame has a point."""
    stacks = _stacked(_grouped(frames))
    projects = _Keys(sum(len(stack.groups) for stack in stacks))
    metrics = _Keys(sum({id(stack.keys): len(stack.keys.names) for stack in stacks}.values()))
    points = _Points(sum(stack.points for stack in stacks), projects, metrics)
    summary = _Summary(sum(len(stack.groups) * len(stack.keys.names) for stack in stacks), projects, metrics)
    for stack in stacks:
        values = points.add(stack)
        summary.add(stack, values, redone)
    return points.block(), summary.block()


class _Group:
    """Rows of one writer with one key set, in the order in which they came, each piece with its message's offset."""

    __slots__ = ("keys", "offsets", "origin", "partition", "pieces", "rows")

    def __init__(self, origin: Origin, keys: KeySet, partition: int) -> None:
        self.origin = origin
        self.keys = keys
        self.partition = partition
        self.pieces: list[Rows] = []
        self.offsets: list[int] = []
        self.rows = 0

    @property
    def points(self) -> int:
        return self.rows * len(self.keys.names)

    @property
    def sort_key(self) -> tuple[bytes, int, int, bytes, int]:
        origin = self.origin
        # ClickHouse compares UUIDs by their second half first.
        return origin.project, origin.run & _LOW_HALF, origin.run >> 64, self.keys.first, origin.rank


def _grouped(frames: Sequence[Frame]) -> list[_Group]:
    groups: dict[tuple[Origin, int, int], _Group] = {}
    for frame in frames:
        origin, partition, offset = frame.origin, frame.record.partition, frame.record.offset
        for rows in frame.blocks:
            if not rows.values.size:
                continue
            key = (origin, id(rows.keys), partition)
            group = groups.get(key)
            if group is None:
                group = groups[key] = _Group(origin, rows.keys, partition)
            group.pieces.append(rows)
            group.offsets.append(offset)
            group.rows += len(rows.steps)
    return list(groups.values())


class _Stack:
    """`G` groups of the same `M` metrics and as many rows, `R`."""

    def __init__(self, groups: list[_Group]) -> None:
        self.groups = groups
        self.keys = groups[0].keys
        self.shape = (len(groups), len(self.keys.names), groups[0].rows)
        self._pieces = [piece for group in groups for piece in group.pieces]

    @property
    def points(self) -> int:
        g, m, r = self.shape
        return g * m * r

    def join(self) -> None:
        """Makes columns: of the groups (G), and of the rows of each (G x R)."""
        groups, pieces = self.groups, self._pieces
        g, _, r = self.shape
        origins = [group.origin for group in groups]
        self.runs = np.array([(origin.run >> 64, origin.run & _LOW_HALF) for origin in origins], np.uint64)
        self.writers = np.array([origin.writer for origin in origins], np.uint64)
        self.ranks = np.array([origin.rank for origin in origins], np.uint32)
        self.attempts = np.array([origin.attempt for origin in origins], np.uint16)
        self.partitions = np.array([group.partition for group in groups], np.int32)
        self.steps = _joined([piece.steps for piece in pieces]).reshape(g, r)
        self.times_us = _joined([piece.times_us for piece in pieces]).reshape(g, r)
        self.vers = versions(self.attempts[:, None], self.times_us, self.writers[:, None])
        offsets = [offset for group in groups for offset in group.offsets]
        self.offsets = np.repeat(offsets, [len(piece.steps) for piece in pieces]).reshape(g, r)

    def fill_values(self, out: NDArray[np.int64]) -> None:
        """Puts the values, as bits, into `out`: G x M x R, metrics in the order of their bytes."""
        order, row = self.keys.order, 0
        g, m, r = self.shape
        if g == 1:
            for piece in self._pieces:
                rows = piece.values.view(np.int64).T
                out[0, :, row : row + rows.shape[1]] = rows if order is None else rows[order]
                row += rows.shape[1]
            return
        values = np.concatenate([piece.values for piece in self._pieces]).view(np.int64)
        stacked = values.reshape(g, r, m).transpose(0, 2, 1)
        out[:] = stacked if order is None else stacked[:, order]

    def counts(self) -> tuple[_Words, ...]:
        """The greatest n, n_nan and n_inf of each group and metric: G x M, metrics in the order of their bytes."""
        none = np.zeros(self.shape[1], np.int64)
        nothing: Counts = (none, none, none)
        counts = [piece.counts or nothing for piece in self._pieces]
        starts = np.cumsum([0, *(len(group.pieces) for group in self.groups[:-1])])
        found = []
        for kind in range(3):
            each = np.concatenate([count[kind] for count in counts]).reshape(len(counts), -1)
            most = each if len(counts) == len(starts) else np.maximum.reduceat(each, starts, axis=0)
            found.append((most if self.keys.order is None else most[:, self.keys.order]).view(np.uint64))
        return tuple(found)


def _stacked(groups: list[_Group]) -> list[_Stack]:
    small = [group for group in groups if group.points < SMALL]
    if len(small) <= FEW:
        small = []
    apart = {id(group) for group in small}
    large = sorted((group for group in groups if id(group) not in apart), key=lambda group: group.sort_key)
    numbers: dict[int, int] = {}

    def shape(group: _Group) -> tuple[int, int]:
        return numbers.setdefault(id(group.keys), len(numbers)), group.rows

    small.sort(key=lambda group: (shape(group), group.sort_key))
    stacks = [_Stack([group]) for group in large]
    stacks += [_Stack(list(alike)) for _, alike in groupby(small, shape)]
    for stack in stacks:
        stack.join()
    return stacks


class _Keys:
    """The distinct texts of a column and their places."""

    def __init__(self, at_most: int) -> None:
        self.dtype = index_type(max(1, at_most))
        self._places: dict[bytes, int] = {}
        self._of_sets: dict[int, NDArray[Any]] = {}

    def place(self, text: bytes) -> int:
        return self._places.setdefault(text, len(self._places))

    def places(self, keys: KeySet) -> NDArray[Any]:
        """The places of the key set's names, in the order of their bytes."""
        known = self._of_sets.get(id(keys))
        if known is None:
            names = keys.names if keys.order is None else [keys.names[i] for i in keys.order]
            known = self._of_sets[id(keys)] = np.array([self.place(name) for name in names], self.dtype)
        return known

    def keyed(self, index: NDArray[Any]) -> Keyed:
        return Keyed(list(self._places), index)


class _Points:
    def __init__(self, rows: int, projects: _Keys, metrics: _Keys) -> None:
        self._projects, self._metrics = projects, metrics
        self._rows = rows
        self._at = 0
        self.project = np.empty(rows, projects.dtype)
        self.run_id = np.empty((rows, 2), np.uint64)
        self.metric = np.empty(rows, metrics.dtype)
        self.rank = np.empty(rows, np.uint32)
        self.step = np.empty(rows, np.int64)
        self.ts_us = np.empty(rows, np.int64)
        self.value = np.empty(rows, np.float64)
        self.ver = np.empty(rows, np.uint64)
        self.attempt = np.empty(rows, np.uint16)
        self.writer = np.empty(rows, np.uint64)
        self.src_partition = np.empty(rows, np.int32)
        self.src_offset = np.empty(rows, np.int64)

    def add(self, stack: _Stack) -> NDArray[np.float64]:
        """Fills the stack's place; the values as G x M x R, metrics in the order of their bytes."""
        g, m, r = stack.shape
        here = slice(self._at, self._at + stack.points)
        self._at = here.stop
        projects = [self._projects.place(group.origin.project) for group in stack.groups]
        for column, of_group in (
            (self.project, np.array(projects, self.project.dtype)),
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
        return block_of_columns(
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


class _Summary:
    def __init__(self, rows: int, projects: _Keys, metrics: _Keys) -> None:
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

    def add(self, stack: _Stack, values: NDArray[np.float64], redone: Redone) -> None:
        """One row for each group and metric; `values` is G x M x R."""
        g, m, r = stack.shape
        here = slice(self._at, self._at + g * m)
        self._at = here.stop
        each = np.arange(g)
        projects = [self._projects.place(group.origin.project) for group in stack.groups]
        self.metric[here].reshape(g, m)[:] = self._metrics.places(stack.keys)
        self.run_id[here].reshape(g, m, 2)[:] = stack.runs[:, None]
        for column, of_group in (
            (self.project, np.array(projects, self.project.dtype)),
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
        lowest = np.where(steps == steps.min(axis=1)[:, None], vers, _LOW_HALF).argmin(axis=1)
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


def _joined(parts: list[Longs]) -> Longs:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
