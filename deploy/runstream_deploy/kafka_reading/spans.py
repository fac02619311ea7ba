"""Reading stretches of partitions, record by record, whatever their size."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runstream_deploy.errors import KafkaUnreachable
from runstream_ingest.records import Record, Source

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

MOST_AT_ONCE = 500
SILENT_S = 60.0
"""A broker that sends nothing for so long, although there is something, is away."""


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets `start` up to, not including, `end` of one partition."""

    start: int
    end: int


Spans = Mapping[Source, Span]


async def records(consumer: AIOKafkaConsumer, spans: Spans) -> AsyncIterator[list[Record]]:
    """The records of each span, in the order of each partition; every list is of one partition and at most 500 long.

    What retention removed is skipped without a word: compare the first offset. Raises KafkaUnreachable when nothing
    comes for a minute.
    """
    from aiokafka import TopicPartition

    open_ends = {TopicPartition(*source): span.end for source, span in spans.items() if span.start < span.end}
    if not open_ends:
        return
    consumer.assign(list(open_ends))
    for partition in open_ends:
        consumer.seek(partition, spans[Source(partition.topic, partition.partition)].start)
    heard_at = time.monotonic()
    while open_ends:
        fetched = await consumer.getmany(*open_ends, timeout_ms=500, max_records=MOST_AT_ONCE)
        for partition, found in fetched.items():
            heard_at = time.monotonic()
            end = open_ends[partition]
            if wanted := [_record(partition, one) for one in found if one.offset < end]:
                yield wanted
        for partition, end in list(open_ends.items()):
            # Not the last record's offset: compaction and transactions leave offsets without a record.
            if await consumer.position(partition) >= end:
                del open_ends[partition]
                consumer.pause(partition)
        if open_ends and time.monotonic() - heard_at > SILENT_S:
            raise KafkaUnreachable(
                bootstrap=str(consumer._client._bootstrap_servers), reason=f"nothing came for {SILENT_S:.0f} s"
            )


def _record(partition: TopicPartition, found: ConsumerRecord) -> Record:
    headers = tuple(found.headers)
    return Record(partition.topic, partition.partition, found.offset, found.timestamp, found.key, found.value, headers)
