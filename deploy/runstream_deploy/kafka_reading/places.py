"""Where partitions begin and end, and where the consumer group stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runstream_deploy.errors import TopicMissing

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient

    from runstream_ingest.records import Source


@dataclass(frozen=True, slots=True)
class Place:
    """Offsets of one partition: messages `begin` up to, not including, `end` are in Kafka now."""

    begin: int
    end: int


async def places(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> dict[Source, Place]:
    """Where each partition of `topics` begins and ends. Raises TopicMissing."""
    from runstream_ingest.records import Source

    partitions = await _partitions(consumer, topics)
    begins = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    return {Source(one.topic, one.partition): Place(begins[one], ends[one]) for one in partitions}


async def places_at(consumer: AIOKafkaConsumer, sources: Mapping[Source, Place], time_ms: int) -> dict[Source, int]:
    """Of each source, the offset of its first message that is not older than `time_ms`; its end when there is none."""
    from aiokafka import TopicPartition

    asked = {TopicPartition(*source): time_ms for source in sources}
    found = await consumer.offsets_for_times(asked)
    return {
        source: at.offset if (at := found[TopicPartition(*source)]) else place.end for source, place in sources.items()
    }


async def committed(admin: AIOKafkaAdminClient, group: str, sources: Iterable[Source]) -> dict[Source, int]:
    """Where `group` stands: everything before it is durable. A source that it never committed is left out."""
    from runstream.kafka_offsets import committed_by
    from runstream_ingest.records import Source

    found = await committed_by(admin, group, sources)
    return {Source(*partition): int(at.offset) for partition, at in found.items()}


async def _partitions(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    from aiokafka import TopicPartition

    # The public `topics()` names the topics only.
    cluster = await consumer._client.fetch_all_metadata()
    existing = {topic: sorted(cluster.partitions_for_topic(topic) or ()) for topic in topics}
    if missing := [topic for topic, numbers in existing.items() if not numbers]:
        raise TopicMissing(topics=missing)
    return [TopicPartition(topic, number) for topic, numbers in existing.items() for number in numbers]
