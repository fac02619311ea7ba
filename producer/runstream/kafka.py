"""The transport to Kafka: one idempotent producer that never gives up.

The producer (`runstream.kafka_producer`) retries what is a matter of infrastructure and keeps the order. What is left
to do here: to connect when the broker comes up late, to start a new producer when the old one is broken for good (all
that is not acknowledged goes again, in order), and to put aside the one message that the broker will never take.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidMessageError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
)

from runstream.errors import MessageRefused
from runstream.kafka_offsets import GroupOffsets, end_of
from runstream.kafka_options import KafkaOptions
from runstream.kafka_producer import abandon, ordered_producer
from runstream.kafka_topics import create_missing_topics, source_topics
from runstream.messages import Message, Place
from runstream.settings import Settings

log = logging.getLogger(__name__)
BATCH_BYTES = (4 << 20, 1 << 20)
"""Largest batch of several messages; once one was refused the second value, which brokers with default limits take. One
batch of a run is under way at a time, so its size decides how much a slow broker lets through."""
BACKOFF_S = (0.1, 2.0)
LOOK_UP_EVERY_S = 0.5
"""While it waits for a batch, to see whether the producer is still good."""
_REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidMessageError)


@dataclass(slots=True, eq=False)
class _Pending:
    message: Message
    future: asyncio.Future[Place | None]
    alone: bool = False
    """Was in a batch that the broker refused: the next time it goes in a batch of its own."""


class _Broken(Exception):
    """This producer will not deliver the rest."""


class KafkaTransport:
    """`runstream.transport.Transport` over Kafka.

    `refused/` in the data directory keeps messages that the broker will never take, as
    `<time_us>-<topic>-<run id>.avro`. Memory: what was
    sent and is not acknowledged, once here and, while a request is under way, once more compressed.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError when `settings.kafka` or one of the `RUNSTREAM_KAFKA_*` options cannot be used."""
        self.acknowledged_messages = 0
        self.refused_messages = 0
        self.connected = False
        self._options = KafkaOptions.from_settings(settings)
        self._group = GroupOffsets(self._options, settings.ingest_group, source_topics(settings.topic_prefix))
        self._looking_up: set[asyncio.Task[None]] = set()
        self._topic_prefix = settings.topic_prefix
        self._refused_dir = settings.dir / "refused"
        self._batch_bytes = BATCH_BYTES[0]
        self._unacknowledged: dict[_Pending, None] = {}
        self._queue: deque[_Pending] = deque()
        self._wake = asyncio.Event()
        self._broken: KafkaError | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to connect; returns at once."""
        self._task = asyncio.create_task(self._run(), name="runstream-kafka")

    def send(self, message: Message) -> asyncio.Future[Place | None]:
        """See `Transport.send`."""
        pending = _Pending(message, asyncio.get_running_loop().create_future())
        self._unacknowledged[pending] = None
        self._queue.append(pending)
        self._wake.set()
        return pending.future

    async def flush(self) -> None:
        """See `Transport.flush`."""
        while self._unacknowledged:
            await asyncio.wait([next(reversed(self._unacknowledged)).future])

    async def close(self) -> None:
        """See `Transport.close`."""
        for task in (self._task, *self._looking_up):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._group.close()

    async def queryable(self) -> Mapping[tuple[str, int], int]:
        """See `TellsQueryable.queryable`: what the group of the ingest workers has committed."""
        return await self._group.committed()

    # -- one producer after another

    async def _run(self) -> None:
        failures = 0
        while True:
            producer = None
            try:
                producer = await self._connect()
                failures = 0
                await self._feed(producer)
            except Exception as error:  # whatever it is, the spool is still to be delivered
                failures += 1
                wait = min(BACKOFF_S[1], BACKOFF_S[0] * 2 ** min(failures, 10)) * random.uniform(0.5, 1)  # noqa: S311
                expected = isinstance(error, KafkaError | OSError | _Broken)
                log.log(
                    logging.WARNING if expected else logging.ERROR,
                    "kafka %s: %s; again in %.1f s",
                    self._options.bootstrap,
                    _text(error),
                    wait,
                    exc_info=not expected,
                )
                await asyncio.sleep(wait)
            finally:
                self.connected = False
                if producer is not None:
                    await asyncio.shield(abandon(producer))
            self._queue = deque(self._unacknowledged)
            self._broken = None

    async def _connect(self) -> AIOKafkaProducer:
        await self._make_topics()
        producer = ordered_producer(self._options, batch_bytes=self._batch_bytes, wait_for_room_s=LOOK_UP_EVERY_S)
        try:
            await producer.start()
        except BaseException:
            await asyncio.shield(abandon(producer))
            raise
        self.connected = True
        log.info("kafka %s: connected", self._options.bootstrap)
        return producer

    async def _make_topics(self) -> None:
        try:
            await create_missing_topics(self._topic_prefix, self._options)
        except KafkaConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - somebody else may have to make them, or has: sending tells
            log.warning("topics of prefix %s cannot be made: %s", self._topic_prefix, _text(error))

    async def _feed(self, producer: AIOKafkaProducer) -> None:
        while True:
            while self._queue:
                self._raise_if_broken()
                pending = self._queue[0]
                if pending.alone:
                    await self._drain(producer)
                if await self._hand_over(producer, pending):
                    self._queue.popleft()
                if pending.alone:
                    await self._drain(producer)
            self._raise_if_broken()
            self._wake.clear()
            await self._wake.wait()

    async def _drain(self, producer: AIOKafkaProducer) -> None:
        """Waits until all that was handed over is acknowledged."""
        flushing = asyncio.ensure_future(producer.flush())
        try:
            while not (await asyncio.wait([flushing], timeout=LOOK_UP_EVERY_S))[0]:
                self._raise_if_broken()
        finally:
            flushing.cancel()
        self._raise_if_broken()

    async def _hand_over(self, producer: AIOKafkaProducer, pending: _Pending) -> bool:
        """Whether the producer has taken `pending`, or it has been put aside."""
        message = pending.message
        try:
            acknowledged = await producer.send(message.topic, message.value, message.key, headers=list(message.headers))
        except MessageSizeTooLargeError as error:
            self._refuse(pending, error)
        except KafkaTimeoutError:
            return False  # the batch before it is full and still under way
        except UnknownTopicOrPartitionError:
            await self._make_topics()
            raise
        else:
            acknowledged.add_done_callback(lambda done: self._settle(producer, pending, done))
        return True

    def _settle(self, producer: AIOKafkaProducer, pending: _Pending, done: asyncio.Future[Any]) -> None:
        error = None if done.cancelled() else done.exception()
        if pending not in self._unacknowledged or producer._closed:
            return
        if done.cancelled() or error is not None:
            if isinstance(error, _REFUSALS):
                if pending.alone:
                    self._refuse(pending, error)
                pending.alone = True
                self._batch_bytes = BATCH_BYTES[1]
            self._broken = self._broken or (error if isinstance(error, KafkaError) else KafkaError(repr(error)))
            self._wake.set()
            return
        del self._unacknowledged[pending]
        self.acknowledged_messages += 1
        place = done.result()
        if place.offset < 0:  # it was there already, from a request whose answer was lost
            task = asyncio.create_task(self._look_up(pending, place.topic, place.partition))
            self._looking_up.add(task)
            task.add_done_callback(self._looking_up.discard)
        elif not pending.future.done():
            pending.future.set_result(Place(place.topic, place.partition, place.offset))

    async def _look_up(self, pending: _Pending, topic: str, partition: int) -> None:
        """An offset that `pending` has at most."""
        while True:
            try:
                last = await end_of(self._options, topic, partition) - 1
            except (KafkaError, TimeoutError, OSError) as error:
                log.warning("kafka %s: end of %s/%d: %s", self._options.bootstrap, topic, partition, _text(error))
                await asyncio.sleep(BACKOFF_S[1])
            else:
                break
        if not pending.future.done():
            pending.future.set_result(Place(topic, partition, last))

    def _raise_if_broken(self) -> None:
        if self._broken is not None:
            raise _Broken(_text(self._broken)) from self._broken

    def _refuse(self, pending: _Pending, error: BaseException) -> None:
        message = pending.message
        kept_at = (
            self._refused_dir
            / f"{time.time_ns() // 1000}-{message.topic}-{message.key.decode('ascii', 'replace')}.avro"
        )
        self._refused_dir.mkdir(parents=True, exist_ok=True)
        kept_at.write_bytes(message.value)
        self.refused_messages += 1
        refused = MessageRefused(topic=message.topic, size=message.size, reason=_text(error), kept_at=kept_at)
        log.error("%s", refused)
        del self._unacknowledged[pending]
        if not pending.future.done():
            pending.future.set_exception(refused)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
