"""Reads places of topics without being a member of any group."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from runstream.kafka_options import KafkaOptions
from runstream_ingest.records import Record, Source

log = structlog.get_logger("runstream.ingest")
LOOK_S = 15.0
"""For looking at single messages; what was not seen then stays unknown."""


class TopicReader:
    """A consumer without a group."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def bounds(self, sources: Collection[Source]) -> dict[Source, tuple[int, int]]:
        """The first offset that each partition still has, and the one behind its last. Raises KafkaError."""
        partitions = [TopicPartition(*source) for source in sources]
        first = await self._consumer.beginning_offsets(partitions)
        end = await self._consumer.end_offsets(partitions)
        return {source: (first[TopicPartition(*source)], end[TopicPartition(*source)]) for source in sources}

    async def times(self, offsets: Mapping[Source, int]) -> dict[Source, int]:
        """The brokers' time, in milliseconds, of the message at each offset; those not seen are left out."""
        found: dict[Source, int] = {}
        self._seek(offsets)
        left, deadline = set(offsets), time.monotonic() + LOOK_S
        while left and time.monotonic() < deadline:
            for partition, records in (await self._consumer.getmany(timeout_ms=500)).items():
                source = Source(*partition)
                left.discard(source)
                for record in records:
                    if record.offset == offsets.get(source):
                        found[source] = record.timestamp
        return found

    async def read(self, ranges: Mapping[Source, tuple[int, int]]) -> AsyncIterator[list[Record]]:
        """The messages from each start up to, not including, the end; those of a partition in order."""
        left = {source: end for source, (start, end) in ranges.items() if start < end}
        self._seek({source: ranges[source][0] for source in left})
        while left:
            for partition, records in (await self._consumer.getmany(timeout_ms=500)).items():
                source = Source(*partition)
                end = left.get(source, -1)
                wanted = [record_of(partition, record) for record in records if record.offset < end]
                if wanted:
                    yield wanted
            for source in list(left):
                partition = TopicPartition(*source)
                if await self._consumer.position(partition) >= left[source]:
                    del left[source]
                    self._consumer.pause(partition)

    def _seek(self, offsets: Mapping[Source, int]) -> None:
        self._consumer.assign([TopicPartition(*source) for source in offsets])
        for source, offset in offsets.items():
            self._consumer.seek(TopicPartition(*source), offset)


@asynccontextmanager
async def topic_reader(options: KafkaOptions, topics: Iterable[str], *, fetch_bytes: int) -> AsyncIterator[TopicReader]:
    """A reader that asks for about `fetch_bytes` of a partition at a time. Raises KafkaError."""
    consumer = AIOKafkaConsumer(
        **options.client_arguments(),
        client_id="runstream-ingest-reader",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=fetch_bytes,
        fetch_max_wait_ms=100,
    )
    try:
        await consumer.start()
        yield TopicReader(consumer)
    finally:
        await leave(consumer, timeout_s=LOOK_S)


async def leave(consumer: AIOKafkaConsumer, *, timeout_s: float) -> None:
    """Stops `consumer`; what goes wrong then is only logged, for nothing depends on it.

    aiokafka lets a CancelledError of its own tasks out when brokers go away at the same time. It is not ours, and would
    end whoever waits; hence a task.
    """
    stopping = asyncio.create_task(consumer.stop(), name="leave")
    try:
        await asyncio.wait((stopping,), timeout=timeout_s)
    finally:
        if not stopping.done():
            stopping.cancel()
    if stopping.done() and not stopping.cancelled() and (error := stopping.exception()):
        log.warning("the consumer was not stopped in order", error=repr(error))


def record_of(partition: TopicPartition, record: object) -> Record:
    """A record of aiokafka as ours."""
    topic, number = partition.topic, partition.partition
    return Record(topic, number, record.offset, record.timestamp, record.key, record.value, tuple(record.headers))  # type: ignore[attr-defined]
