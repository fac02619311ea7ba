"""Where an assignment begins: what was interrupted is done again first, and what the database lost is read again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import NoError, UnknownTopicOrPartitionError, for_code

from runstream.kafka_offsets import committed_by
from runstream.kafka_options import KafkaOptions
from runstream_ingest import faults, intents
from runstream_ingest.assignment import Steps, chunks_of
from runstream_ingest.commit import Offsets
from runstream_ingest.intents import Intent
from runstream_ingest.kafka_offsets import RecoveredOffsets
from runstream_ingest.ledger import DatabaseLedger, Mark, Place
from runstream_ingest.metrics import Metrics
from runstream_ingest.records import Source
from runstream_ingest.topic_reader import TopicReader, topic_reader

log = structlog.get_logger("runstream.ingest")
FETCH_BYTES = 4 << 20
Build = Callable[[Offsets], Steps]


@dataclass(frozen=True, slots=True)
class Committed:
    offset: int
    intents: list[Intent]


@dataclass(slots=True)
class Beginning:
    """Where the partitions of an assignment begin."""

    positions: dict[Source, int] = field(default_factory=dict)
    generations: dict[Source, int] = field(default_factory=dict)
    """Empty when no marks are kept."""
    marked: dict[Source, int] = field(default_factory=dict)
    recovered: dict[Source, int] = field(default_factory=dict)
    """Ends of interrupted batches, to be committed."""


class Recovery:
    """Finds where to begin. `build` makes the steps for one whole batch that somebody announced."""

    def __init__(
        self,
        options: KafkaOptions,
        group: str,
        ledger: DatabaseLedger,
        build: Build,
        *,
        unsafe: Collection[str],
        metrics: Metrics,
    ) -> None:
        self._options = options
        self._group = group
        self._ledger = ledger
        self._build = build
        self._with_intents = "intents" not in unsafe
        self._with_marks = "marks" not in unsafe
        self._metrics = metrics

    async def begin(self, sources: Collection[Source]) -> Beginning:
        """Does interrupted batches of `sources` again. Raises KafkaError when the brokers do not answer."""
        committed = await committed_of(self._options, self._group, sources)
        found = [intent for one in committed.values() for intent in one.intents] if self._with_intents else []
        interrupted = sorted({intent.name: intent for intent in found}.values(), key=lambda intent: intent.order)
        gone = await self._gone(interrupted, sources)
        asked = set(sources).union(*(intent.ranges for intent in interrupted)) - gone
        places = await self._ledger.marks(asked) if self._with_marks else {}
        async with topic_reader(self._options, {s.topic for s in sources}, fetch_bytes=1) as reader:
            bounds = await reader.bounds(asked)
            anew = await self._made_anew(reader, places, bounds)
        beginning = Beginning()
        lost = set()
        for source in sources:
            if self._place(
                beginning, source, committed.get(source), places.get(source), bounds[source], source in anew
            ):
                lost.add(source)
        if self._with_marks:
            await self._begin_marks(beginning, places)
        if lost:
            self._metrics.lost_marks.inc()
            log.error(
                "the database lost rows: reading again from its marks",
                partitions={f"{s.topic}-{s.partition}": beginning.positions[s] for s in sorted(lost)},
            )
        reached = {source: place.end for source, place in places.items()} | beginning.marked
        left_out = lost | anew | gone
        for intent in interrupted:
            if left_out.isdisjoint(intent.ranges):
                await self._recover(intent, beginning, bounds, places, reached)
            else:
                # Read as any other messages; so is what was announced behind it in the same partitions.
                left_out |= set(intent.ranges)
        return beginning

    async def _gone(self, found: Sequence[Intent], sources: Collection[Source]) -> set[Source]:
        """The partitions of interrupted batches that are not there any more."""
        foreign = {source for intent in found for source in intent.ranges} - set(sources)
        gone = foreign - await existing(self._options, {source.topic for source in foreign}) if foreign else foreign
        if gone:
            log.error(
                "an interrupted batch had partitions that are not there any more", partitions=sorted(map(str, gone))
            )
        return gone

    def _place(
        self,
        beginning: Beginning,
        source: Source,
        committed: Committed | None,
        place: Place | None,
        bounds: tuple[int, int],
        anew: bool,
    ) -> bool:
        """Decides where `source` begins; whether the database lost rows of it."""
        first, _ = bounds
        beginning.generations[source] = (place.generation if place else 0) + anew
        done = committed.offset if committed else first
        if committed and committed.offset < first and not anew:
            self._metrics.expired_messages.labels(topic=source.topic).inc(first - committed.offset)
            log.error("Kafka deleted messages before they were read", source=source, messages=first - committed.offset)
            done = first
        marked = max(place.end, first) if place else first
        lost = self._with_marks and not anew and marked < done
        beginning.positions[source] = first if anew else marked if lost else done
        return lost

    async def _made_anew(
        self, reader: TopicReader, places: Mapping[Source, Place], bounds: Mapping[Source, tuple[int, int]]
    ) -> set[Source]:
        """The partitions whose topic was deleted and made again since their marks were written.

        The log then ends before the mark, or the message before the mark is newer than any that was durable.
        """
        shorter = {source for source, place in places.items() if place.end > bounds[source][1]}
        looked = {
            source: place.end - 1
            for source, place in places.items()
            if source not in shorter and place.newest_ms and place.end > bounds[source][0]
        }
        times = await reader.times(looked) if looked else {}
        anew = shorter | {source for source, at_ms in times.items() if at_ms > places[source].newest_ms}
        if anew:
            log.error("topics were made anew: reading them from their begin", partitions=sorted(map(str, anew)))
        return anew

    async def _begin_marks(self, beginning: Beginning, places: Mapping[Source, Place]) -> None:
        first = []
        for source, position in beginning.positions.items():
            place, generation = places.get(source), beginning.generations[source]
            if place is None or place.generation != generation or place.end < position:
                first.append(Mark(source, generation, position, position, 0))
                beginning.marked[source] = position
            else:
                beginning.marked[source] = place.end
        if first:
            await self._ledger.begin(first)

    async def _recover(
        self,
        intent: Intent,
        beginning: Beginning,
        bounds: Mapping[Source, tuple[int, int]],
        places: Mapping[Source, Place],
        reached: dict[Source, int],
    ) -> None:
        """`reached`: where the marks stand; moves on."""
        await faults.reach("recovering")
        there = {s: (max(a, bounds[s][0]), min(b, bounds[s][1])) for s, (a, b) in intent.ranges.items()}
        if there != intent.ranges:
            log.error("Kafka does not have all of an interrupted batch any more", batch=intent.name)
        marked = {source: place.generation for source, place in places.items()} if self._with_marks else {}
        marked |= {s: beginning.generations[s] for s in intent.ranges if s in beginning.marked}
        generations = {s: g for s, g in marked.items() if s in there and reached.get(s, -1) >= intent.ranges[s][0]}
        steps = self._build(RecoveredOffsets(generations))
        try:
            async with topic_reader(self._options, {s.topic for s in there}, fetch_bytes=FETCH_BYTES) as reader:
                async for records in reader.read(there):
                    for chunk in chunks_of(records):
                        await steps.put(chunk)
            await steps.close()
        finally:
            await steps.abandon()
        self._metrics.recoveries.inc()
        for source in generations:
            reached[source] = max(reached[source], intent.ranges[source][1])
        for source, (_, end) in intent.ranges.items():
            if end > beginning.positions.get(source, end):
                beginning.positions[source] = beginning.recovered[source] = end
                beginning.marked[source] = max(beginning.marked.get(source, 0), end)
        log.info("an interrupted batch is done", batch=intent.name, partitions=len(intent.ranges))
        await faults.reach("recovered")


async def committed_of(options: KafkaOptions, group: str, sources: Collection[Source]) -> dict[Source, Committed]:
    """What the group committed of `sources`; those without a commit are left out. Raises KafkaError."""
    admin = AIOKafkaAdminClient(**options.client_arguments(), client_id="runstream-ingest-offsets")
    try:
        await admin.start()
        found = await committed_by(admin, group, sources)
    finally:
        await admin.close()
    return {Source(*partition): Committed(one.offset, intents.decode(one.metadata)) for partition, one in found.items()}


async def existing(options: KafkaOptions, topics: Collection[str]) -> set[Source]:
    """The partitions of `topics`, as far as these are there. Raises KafkaError."""
    admin = AIOKafkaAdminClient(**options.client_arguments(), client_id="runstream-ingest-topics")
    try:
        await admin.start()
        described = await admin.describe_topics(sorted(topics))
    finally:
        await admin.close()
    for topic in described:
        if topic["error_code"] not in (NoError.errno, UnknownTopicOrPartitionError.errno):
            raise for_code(topic["error_code"])(f"the brokers do not say which partitions {topic['topic']} has")
    return {Source(topic["topic"], one["partition"]) for topic in described for one in topic["partitions"]}
