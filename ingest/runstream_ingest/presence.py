"""Whether the rows of `points` that a token stands for are there.

ClickHouse writes an insert as one part for each partition, and writes the token of a part down before it has the part.
A server that is killed in between remembers the token and drops the rows when they are sent again; so does one whose
token stands for other rows. A part is there as a whole or not at all: one row of each partition tells.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from runstream_ingest.errors import InsertMisconfigured
from runstream_ingest.native import Block, Keyed

FOUND = """
SELECT project, run_id, metric, rank, step, attempt, max(ver)
FROM points
WHERE (project, run_id, metric, rank, step) IN {points:Array(Tuple(String, UUID, String, UInt32, Int64))}
"""
# Only the parts that were written last: of a table of a thousand parts, each has to be looked into otherwise.
LATELY = """
  AND _part IN
  (
      SELECT name FROM system.parts
      WHERE database = currentDatabase() AND table = 'points' AND active
      ORDER BY modification_time DESC LIMIT 16
  )
"""
BY_POINT = "GROUP BY project, run_id, metric, rank, step, attempt"


class Probe(NamedTuple):
    """A point that stands for the rows of its partition."""

    project: str
    run: UUID
    metric: str
    rank: int
    step: int
    attempt: int
    ver: int


class Asks(Protocol):
    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]: ...


def probes_of(points: Block) -> list[Probe]:
    """One row of each partition that `points` has rows in."""
    columns = {name: data for name, _, data in points.columns}
    starts, partitions = _stretches(points)
    _, first = np.unique(partitions, axis=0, return_index=True)
    return [_probe(columns, int(starts[place])) for place in first]


def rows_of(points: Block, probes: Collection[Probe]) -> Block:
    """The rows of those partitions that `probes` are in."""
    starts, partitions = _stretches(points)
    wanted = np.zeros(len(starts), bool)
    for probe in probes:
        high = np.array([probe.run.int >> 64], np.uint64)
        wanted |= (partitions == _partitions(high, np.array([probe.attempt], np.uint16))).all(axis=1)
    return points.where(np.repeat(wanted, np.diff(starts, append=points.rows)))


async def missing(database: Asks, probes: Sequence[Probe]) -> list[Probe]:
    """Those of `probes` that are not there; looked for first where a batch that was just inserted is."""
    left = list(probes)
    # A user who may not see the list of parts sees the points all the same.
    with contextlib.suppress(InsertMisconfigured):
        left = await _missing(database, left, LATELY)
    return await _missing(database, left, "")


async def _missing(database: Asks, probes: list[Probe], where: str) -> list[Probe]:
    if not probes:
        return []
    rows = await database.query(FOUND + where + BY_POINT, {"points": [probe[:5] for probe in probes]})
    newest = {tuple(key): ver for *key, ver in rows}
    # A row that a newer version replaced was there, too.
    return [probe for probe in probes if newest.get(probe[:6], -1) < probe.ver]


def _stretches(points: Block) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
    """Where each stretch of rows of one run and attempt begins, and the partition that it is in."""
    columns = {name: data for name, _, data in points.columns}
    high, low = columns["run_id"][:, 0], columns["run_id"][:, 1]
    attempt = columns["attempt"]
    changes = (high[1:] != high[:-1]) | (low[1:] != low[:-1]) | (attempt[1:] != attempt[:-1])
    starts = np.flatnonzero(np.concatenate(([True], changes)))
    return starts, _partitions(high[starts], attempt[starts])


def _partitions(high: NDArray[np.uint64], attempt: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """Month and attempt, as `points` is partitioned, from the first half of a UUIDv7 (RFC 9562, 5.7: 48 bits of ms)."""
    months = (high >> np.uint64(16)).astype("datetime64[ms]").astype("datetime64[M]").astype(np.uint64)
    return np.stack((months, attempt.astype(np.uint64)), axis=1)


def _probe(columns: Mapping[str, Any], row: int) -> Probe:
    def text(name: str) -> str:
        data: Keyed = columns[name]
        return data.keys[int(data.places[row])].decode()

    high, low = (int(half) for half in columns["run_id"][row])
    rank, step, attempt, ver = (int(columns[name][row]) for name in ("rank", "step", "attempt", "ver"))
    return Probe(text("project"), UUID(int=high << 64 | low), text("metric"), rank, step, attempt, ver)
