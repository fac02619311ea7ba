"""Clients of Kafka that join no group and commit nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from runstream_deploy.errors import KafkaUnreachable

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.admin import AIOKafkaAdminClient

    from runstream.kafka_options import KafkaOptions

ANSWER_WITHIN_S = 15.0
FETCH_BYTES = 4 << 20


@asynccontextmanager
async def administering(options: KafkaOptions) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client. Raises KafkaUnreachable when no broker answers, here or later inside."""
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(
        **options.client_arguments(), client_id="runstream-tools", request_timeout_ms=int(ANSWER_WITHIN_S * 1000)
    )
    with answering(options):
        try:
            await _started(admin, options)
            yield admin
        finally:
            await admin.close()


@asynccontextmanager
async def reading(options: KafkaOptions, *, fetch_bytes: int = FETCH_BYTES) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer outside any group, which holds at most a few times `fetch_bytes` for each partition.

    Raises KafkaUnreachable when no broker answers, here or later inside.
    """
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer(
        **options.client_arguments(),
        client_id="runstream-tools",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=int(ANSWER_WITHIN_S * 1000),
        max_partition_fetch_bytes=fetch_bytes,
        fetch_max_bytes=4 * fetch_bytes,
        fetch_max_wait_ms=100,
    )
    with answering(options):
        try:
            await _started(consumer, options)
            yield consumer
        finally:
            await consumer.stop()


@contextmanager
def answering(options: KafkaOptions) -> Iterator[None]:
    """What aiokafka raises becomes KafkaUnreachable."""
    from aiokafka.errors import KafkaError

    try:
        yield
    except KafkaError as error:
        raise KafkaUnreachable(bootstrap=options.bootstrap, reason=str(error) or type(error).__name__) from error


async def _started(client: Any, options: KafkaOptions) -> None:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await client.start()
    except (TimeoutError, OSError) as error:
        raise KafkaUnreachable(bootstrap=options.bootstrap, reason=str(error) or "no answer in time") from error
