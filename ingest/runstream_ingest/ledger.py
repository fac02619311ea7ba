"""What the database remembers of deliveries: the stretches of writers, and the marks of partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

from runstream_ingest import faults, presence, stretches
from runstream_ingest.coverage import Held, Writer
from runstream_ingest.errors import MarksLost
from runstream_ingest.native import Block
from runstream_ingest.presence import Probe
from runstream_ingest.records import Source

T = TypeVar("T")
Row = Sequence[Any]

STRETCHES = """
SELECT project, run_id, writer, stream, start, max(end)
FROM coverage
WHERE (project, run_id, writer) IN {writers:Array(Tuple(String, UUID, UInt64))}
GROUP BY project, run_id, writer, stream, start
"""
STEPS = """
SELECT project, run_id, writer, metric, max(last).2
FROM run_summary
WHERE (project, run_id) IN {runs:Array(Tuple(String, UUID))} AND writer IN {writers:Array(UInt64)}
GROUP BY project, run_id, writer, metric
"""
MARKS = """
SELECT topic, partition, generation, max(end), max(newest_ms)
FROM ingest_marks
WHERE (topic, partition) IN {sources:Array(Tuple(String, Int32))}
GROUP BY topic, partition, generation
ORDER BY generation
"""
# One row for each mark that is where it must be: at the start of what was written, or behind it.
INTACT = """
SELECT count()
FROM
(
    SELECT topic, generation, partition, max(end) AS have
    FROM ingest_marks
    WHERE (topic, generation, partition) IN {marks:Array(Tuple(String, UInt32, Int32))}
    GROUP BY topic, generation, partition
)
WHERE arrayExists(
    m -> m.1 = topic AND m.2 = generation AND m.3 = partition AND have >= m.4,
    {starts:Array(Tuple(String, UInt32, Int32, Int64))})
