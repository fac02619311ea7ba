"""Events, records and stand-ins for the edges of the steps."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from runstream import events
from runstream_ingest import stretches
from runstream_ingest.control import rows_of
from runstream_ingest.coverage import Writer
from runstream_ingest.dead_letters import DeadLetter
from runstream_ingest.ledger import Mark
from runstream_ingest.native import Block
from runstream_ingest.presence import Probe
from runstream_ingest.records import Carried, Range, Ranges, Record, Source
from runstream_ingest.tables import TABLES

RUN = "01932e8c-8f2a-7aaa-8bbb-0123456789ab"
NOW_US = 1_790_000_000_000_000
TOPIC = "t.metrics"


BLOCK_FIELDS = ("at", "metrics", "steps", "times_us", "values", "n", "n_nan", "n_inf")


def frame_event(rows: int = 3, metrics: Sequence[str] = ("acc", "loss"), **changes: Any) -> dict[str, Any]:
    """A MetricFrame of one block of `rows` rows; the value of row i and metric j is i + j / 100.

    `changes` are of the frame or of its block.
    """
    first = changes.get("first_seq", 0)
    block = {
        "at": [],
        "metrics": list(metrics),
        "steps": [first + i for i in range(rows)],
        "times_us": [NOW_US + (first + i) * 1000 for i in range(rows)],
        "values": [first + i + j / 100 for i in range(rows) for j in range(len(metrics))],
        "n": [first + rows] * len(metrics),
        "n_nan": [0] * len(metrics),
        "n_inf": [0] * len(metrics),
    }
    block |= {name: changes.pop(name) for name in BLOCK_FIELDS if name in changes}
    event = {
        "project": "demo",
        "run_id": RUN,
        "writer_id": 77,
        "attempt": 0,
        "rank": 0,
        "first_seq": first,
        "rows": len(block["steps"]),
        "blocks": [block],
    }
    return {**event, **changes}


def mixed_event(*metrics_of_rows: Sequence[str], **changes: Any) -> dict[str, Any]:
    """A MetricFrame of one row for each of the given sets of metrics; row i has step i and the values i + j / 100."""
    first = changes.get("first_seq", 0)
    blocks: dict[tuple[str, ...], dict[str, Any]] = {}
    for i, names in enumerate(metrics_of_rows):
        block = blocks.setdefault(tuple(names), {name: [] for name in BLOCK_FIELDS})
        block["at"].append(i)
        block["metrics"] = list(names)
        block["steps"].append(first + i)
        block["times_us"].append(NOW_US + (first + i) * 1000)
        block["values"] += [first + i + j / 100 for j in range(len(names))]
    event = frame_event(rows=0, first_seq=first)
    return {**event, "rows": len(metrics_of_rows), "blocks": list(blocks.values()), **changes}


def frame(rows: int = 3, metrics: Sequence[str] = ("acc", "loss"), **changes: Any) -> bytes:
    return events.encode("MetricFrame", frame_event(rows, metrics, **changes))


def mixed(*metrics_of_rows: Sequence[str], **changes: Any) -> bytes:
    return events.encode("MetricFrame", mixed_event(*metrics_of_rows, **changes))


def control(kind: str, /, **fields: Any) -> bytes:
    """A control event; `fields` over a header of defaults."""
    header = {
        "project": "demo",
        "run_id": RUN,
        "writer_id": 77,
        "attempt": 0,
        "rank": 0,
        "seq": 0,
        "time_us": NOW_US,
        "actor": "ada@lab",
    }
    return events.encode(kind, {**header, **fields})


def rows_by_name(kind: str, /, **fields: Any) -> list[tuple[str, dict[str, Any]]]:
    """Table and row by column name, in order, of what a control event writes."""
    found = rows_of(*events.decode(control(kind, **fields)))
    return [(table, dict(zip((name for name, _ in TABLES[table]), row, strict=True))) for table, row in found]


def record(value: bytes | None, offset: int = 0, *, topic: str = TOPIC, partition: int = 0) -> Record:
    return Record(topic, partition, offset, 1_790_000_000_000 + offset, RUN.encode(), value)


def records(*values: bytes | None, start: int = 0, topic: str = TOPIC, partition: int = 0) -> Carried[list[Record]]:
    """Consecutive records of one partition, as the loop hands them to the first step."""
    made = [record(value, start + i, topic=topic, partition=partition) for i, value in enumerate(values)]
    newest = made[-1].timestamp_ms
    return Carried(made, {Source(topic, partition): Range(start, start + len(made), newest)})


def new_run_id() -> str:
    from runstream.identity import new_run_id

    return str(new_run_id())


class Tables:
    """Stands where the database is: keeps blocks by table, remembers tokens, and fails as it is told to."""

    def __init__(self) -> None:
        self.held: dict[tuple[Writer, str], list[int]] = {}
        self.highest: dict[Writer, dict[bytes, int]] = {}
        self.asked: list[Writer] = []
        self.marks: list[Mark] = []
        self.blocks: list[tuple[str, Block, str]] = []
        self.hold: asyncio.Event | None = None
        self.hold_settling: asyncio.Event | None = None
        self.refuse: Any = None

    async def insert(self, table: str, block: Block, token: str) -> None:
        if self.hold is not None:
            await self.hold.wait()
        if self.refuse is not None:
            self.refuse(table, block)
        self.blocks.append((table, block, token))

    async def stretches(self, writers: Collection[Writer]) -> dict[tuple[Writer, str], list[int]]:
        self.asked += writers
        return {key: list(numbers) for key, numbers in self.held.items() if key[0] in writers}

    async def steps(self, writers: Collection[Writer]) -> dict[Writer, dict[bytes, int]]:
        return {writer: self.highest[writer] for writer in writers if writer in self.highest}

    async def settle(self, coverage: Block, marks: Sequence[Mark], probes: Sequence[Probe] = ()) -> list[Probe]:
        if self.hold_settling is not None:
            await self.hold_settling.wait()
        if coverage.rows:
            columns = [data for _, _, data in coverage.columns]
            for project, run, writer, stream, start, end, _, _ in zip(*columns, strict=True):
                held = self.held.setdefault((Writer(project.encode(), run, writer), stream), [])
                stretches.add(held, start, end)
        self.marks += marks
        return []

    def rows(self, table: str) -> int:
        return sum(block.rows for name, block, _ in self.blocks if name == table)

    def column(self, table: str, column: str) -> list[Any]:
        found: list[Any] = []
        for name, block, _ in self.blocks:
            if name == table:
                found += list(next(data for title, _, data in block.columns if title == column))
        return found


class Letters:
    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        self.letters += letters

    @property
    def reasons(self) -> list[str]:
        return [letter.reason for letter in self.letters]


class Commits:
    """Offsets that are kept in memory."""

    is_fresh = True

    def __init__(self) -> None:
        self.ranges: list[Ranges] = []
        self.intents: list[str] = []

    async def intend(self, ranges: Ranges, name: str) -> None:
        self.intents.append(name)

    async def done(self, ranges: Ranges) -> None:
        self.ranges.append(ranges)

    async def settle(self, now: float | None = None) -> None:
        pass

    def generation(self, source: Source) -> int | None:
        return None

    @property
    def ends(self) -> dict[Source, int]:
        """The offset that each source is committed up to."""
        return {source: one.end for ranges in self.ranges for source, one in ranges.items()}


class Last:
    """The step behind the one under test."""

    def __init__(self) -> None:
        self.items: list[Carried[Any]] = []
        self.ticks: list[float] = []
        self.closed = False

    async def put(self, item: Carried[Any], /) -> None:
        self.items.append(item)

    async def tick(self, now: float, /) -> None:
        self.ticks.append(now)

    async def close(self) -> None:
        self.closed = True

    async def abandon(self) -> None:
        self.closed = True


def uuid_number(text: str) -> int:
    return uuid.UUID(text).int
