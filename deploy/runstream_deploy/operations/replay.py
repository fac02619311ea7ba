"""Messages that ingest read before, read from Kafka again and put through its steps once more.

They go straight into the database: nothing is produced, nothing committed, no mark moves, and the workers go on beside
it. Every row is the same row as before, so a replay changes no answer unless something was missing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from runstream_deploy.errors import PartitionMissing
from runstream_deploy.kafka_reading import Span, administering, committed, places, places_at, reading, records
from runstream_deploy.operations.patience import written
from runstream_ingest import pipeline, stretches
from runstream_ingest.clickhouse import ClickHouseInserter, Retrying
from runstream_ingest.coverage import Coverage, Held, Writer, span
from runstream_ingest.dead_letters import DeadLetter
from runstream_ingest.decode import read
from runstream_ingest.errors import MessageUnusable
from runstream_ingest.frames import Frame, FrameReader
from runstream_ingest.health import Health
from runstream_ingest.insert import Inserter
from runstream_ingest.ledger import DatabaseLedger
from runstream_ingest.metrics import Metrics
from runstream_ingest.records import Ranges, Record, Source, carried

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.admin import AIOKafkaAdminClient

    from runstream.kafka_options import KafkaOptions
    from runstream_ingest.native import Block

# Letters of a replay were kept when they were read first, so they stop nothing.
SETTINGS = pipeline.PipelineSettings(
    batch_rows=500_000, dead_letter_max_consecutive=1 << 62, dead_letter_max_ratio=1.0, max_message_bytes=1 << 30
)
Progress = Callable[[int, int], None]
"""Called with messages read and messages in all."""


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """Which messages are read again: of the last `offsets` or times that match, those of `run_id`; empty means all."""

    topics: tuple[str, ...]
    run_id: str = ""
    partition: int | None = None
    offsets: tuple[int, int] | None = None
    """First and last offset, both included."""
    since_ms: int | None = None
    until_ms: int | None = None
    """By the brokers' time."""


@dataclasses.dataclass(slots=True)
class Replayed:
    """What a replay did, or with a dry run would do."""

    messages: int = 0
    """Messages that were chosen."""
    points: int = 0
    """Points in them."""
    written_points: int = 0
    """Points that were inserted: without `force` those that the database did not cover."""
    covered_rows: int = 0
    """Rows and events that were left out, because they are durable already."""
    unreadable: int = 0
    """Messages that cannot be read; they are dead letters since they were read first."""
    removed: int = 0
    """Offsets of the selection that Kafka's retention has removed."""
    not_ingested: int = 0
    """Messages of the selection that the ingest group has not come to; it reads them itself."""
    seconds: float = 0.0


