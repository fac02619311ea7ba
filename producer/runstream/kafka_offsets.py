"""What the brokers know of offsets: how far a consumer group has come, and where a partition ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaConnectionError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.structs import OffsetAndMetadata

from runstream.kafka_options import KafkaOptions

ANSWER_WITHIN_S = 10.0


_STARTING = (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaConnectionError,
    NotCoordinatorForGroupError,
)
"""What a broker says while it finds out who keeps the group."""


async def committed_by(
    admin: AIOKafkaAdminClient, group: str, partitions: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], OffsetAndMetadata]:
    """What `group` committed, by topic and partition; those that it never committed are left out.

    Asked again for ANSWER_WITHIN_S while the brokers look for the group. Raises KafkaError.
    """
    # Partitions are named one by one: a stand-in for Kafka does not know the question for all of them.
    named: dict[str, set[int]] = {}
    for topic, partition in partitions:
        named.setdefault(topic, set()).add(partition)
    if not named:
        return {}
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while True:
        try:
            return await _ask(admin, group, {topic: sorted(numbers) for topic, numbers in named.items()})
        except _STARTING:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def _ask(
    admin: AIOKafkaAdminClient, group: str, named: Mapping[str, Sequence[int]]
) -> dict[tuple[str, int], OffsetAndMetadata]:
    """One question and its answer. Raises KafkaError.

    The public client overlooks the error of the answer as a whole, and has a group that never committed. While a broker
    that was restarted reads the group, an interrupted batch would thus be forgotten, and all be read from the begin.
    """
    request = OffsetFetchRequest(group, list(named.items()))
    answer = await admin._send_request(request, await admin.find_coordinator(group))
    _check(getattr(answer, "error_code", 0), f"what {group} committed")
    found = {}
    for topic, at_partitions in answer.topics:
        for partition, offset, metadata, error_code in at_partitions:
            _check(error_code, f"what {group} committed of {topic}-{partition}")
            if offset >= 0:
                found[topic, partition] = OffsetAndMetadata(offset, metadata)
    return found


def _check(error_code: int, what: str) -> None:
    if error_code:
        raise for_code(error_code)(f"the brokers do not say {what}")


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
                described = await self._admin.describe_topics(self._topics)
                partitions = [(one["topic"], of["partition"]) for one in described for of in one["partitions"]]
                found = await committed_by(self._admin, self._group, partitions)
        except BaseException:
            await asyncio.shield(self.close())
            raise
        return {partition: at.offset for partition, at in found.items()}

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
