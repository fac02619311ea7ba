"""Dead letters in Kafka: the topics `<topic>.dlq`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING

from runstream_deploy.errors import KafkaUnreachable
from runstream_deploy.kafka_reading import Span, places, reading, records
from runstream_deploy.kafka_reading.clients import answering
from runstream_deploy.operations.letters import FACTS, REPLAY_HEADER, Letter

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

    from runstream.kafka_options import KafkaOptions
    from runstream_ingest.records import Record

MAX_REQUEST_BYTES = 256 << 20
"""Above every broker's limit: the broker says what is too large."""
SENT_WITHIN_S = 60.0


class TopicLetters:
    """The letters of `topics` (their sources' names)."""

    def __init__(self, options: KafkaOptions, topics: Sequence[str]) -> None:
        self._options = options
        self._topics = topics

    async def letters(self) -> AsyncIterator[Letter]:
        """See `LetterBox.letters`. Raises KafkaUnreachable or TopicMissing."""
        from runstream.kafka_topics import dead_letter_topic

        dead = [dead_letter_topic(topic) for topic in self._topics]
        async with reading(self._options) as consumer:
            found = await places(consumer, dead)
            spans = {source: Span(place.begin, place.end) for source, place in found.items()}
            async for chunk in records(consumer, spans):
                for record in chunk:
                    yield letter_of(record)

    async def send_again(self, letters: Iterable[Letter]) -> dict[str, str]:
        """See `LetterBox.send_again`: to the topic they came from, with their key, headers and a header `replay`."""
        from aiokafka import AIOKafkaProducer
        from aiokafka.errors import KafkaError

        producer = AIOKafkaProducer(
            **self._options.client_arguments(),
            client_id="runstream-tools",
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=int(SENT_WITHIN_S * 1000),
        )
        failed: dict[str, str] = {}
        with answering(self._options):
            try:
                async with asyncio.timeout(SENT_WITHIN_S):
                    await producer.start()
                for letter in letters:
                    try:
                        await self._send(producer, letter)
                    except KafkaError as error:
                        if error.retriable:
                            raise
                        failed[letter.id] = f"{type(error).__name__}: {error}"
            except TimeoutError as error:
                raise KafkaUnreachable(bootstrap=self._options.bootstrap, reason="no answer in time") from error
            finally:
                await producer.stop()
        return failed

    def remove(self, letter: Letter) -> None:
        """The bytes stay in the topic until its retention removes them."""

    async def _send(self, producer: AIOKafkaProducer, letter: Letter) -> None:
        partitions = await producer.partitions_for(letter.topic)
        # Its old partition, so that it meets its run's other messages there; not if the topic was made anew with less.
        partition = letter.partition if letter.partition in partitions else None
        headers = [*letter.headers, (REPLAY_HEADER, letter.kept_at.encode())]
        await producer.send_and_wait(letter.topic, letter.value, key=letter.key, partition=partition, headers=headers)


def letter_of(record: Record) -> Letter:
    """What a message of a dead-letter topic says; one that somebody else put there counts as a letter of that place."""
    facts = {
        name.removeprefix(FACTS): value.decode(errors="replace")
        for name, value in record.headers
        if name.startswith(FACTS)
    }
    own = tuple((name, value) for name, value in record.headers if not name.startswith(FACTS) and name != REPLAY_HEADER)
    return Letter(
        topic=facts.get("source_topic", record.topic.removesuffix(".dlq")),
        partition=number(facts.get("source_partition"), record.partition),
        offset=number(facts.get("source_offset"), record.offset),
        reason=facts.get("reason", "unknown"),
        error=facts.get("error", ""),
        ts_ms=number(facts.get("source_timestamp_ms"), record.timestamp_ms),
        key=record.key,
        value=record.value or b"",
        headers=own,
        kept_at=f"{record.topic}/{record.partition}@{record.offset}",
        release=facts.get("release", ""),
        shortened_from=number(facts.get("shortened_from"), 0),
    )


def number(text: str | None, otherwise: int) -> int:
    try:
        return int(text or "")
    except ValueError:
        return otherwise