"""
BEGIN = """
INSERT INTO ingest_marks (topic, generation, partition, end, newest_ms)
SELECT m.1, m.2, m.3, m.4, 0
FROM (SELECT arrayJoin({marks:Array(Tuple(String, UInt32, Int32, Int64))}) AS m)
"""
# A mark moves on only from where the batch began: after a loss it stays, and tells where to go back to.
ADVANCE = """
INSERT INTO ingest_marks (topic, generation, partition, end, newest_ms)
SELECT m.1, m.2, m.3, m.5, m.6
FROM (SELECT arrayJoin({marks:Array(Tuple(String, UInt32, Int32, Int64, Int64, Int64))}) AS m)
WHERE (m.1, m.2, m.3) IN
(
    SELECT topic, generation, partition
    FROM ingest_marks
    WHERE (topic, generation, partition) IN {keys:Array(Tuple(String, UInt32, Int32))}
    GROUP BY topic, generation, partition
    HAVING arrayExists(
        s -> s.1 = topic AND s.2 = generation AND s.3 = partition AND max(end) >= s.4,
        {starts:Array(Tuple(String, UInt32, Int32, Int64))})
)
"""


class Mark(NamedTuple):
    """`source` is durable from `start`, where the batch began, to `end`."""

    source: Source
    generation: int
    start: int
    end: int
    newest_ms: int


class Place(NamedTuple):
    """How far a partition is durable by the database."""

    generation: int
    end: int
    newest_ms: int


class Database(Protocol):
    """Statements with parameters bound by the server, and inserts. All raise InsertError."""

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Row]: ...

    async def command(self, sql: str, parameters: Mapping[str, Any]) -> None: ...

    async def insert(self, table: str, block: Block, token: str) -> None: ...


class Again(Protocol):
    """Something that does an act from its beginning until it succeeds."""

    async def again(self, what: str, act: Callable[[Database], Awaitable[T]]) -> T: ...


class Ledger(Protocol):
    """What `DatabaseLedger` does; see there."""

    async def stretches(self, writers: Collection[Writer]) -> Held: ...

    async def steps(self, writers: Collection[Writer]) -> Mapping[Writer, Mapping[bytes, int]]: ...

    async def settle(self, coverage: Block, marks: Sequence[Mark], probes: Sequence[Probe] = ()) -> list[Probe]: ...


class DatabaseLedger:
    """Asks and writes until it succeeds."""

    def __init__(self, database: Again) -> None:
        self._database = database

    async def stretches(self, writers: Collection[Writer]) -> Held:
        """The durable stretches of `writers`."""
        keys = [(w.project.decode(), UUID(int=w.run), w.writer) for w in writers]
        rows = await self._database.again("coverage", lambda db: db.query(STRETCHES, {"writers": keys}))
        held: dict[tuple[Writer, str], list[int]] = {}
        for project, run, writer, stream, start, end in rows:
            key = Writer(str(project).encode(), run.int, writer), str(stream)
            stretches.add(held.setdefault(key, []), start, end)
        return held

    async def steps(self, writers: Collection[Writer]) -> Mapping[Writer, Mapping[bytes, int]]:
        """The highest durable step of each metric of `writers`."""
        runs = sorted({(w.project.decode(), UUID(int=w.run)) for w in writers})
        parameters = {"runs": runs, "writers": sorted({w.writer for w in writers})}
        rows = await self._database.again("run_summary", lambda db: db.query(STEPS, parameters))
        found: dict[Writer, dict[bytes, int]] = {}
        for project, run, writer, metric, step in rows:
            found.setdefault(Writer(str(project).encode(), run.int, writer), {})[str(metric).encode()] = step
        return found

    async def marks(self, sources: Collection[Source]) -> dict[Source, Place]:
        """The marks of the newest making of each topic; a partition without one is left out."""
        parameters = {"sources": [tuple(source) for source in sources]}
        rows = await self._database.again("ingest_marks", lambda db: db.query(MARKS, parameters))
        return {Source(topic, partition): Place(*place) for topic, partition, *place in rows}

    async def begin(self, marks: Sequence[Mark]) -> None:
        """Writes the first marks of partitions, at their ends."""
        values = [(*_key(mark), mark.end) for mark in marks]
        await self._database.again("ingest_marks", lambda db: db.command(BEGIN, {"marks": values}))

    async def settle(self, coverage: Block, marks: Sequence[Mark], probes: Sequence[Probe] = ()) -> list[Probe]:
        """Writes what became durable, after it did. Those of `probes` that are not there; if any, nothing is written.

        Raises MarksLost, and has written nothing, when the database lost rows since the batches before: what the
        stretches would then claim is not true any more.
        """
        return await self._database.again("coverage", lambda db: self._settle(db, coverage, marks, probes))

    async def _settle(
        self, database: Database, coverage: Block, marks: Sequence[Mark], probes: Sequence[Probe]
    ) -> list[Probe]:
        keys = [_key(mark) for mark in marks]
        starts = [(*_key(mark), mark.start) for mark in marks]
        missing, intact = await asyncio.gather(
            presence.missing(database, probes),
            _count(database, INTACT, {"marks": keys, "starts": starts}) if marks else _none(),
        )
        if intact < len(marks):
            raise MarksLost([f"{mark.source.topic}-{mark.source.partition}" for mark in marks])
        if missing:
            return missing
        # Both or one of them: an intent that is still there has them written again.
        values = [(*_key(mark), mark.start, mark.end, mark.newest_ms) for mark in marks]
        advance = {"marks": values, "keys": keys, "starts": starts}
        writes = []
        if coverage.rows:
            writes.append(_reaching("coverage", lambda: database.insert("coverage", coverage, "")))
        if marks:
            writes.append(_reaching("ingest_marks", lambda: database.command(ADVANCE, advance)))
        await asyncio.gather(*writes)
        return []


async def _count(database: Database, sql: str, parameters: Mapping[str, Any]) -> int:
    return int((await database.query(sql, parameters))[0][0])


async def _none() -> int:
    return 0


async def _reaching(table: str, write: Callable[[], Awaitable[None]]) -> None:
    await faults.reach(f"before_insert.{table}")
    await write()
    await faults.reach(f"after_insert.{table}")


def _key(mark: Mark) -> tuple[str, int, int]:
    return mark.source.topic, mark.generation, mark.source.partition