async def replay(
    options: KafkaOptions,
    selection: Selection,
    database_url: str,
    group: str,
    *,
    force: bool = False,
    rate: float = 0.0,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Replayed:
    """Reads `selection` again, as far as `group` has committed it, and inserts what the database does not cover.

    `force`: all of it, also what `coverage` says is there. `rate`: points a second at most, 0 for no limit. May be
    interrupted and repeated. Raises KafkaUnreachable, TopicMissing, PartitionMissing and NotWritten.
    """
    began, done = time.monotonic(), Replayed()
    metrics, health = Metrics(), Health()
    clickhouse = ClickHouseInserter(database_url)
    try:
        retrying = Retrying(clickhouse, metrics=metrics, health=health)
        ledger = Unknowing(retrying) if force else DatabaseLedger(retrying)
        writing = Writing(retrying, rate, done)
        steps = pipeline.build(SETTINGS, writing, ledger, Uncommitted(), Kept(), metrics)
        counting = Counting(Coverage(ledger, max_writers=SETTINGS.gate_writers), done)
        async with administering(options) as admin, reading(options) as consumer:
            spans = await spans_of(admin, consumer, selection, group, done)
            total, read_so_far = sum(one.end - one.start for one in spans.values()), 0
            async for part in records(consumer, spans):
                chosen = [one for one in part if _is_chosen(one, selection)]
                if chosen:
                    await written(counting.put(chosen), health)
                    if not dry_run:
                        await written(steps.put(carried(chosen)), health)
                if not dry_run:
                    await written(steps.tick(time.monotonic()), health)
                read_so_far += len(part)
                if progress is not None:
                    progress(read_so_far, total)
        if not dry_run:
            await written(steps.close(), health)
            await asyncio.to_thread(_corrected, database_url)
    finally:
        clickhouse.close()
    done.seconds = round(time.monotonic() - began, 3)
    return done


def _corrected(database_url: str) -> None:
    """Brings the summaries up to date that cannot be added up; the workers do so only for rows of their own."""
    from runstream_storage.connection import connect
    from runstream_storage.corrections import refresh

    client = connect(database_url, query_timeout_s=600.0)
    try:
        refresh(client)
    finally:
        client.close()


async def spans_of(
    admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, selection: Selection, group: str, done: Replayed
) -> dict[Source, Span]:
    """The offsets that `selection` means; what is not in Kafka, or not ingested yet, is counted and left out."""
    found = await places(consumer, selection.topics)
    if selection.partition is not None:
        last = max(source.partition for source in found)
        if selection.partition > last:
            raise PartitionMissing(partition=selection.partition, topics=selection.topics, last=last)
        found = {source: place for source, place in found.items() if source.partition == selection.partition}
    at = await committed(admin, group, found)
    first, last = selection.offsets or (0, (1 << 63) - 2)
    starts = dict.fromkeys(found, first)
    ends = {source: min(place.end, last + 1) for source, place in found.items()}
    if selection.since_ms is not None:
        since = await places_at(consumer, found, selection.since_ms)
        starts = {source: max(start, since[source]) for source, start in starts.items()}
    if selection.until_ms is not None:
        until = await places_at(consumer, found, selection.until_ms + 1)
        ends = {source: min(end, until[source]) for source, end in ends.items()}
    spans = {}
    for source, place in found.items():
        ingested = min(ends[source], at.get(source, place.begin))
        start = max(starts[source], place.begin)
        done.removed += max(0, min(place.begin, ends[source]) - starts[source])
        done.not_ingested += max(0, ends[source] - max(ingested, start))
        spans[source] = Span(start, max(start, ingested))
    return spans


def _is_chosen(record: Record, selection: Selection) -> bool:
    """The key of a message is its run id; one without a key is of no run."""
    return not selection.run_id or record.key == selection.run_id.encode()


class Counting:
    """Counts what a replay reads, and of that what is covered already."""

    def __init__(self, coverage: Coverage, done: Replayed) -> None:
        self._coverage = coverage
        self._done = done
        self._reader = FrameReader()

    async def put(self, chosen: Sequence[Record]) -> None:
        self._done.messages += len(chosen)
        messages = []
        for record in chosen:
            try:
                messages.append(read(record, self._reader, SETTINGS.max_message_bytes))
            except MessageUnusable:
                self._done.unreadable += 1
        spans = [one for message in messages if (one := span(message)) is not None]
        await self._coverage.load({one.writer for one in spans})
        for one in spans:
            held = self._coverage.of(one.writer).durable[one.stream]
            missing = sum(end - start for start, end in stretches.missing(held, one.start, one.end))
            self._done.covered_rows += one.end - one.start - missing
        self._coverage.shrink()
        self._done.points += sum(message.points for message in messages if isinstance(message, Frame))


class Writing:
    """An inserter whose tokens are of this replay alone, and which keeps to `rate` points a second.

    With the workers' tokens ClickHouse would drop what was inserted once and has vanished since.
    """

    def __init__(self, inserter: Inserter, rate: float, done: Replayed) -> None:
        self._inserter = inserter
        self._rate = rate
        self._done = done
        self._name = f"replay-{uuid.uuid4().hex}"
        self._free_at = 0.0

    async def insert(self, table: str, block: Block, token: str) -> None:
        if table == "points":
            now = time.monotonic()
            if self._rate:
                self._free_at = max(now, self._free_at) + block.rows / self._rate
                await asyncio.sleep(self._free_at - now)
            self._done.written_points += block.rows
        await self._inserter.insert(table, block, f"{self._name}:{token}" if token else "")


class Unknowing(DatabaseLedger):
    """For a replay that trusts nothing: it knows of no stretch and so lets everything through."""

    async def stretches(self, writers: Collection[Writer]) -> Held:
        return {}

    async def steps(self, writers: Collection[Writer]) -> Mapping[Writer, Mapping[bytes, int]]:
        return {}


class Uncommitted:
    """The offsets of a replay: nothing is announced, committed or marked."""

    is_fresh = True  # its tokens are its own, so no table remembers them

    async def intend(self, ranges: Ranges, name: str) -> None: ...

    async def done(self, ranges: Ranges) -> None: ...

    async def settle(self, now: float | None = None) -> None: ...

    def generation(self, source: Source) -> int | None:
        return None


class Kept:
    """The dead letters of a replay, which are kept since they were read first."""

    async def put(self, letters: Sequence[DeadLetter]) -> None: ...
