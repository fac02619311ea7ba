"""Frames exploded into the columns of `points`, and their summaries, without an object a point.

Frames of one writer with the same metrics are one group: a matrix of metrics x rows in each column, filled by a handful
of numpy calls whatever its size. Groups stand in the order of the table's sort key and metrics in the order of their
bytes, so that ClickHouse mostly finds a block sorted and need not sort it (measured: a fifth of an insert).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from runstream_ingest.frames import Frame, KeySet, Origin
from runstream_ingest.native import Block, Keyed, Parts, index_type
from runstream_ingest.tables import block_of_columns
from runstream_ingest.varints import Longs
from runstream_ingest.versions import versions

_LOW_HALF = (1 << 64) - 1


def blocks_of(frames: Sequence[Frame]) -> tuple[Block, Block]:
    """The blocks of `points` and `metric_summary`; both are empty when no frame has a point."""
    groups = _grouped(frames)
    projects = _Keys(len(groups))
    metrics = _Keys(sum({id(group.keys): len(group.keys.names) for group in groups}.values()))
    points = _Points(sum(group.points for group in groups), projects, metrics)
    summary = _Summary(sum(len(group.keys.names) for group in groups), projects, metrics)
    for group in groups:
        values = points.add(group)
        summary.add(group, values)
    return points.block(), summary.block()


class _Group:
    """Frames of one writer with one key set, in the order in which they came."""

    def __init__(self, origin: Origin, keys: KeySet, partition: int) -> None:
        self.origin = origin
        self.keys = keys
        self.partition = partition
        self.frames: list[Frame] = []
        self.rows = 0

    @property
    def points(self) -> int:
        return self.rows * len(self.keys.names)

    def join(self) -> None:
        """Makes columns of the rows of all frames."""
        frames = self.frames
        self.steps = _joined([frame.steps for frame in frames])
        self.times_us = _joined([frame.times_us for frame in frames])
        self.vers = versions(self.origin.attempt, self.times_us, self.origin.writer)
        self.offsets = np.repeat([frame.record.offset for frame in frames], [len(frame.steps) for frame in frames])


def _grouped(frames: Sequence[Frame]) -> list[_Group]:
    groups: dict[tuple[Origin, int, int], _Group] = {}
    for frame in frames:
        if not frame.values.size:
            continue
        key = (frame.origin, id(frame.keys), frame.record.partition)
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group(frame.origin, frame.keys, frame.record.partition)
        group.frames.append(frame)
        group.rows += len(frame.steps)
    found = sorted(groups.values(), key=_sort_key)
    for group in found:
        group.join()
    return found


def _sort_key(group: _Group) -> tuple[bytes, int, int, bytes, int]:
    origin = group.origin
    # ClickHouse compares UUIDs by their second half first.
    return origin.project, origin.run & _LOW_HALF, origin.run >> 64, min(group.keys.names), origin.rank


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

    def add(self, group: _Group) -> NDArray[np.float64]:
        """Fills the group's place; the values as a matrix of sorted metrics x rows."""
        origin, shape = group.origin, (len(group.keys.names), group.rows)
        here = slice(self._at, self._at + group.points)
        self._at = here.stop
        self.project[here] = self._projects.place(origin.project)
        self.run_id[here, 0] = origin.run >> 64
        self.run_id[here, 1] = origin.run & _LOW_HALF
        self.metric[here].reshape(shape)[:] = self._metrics.places(group.keys)[:, None]
        self.rank[here] = origin.rank
        self.step[here].reshape(shape)[:] = group.steps
        self.ts_us[here].reshape(shape)[:] = group.times_us
        self.ver[here].reshape(shape)[:] = group.vers
        self.attempt[here] = origin.attempt
        self.writer[here] = origin.writer
        self.src_partition[here] = group.partition
        self.src_offset[here].reshape(shape)[:] = group.offsets
        # As integers: copying them keeps the bits of a NaN whatever the processor does with doubles.
        values, order, row = self.value[here].view(np.int64).reshape(shape), group.keys.order, 0
        for frame in group.frames:
            rows = frame.values.view(np.int64).T
            values[:, row : row + rows.shape[1]] = rows if order is None else rows[order]
            row += rows.shape[1]
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

    def add(self, group: _Group, values: NDArray[np.float64]) -> None:
        """One row for each metric; `values` is the matrix of metrics x rows."""
        origin = group.origin
        here = slice(self._at, self._at + len(values))
        self._at = here.stop
        self.project[here] = self._projects.place(origin.project)
        self.metric[here] = self._metrics.places(group.keys)
        self.run_id[here, 0] = origin.run >> 64
        self.run_id[here, 1] = origin.run & _LOW_HALF
        self.rank[here] = origin.rank
        self.writer[here] = origin.writer
        self.attempt[here] = origin.attempt
        self.min[here] = _least(values)
        self.max[here] = _greatest(values)
        lowest_ties = np.flatnonzero(group.steps == group.steps.min())
        lowest = lowest_ties[group.vers[lowest_ties].argmin()]
        highest_ties = np.flatnonzero(group.steps == group.steps.max())
        highest = highest_ties[group.vers[highest_ties].argmax()]
        for row, (step, ver, value) in ((lowest, self.first), (highest, self.last)):
            step[here] = group.steps[row]
            ver[here] = group.vers[row]
            value[here] = values[:, row]
        self.first_us[here] = group.times_us.min()
        self.last_us[here] = group.times_us.max()
        for frame in group.frames:
            if frame.counts is not None:
                for column, count in zip(self.counts, frame.counts, strict=True):
                    ordered = count if group.keys.order is None else count[group.keys.order]
                    np.maximum(column[here], ordered.view(np.uint64), out=column[here])

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
