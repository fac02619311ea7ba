"""What the brokers know of offsets: how far a consumer group has come, and where a partition ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from runstream.kafka_options import KafkaOptions

ANSWER_WITHIN_S = 10.0


class GroupOffsets:
    """The committed offsets of a consumer group in `topics`, over one connection that is opened when it is first asked.

    Ingest commits the start of a batch before it inserts it, so what lies before a committed offset is in the database.
    """

    def __init__(self, options: KafkaOptions, group: str, topics: Sequence[str]) -> None:
        self._options = options
        self._group = group
        self._topics = list(topics)
        self._admin: AIOKafkaAdminClient | None = None

    async def committed(self) -> dict[tuple[str, int], int]:
        """Topic and partition to the committed offset.

        Raises KafkaError, OSError or TimeoutError; a later call connects anew.
        """
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                if self._admin is None:
                    self._admin = AIOKafkaAdminClient(**self._options.client_arguments(), client_id="runstream-agent")
                    await self._admin.start()
                # Partitions are named one by one: a stand-in for Kafka does not know the question for all of them.
                described = await self._admin.describe_topics(self._topics)
                partitions = [
                    TopicPartition(one["topic"], of["partition"]) for one in described for of in one["partitions"]
                ]
                found = await self._admin.list_consumer_group_offsets(self._group, partitions=partitions)
        except BaseException:
            await asyncio.shield(self.close())
            raise
        return {(one.topic, one.partition): at.offset for one, at in found.items() if at.offset >= 0}

    async def close(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            with contextlib.suppress(Exception):  # what is closed may be half open
                await admin.close()


async def end_of(options: KafkaOptions, topic: str, partition: int) -> int:
    """The offset that the next message of a partition gets. Raises KafkaError or TimeoutError."""
    consumer = AIOKafkaConsumer(**options.client_arguments(), client_id="runstream-agent", enable_auto_commit=False)
    one = TopicPartition(topic, partition)
    async with asyncio.timeout(ANSWER_WITHIN_S):
        try:
            await consumer.start()
            consumer.assign([one])
            ends = await consumer.end_offsets([one])
        finally:
            await consumer.stop()
    return int(ends[one])
