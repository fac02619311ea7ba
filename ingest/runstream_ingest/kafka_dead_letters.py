"""Dead letters in the topic `<topic>.dlq`: the original bytes, and in headers where they came from and why."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from importlib.metadata import version

import stamina
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from runstream.kafka_options import KafkaOptions
from runstream.kafka_topics import dead_letter_topic
from runstream_ingest.dead_letters import DeadLetter
from runstream_ingest.health import Health
from runstream_ingest.metrics import Metrics

log = structlog.get_logger("runstream.ingest")
MAX_REQUEST_BYTES = 256 << 20
SHORTENED_BYTES = 512 << 10
"""What is kept of a message that its dead-letter topic does not take whole."""


class KafkaDeadLetters:
    """Writes with `acks=all` and waits for them; tries again for ever while the brokers cannot be reached."""

    def __init__(self, options: KafkaOptions, *, metrics: Metrics, health: Health) -> None:
        self._options = options
        self._metrics = metrics
        self._health = health
        self._producer: AIOKafkaProducer | None = None
        self._release = version("runstream").encode()

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        async for attempt in stamina.retry_context(on=self._is_temporary, attempts=None, timeout=None, wait_max=10.0):
            with attempt:
                await self._put(letters)
        self._health.solved("dead letters")
        for letter in letters:
            log.warning(
                "dead letter",
                topic=letter.record.topic,
                partition=letter.record.partition,
                offset=letter.record.offset,
                reason=letter.reason,
                error=letter.error,
            )

    async def close(self) -> None:
        if self._producer is not None:
            with contextlib.suppress(KafkaError, OSError):
                await self._producer.stop()

    async def _put(self, letters: Sequence[DeadLetter]) -> None:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._options.client_arguments(),
                client_id="runstream-ingest-dead-letters",
                acks="all",
                enable_idempotence=True,
                compression_type="lz4",
                max_request_size=MAX_REQUEST_BYTES,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        await asyncio.gather(*(self._send(self._producer, letter) for letter in letters))

    async def _send(self, producer: AIOKafkaProducer, letter: DeadLetter) -> None:
        record = letter.record
        topic, headers = dead_letter_topic(record.topic), [*letter.headers, ("runstream_release", self._release)]
        try:
            await producer.send_and_wait(topic, record.value, key=record.key, headers=headers)
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            headers.append(("runstream_shortened_from", str(len(record.value or b"")).encode()))
            value = (record.value or b"")[:SHORTENED_BYTES]
            await producer.send_and_wait(topic, value, key=record.key, headers=headers)

    def _is_temporary(self, error: Exception) -> bool:
        if not isinstance(error, KafkaError | OSError):
            return False
        self._metrics.dead_letter_retries.inc()
        self._health.problem("dead letters", f"the dead-letter topic cannot be written: {error!r}")
        log.warning("dead letters wait", error=repr(error))
        return True
