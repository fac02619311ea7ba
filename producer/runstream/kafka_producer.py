"""aiokafka's idempotent producer, made to keep the order of a partition under every error.

It has one request under way per partition and retries it for as long as the error is one of infrastructure. Two things
are missing, and this module reaches into it for them (hence the upper bound on its version):

* A batch whose partition had no leader for as long as a request may take is given up, and later ones would overtake
  it. Here no batch expires.
* After a batch that the broker refused for good, the next one of the partition goes out at once. The broker takes that
  one when it has not heard of this producer yet, although a sequence is missing. Here the partition stays shut, until
  everything goes again with a new producer.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.sender import Sender, SendProduceReqHandler

from runstream.kafka_options import KafkaOptions
from runstream.kafka_topics import MAX_MESSAGE_BYTES

LINGER_MS = 50
REQUEST_TIMEOUT_MS = 30_000
RETRY_BACKOFF_MS = 100
ALL_REPLICAS = -1


def ordered_producer(options: KafkaOptions, *, batch_bytes: int, wait_for_room_s: float) -> AIOKafkaProducer:
    """A producer that is not started yet. End it with `abandon`, not with its own `stop()`.

    Its `send()` raises KafkaTimeoutError when the partition's batch is full and not under way within `wait_for_room_s`.
    """
    producer = AIOKafkaProducer(
        **options.client_arguments(),
        client_id="runstream-agent",
        acks="all",
        enable_idempotence=True,
        compression_type=None if options.compression == "none" else options.compression,
        linger_ms=LINGER_MS,
        max_batch_size=batch_bytes,
        max_request_size=MAX_MESSAGE_BYTES,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        metadata_max_age_ms=60_000,
    )
    producer._request_timeout_ms = wait_for_room_s * 1000  # of `send()` only; the client and the sender have their own
    producer._message_accumulator._batch_ttl = math.inf
    producer._sender = OrderedSender(
        producer.client,
        acks=ALL_REPLICAS,
        txn_manager=producer._txn_manager,
        message_accumulator=producer._message_accumulator,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    return producer


class OrderedSender(Sender):  # type: ignore[misc]  # aiokafka has no types
    """Sends nothing more to a partition once a batch of it has failed."""

    async def _send_produce_req(self, node_id: int, batches: dict[Any, Any]) -> None:
        await SendProduceReqHandler(self, batches).do(node_id)
        self._in_flight.remove(node_id)
        for partition, batch in batches.items():
            failed = batch.future.done() and batch.future.exception() is not None
            if not failed:
                self._muted_partitions.remove(partition)


async def abandon(producer: AIOKafkaProducer) -> None:
    """Ends `producer` without waiting for its batches; their futures stay pending."""
    producer._closed = True
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
    await producer.client.close()
    while sender is not None and not sender.done():
        # It waits for its requests, and they for new metadata that nobody fetches any more.
        await asyncio.wait([sender], timeout=0.2)
        sender.cancel()
