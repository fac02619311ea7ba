"""How far the ingest group is behind, in messages and in seconds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runstream_deploy.kafka_reading import Span, administering, committed, places, reading, records

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

    from runstream.kafka_options import KafkaOptions
    from runstream_ingest.records import Source

LOOK_BYTES = 64 << 10
"""Enough to see the time of one record; a broker sends at least one batch, however large."""


@dataclasses.dataclass(frozen=True, slots=True)
class Lag:
    """One partition. `committed` is None when the group never committed there; it then begins at `begin`."""

    topic: str
    partition: int
    begin: int
    end: int
    committed: int | None
    messages: int
    """Messages in Kafka that are not in the database yet."""
    seconds: float
    """Age of the oldest of them by the brokers' clock, 0 when there is none."""
    removed: int
    """Messages that retention removed before they were read: only the producers' spools may have them still."""


async def lag(options: KafkaOptions, topics: Sequence[str], group: str) -> list[Lag]:
    """The lag of each partition, in order. Raises KafkaUnreachable or TopicMissing."""
    async with administering(options) as admin, reading(options, fetch_bytes=LOOK_BYTES) as consumer:
        # The group first: what arrives in between then counts as lag, and never as less than none.
        known = await places(consumer, topics)
        at = await committed(admin, group, known)
        found = await places(consumer, topics)
        starts = {source: max(place.begin, at.get(source, place.begin)) for source, place in found.items()}
        behind = {source: Span(start, start + 1) for source, start in starts.items() if start < found[source].end}
        oldest = await _times(consumer, behind)
        now_ms = time.time_ns() // 1_000_000
    return [
        Lag(
            topic=source.topic,
            partition=source.partition,
            begin=place.begin,
            end=place.end,
            committed=at.get(source),
            messages=max(0, place.end - starts[source]),
            seconds=max(0.0, (now_ms - oldest[source]) / 1000) if source in oldest else 0.0,
            removed=max(0, place.begin - at[source]) if source in at else 0,
        )
        for source, place in sorted(found.items())
    ]


async def _times(consumer: AIOKafkaConsumer, spans: dict[Source, Span]) -> dict[Source, int]:
    """The broker's time in ms of the first record of each span."""
    from runstream_ingest.records import Source

    found: dict[Source, int] = {}
    async for chunk in records(consumer, spans):
        first = chunk[0]
        found.setdefault(Source(first.topic, first.partition), first.timestamp_ms)
    return found
