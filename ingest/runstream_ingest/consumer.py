"""The loop that drives the steps from Kafka: the only place that knows aiokafka's consumer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import stamina
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from runstream.kafka_topics import create_missing_topics
from runstream_ingest.commit import Commit
from runstream_ingest.errors import TaskEnded, TooManyDeadLetters
from runstream_ingest.health import Health
from runstream_ingest.metrics import Metrics
from runstream_ingest.records import Carried, Range, Ranges, Record, Source, carried
from runstream_ingest.settings import IngestSettings
from runstream_ingest.step import Step

log = structlog.get_logger("runstream.ingest")

POLL_MS = 200
TICK_S = 0.05
PATIENCE_S = 2.0
"""Back-pressure lasts so long before partitions are paused: a pause throws away what was fetched ahead."""
LEAVE_S = 10.0
"""For telling the group that this member leaves; without it the group finds out by itself."""
CHUNK_BYTES = 1 << 20
CHUNK_RECORDS = 500
"""The steps hand the loop back to the heartbeats after each chunk."""
FETCH_BYTES = 4 << 20
Build = Callable[[Commit], Step[list[Record]]]


class Assignment:
    """One assignment of partitions: its own row of steps, and what was read for it and not yet put."""

    def __init__(self, steps: Step[list[Record]], chunks: int) -> None:
        self.steps = steps
        self.queue: asyncio.Queue[Carried[list[Record]] | None] = asyncio.Queue(chunks)
        self.ending = False
        self.task: asyncio.Task[None] | None = None

    async def feed(self) -> None:
        """Puts the chunks until `ending`, ticks beside it, then closes the steps. Raises what a step raises."""
        ticked = 0.0
        while not self.ending:
            chunk = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    chunk = await self.queue.get()
            if chunk is not None:
                await self.steps.put(chunk)
            now = time.monotonic()
            if now - ticked >= TICK_S:
                ticked = now
                await self.steps.tick(now)
        await self.steps.close()

    def end(self) -> None:
        """Lets `feed` finish what it put; what still waits in the queue is read again by the next owner."""
        self.ending = True
        with contextlib.suppress(asyncio.QueueFull):
            self.queue.put_nowait(None)


class Worker(ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of the consumer group."""

    def __init__(self, settings: IngestSettings, build: Build, *, metrics: Metrics, health: Health) -> None:
        self._settings = settings
        self._options = settings.kafka_options
        self._build = build
        self._metrics = metrics
        self._health = health
        self._stopping = asyncio.Event()
        self._assignment: Assignment | None = None
        self._stopped_by: TooManyDeadLetters | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._durable: dict[Source, Range] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Consumes until `stop` is set; then what is in flight becomes durable, or the drain time is over.

        Raises what a step raises, except that too many dead letters only stop consumption.
        """
        self._stopping = stop
        if not await self._unless_stopping(self._connect()):
            return
        assert self._consumer is not None
        self._health.solved("start")
        try:
            await self._poll(self._consumer)
        finally:
            try:
                await self._end_assignment()
            finally:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LEAVE_S):
                        await self._consumer.stop()

    # -- connecting

    async def _connect(self) -> None:
        async for attempt in stamina.retry_context(on=self._is_away, attempts=None, timeout=None, wait_max=5.0):
            with attempt:
                await create_missing_topics(self._settings.topic_prefix, self._options)
                consumer = AIOKafkaConsumer(
                    **self._options.client_arguments(),
                    client_id="runstream-ingest",
                    group_id=self._settings.ingest_group,
                    group_instance_id=self._settings.ingest_instance,
                    enable_auto_commit=False,
                    auto_offset_reset="earliest",
                    max_partition_fetch_bytes=FETCH_BYTES,
                    fetch_max_bytes=4 * FETCH_BYTES,
                    fetch_max_wait_ms=100,
                    session_timeout_ms=round(self._settings.ingest_session_timeout_s * 1000),
                    heartbeat_interval_ms=round(min(3.0, self._settings.ingest_session_timeout_s / 6) * 1000),
                    rebalance_timeout_ms=60_000,
                )
                consumer.subscribe(list(self._settings.topics), listener=self)
                self._consumer = consumer
                try:
                    await consumer.start()
                except BaseException:
                    await consumer.stop()
                    raise
        self._health.solved("kafka")
        log.info("consuming", topics=self._settings.topics, group=self._settings.ingest_group)

    def _is_away(self, error: Exception) -> bool:
        if not isinstance(error, KafkaError | OSError):
            return False
        self._health.turned()
        self._health.problem("kafka", f"no connection to {self._options.bootstrap}: {error!r}")
        log.warning("kafka is away", bootstrap=self._options.bootstrap, error=repr(error))
        return True

    async def _unless_stopping(self, act: Awaitable[None]) -> bool:
        """Whether `act` came to its end before `stop` was called."""
        work, stop = asyncio.ensure_future(act), asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if work.done():
            await work
            return True
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        return False

    # -- polling

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        while not self._stopping.is_set():
            self._health.turned()
            self._check_feed()
            fetched = await consumer.getmany(timeout_ms=POLL_MS)
            assignment = self._assignment
            for partition, records in fetched.items():
                for chunk in chunks_of([_record(partition, record) for record in records]):
                    await self._offer(consumer, assignment, chunk)
            self._show_lag(consumer)

    async def _offer(
        self, consumer: AIOKafkaConsumer, assignment: Assignment | None, chunk: Carried[list[Record]]
    ) -> None:
        """Queues `chunk`. While the queue stays full the partitions are paused; polling goes on, for the group."""
        paused = False
        while assignment is not None and not (assignment.ending or self._stopping.is_set()):
            try:
                async with asyncio.timeout(PATIENCE_S if not paused else POLL_MS / 1000):
                    await assignment.queue.put(chunk)
                break
            except TimeoutError:
                if not paused:
                    log.info("paused by back-pressure", queued=assignment.queue.qsize())
                paused = True
                self._pause(consumer)
                self._health.turned()
                self._check_feed()
                await consumer.getmany(timeout_ms=0)
                self._show_lag(consumer)
        if paused:
            self._resume(consumer)

    def _check_feed(self) -> None:
        """Raises what ended the feed. After too many dead letters it stays ended; polling goes on without reading."""
        assignment = self._assignment
        if self._stopped_by is not None and self._consumer is not None:
            self._pause(self._consumer)  # also what a rebalance brought since
            return
        if assignment is None or assignment.task is None or not assignment.task.done() or assignment.ending:
            return
        error = assignment.task.exception() if not assignment.task.cancelled() else None
        if not isinstance(error, TooManyDeadLetters):
            raise error or TaskEnded("feed")
        self._stopped_by = error
        self._metrics.stopped.set(1)
        self._health.problem("stopped", str(error))
        log.critical("consumption stopped", error=str(error))
        if self._consumer is not None:
            self._pause(self._consumer)

    def _pause(self, consumer: AIOKafkaConsumer) -> None:
        self._metrics.paused.set(1)
        with contextlib.suppress(IllegalStateError):
            consumer.pause(*consumer.assignment())

    def _resume(self, consumer: AIOKafkaConsumer) -> None:
        self._metrics.paused.set(0)
        with contextlib.suppress(IllegalStateError):
            consumer.resume(*consumer.paused())

    # -- assignments

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if revoked:
            log.info("partitions revoked", partitions=sorted(map(str, revoked)))
        await self._end_assignment()
        for partition in revoked:
            self._durable.pop(Source(partition.topic, partition.partition), None)
            self._forget_lag(partition)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._metrics.rebalances.inc()
        log.info("partitions assigned", partitions=sorted(map(str, assigned)))
        if assigned and self._stopped_by is None and not self._stopping.is_set():
            size = max(1, self._settings.ingest_buffer_bytes // CHUNK_BYTES)
            assignment = Assignment(self._build(self._commit), size)
            assignment.task = asyncio.create_task(self._feed(assignment), name="feed")
            self._assignment = assignment

    async def _feed(self, assignment: Assignment) -> None:
        try:
            await assignment.feed()
        except TooManyDeadLetters:
            # What came before is good: it is written before consumption stops.
            await assignment.steps.close()
            raise

    async def _end_assignment(self) -> None:
        """Drains what is in flight, within the time for it; the rest is dropped uncommitted and read again."""
        assignment, task = self._assignment, self._assignment.task if self._assignment else None
        if assignment is None or task is None:
            return
        assignment.end()
        try:
            async with asyncio.timeout(self._settings.ingest_drain_s):
                await asyncio.shield(task)
        except TimeoutError:
            log.warning("drain took too long; what is not committed will be read again")
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        except TooManyDeadLetters:
            assignment.ending = False
            self._check_feed()
        finally:
            if self._assignment is assignment:
                self._assignment = None

    async def _commit(self, ranges: Ranges) -> None:
        assert self._consumer is not None
        offsets = {TopicPartition(*source): one.end for source, one in ranges.items()}
        try:
            await self._consumer.commit(offsets)
        except (KafkaError, IllegalStateError) as error:
            # The rows are there. Whoever reads these messages again writes the same rows again, which changes nothing.
            self._metrics.commit_failures.inc()
            log.warning("commit refused", error=repr(error), offsets={str(key): end for key, end in offsets.items()})
            return
        now_ms = time.time() * 1000
        self._metrics.batch_seconds.observe(max(0.0, now_ms - max(one.newest_ms for one in ranges.values())) / 1000)
        self._durable.update(ranges)

    # -- lag

    def _show_lag(self, consumer: AIOKafkaConsumer) -> None:
        now_ms = time.time() * 1000
        for source, one in self._durable.items():
            try:
                newest = consumer.highwater(TopicPartition(*source))
            except (KafkaError, IllegalStateError, AssertionError):
                continue
            behind = max(0, (newest or 0) - one.end)
            labels = {"topic": source.topic, "partition": str(source.partition)}
            self._metrics.lag_messages.labels(**labels).set(behind)
            self._metrics.lag_seconds.labels(**labels).set(max(0.0, now_ms - one.newest_ms) / 1000 if behind else 0)

    def _forget_lag(self, partition: TopicPartition) -> None:
        for gauge in (self._metrics.lag_messages, self._metrics.lag_seconds):
            with contextlib.suppress(KeyError):
                gauge.remove(partition.topic, str(partition.partition))


def _record(partition: TopicPartition, record: object) -> Record:
    topic, number = partition.topic, partition.partition
    return Record(topic, number, record.offset, record.timestamp, record.key, record.value, tuple(record.headers))  # type: ignore[attr-defined]


def chunks_of(records: Sequence[Record]) -> Iterator[Carried[list[Record]]]:
    """`records` of one partition in pieces of about CHUNK_BYTES and at most CHUNK_RECORDS."""
    chunk: list[Record] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record.value or b"")
        if size >= CHUNK_BYTES or len(chunk) >= CHUNK_RECORDS:
            yield carried(chunk)
            chunk, size = [], 0
    if chunk:
        yield carried(chunk)
