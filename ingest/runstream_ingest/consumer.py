"""The loop that drives the steps from Kafka: the only place that knows aiokafka's consumer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Collection

import stamina
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from runstream.kafka_topics import create_missing_topics
from runstream_ingest.assignment import CHUNK_BYTES, Assignment, Steps, chunks_of
from runstream_ingest.errors import CommitRefused, MarksLost, TaskEnded, TooManyDeadLetters
from runstream_ingest.health import Health
from runstream_ingest.kafka_offsets import KafkaOffsets, Places
from runstream_ingest.ledger import DatabaseLedger
from runstream_ingest.metrics import Metrics
from runstream_ingest.records import Carried, Range, Ranges, Record, Source
from runstream_ingest.recovery import Build, Recovery
from runstream_ingest.settings import IngestSettings
from runstream_ingest.topic_reader import leave, record_of

log = structlog.get_logger("runstream.ingest")

POLL_MS = 200
PATIENCE_S = 2.0
"""Back-pressure lasts so long before partitions are paused: a pause throws away what was fetched ahead."""
LEAVE_S = 10.0
"""For telling the group that this member leaves; without it the group finds out by itself."""
FETCH_BYTES = 4 << 20
MARKS_S = 5.0
"""So often the marks of the database are compared with what was written."""
AGAIN_S = 1.0
"""Before an assignment begins anew after an error."""


class Worker(ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of the consumer group."""

    def __init__(
        self,
        settings: IngestSettings,
        build: Build,
        recovery: Recovery,
        ledger: DatabaseLedger,
        *,
        metrics: Metrics,
        health: Health,
    ) -> None:
        self._settings = settings
        self._options = settings.kafka_options
        self._build = build
        self._recovery = recovery
        self._ledger = ledger
        self._with_marks = "marks" not in settings.unsafe
        self._with_intents = "intents" not in settings.unsafe
        self._metrics = metrics
        self._health = health
        self._stopping = asyncio.Event()
        self._assignment: Assignment | None = None
        self._stopped_by: TooManyDeadLetters | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._durable: dict[Source, Range] = {}
        self._changing = asyncio.Lock()
        self._begin_again = False
        self._checking: asyncio.Task[None] | None = None
        self._checked = 0.0

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
                if self._checking is not None:
                    self._checking.cancel()
                await leave(self._consumer, timeout_s=LEAVE_S)

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
            if self._begin_again:
                await self._restart(consumer)
            self._check_marks()
            fetched = await consumer.getmany(timeout_ms=POLL_MS)
            assignment = self._assignment
            for partition, records in fetched.items():
                for chunk in chunks_of([record_of(partition, record) for record in records]):
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
        """Raises what ended the feed, unless the assignment can begin again.

        After too many dead letters it stays ended; polling goes on without reading.
        """
        assignment = self._assignment
        if self._stopped_by is not None and self._consumer is not None:
            self._pause(self._consumer)  # also what a rebalance brought since
            return
        if assignment is None or not assignment.task.done() or assignment.ending:
            return
        error = assignment.task.exception() if not assignment.task.cancelled() else None
        if isinstance(error, CommitRefused | MarksLost | KafkaError | OSError):
            assignment.ending = True
            self._begin_again = True
            log.warning("the assignment begins again", error=repr(error))
            return
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
        if self._assignment is None or self._assignment.steps is None:
            return  # it resumes once it is known where it begins
        with contextlib.suppress(IllegalStateError):
            consumer.resume(*consumer.paused())

    # -- assignments

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if revoked:
            log.info("partitions revoked", partitions=sorted(map(str, revoked)))
        await self._end_assignment()
        for partition in revoked:
            self._durable.pop(Source(*partition), None)
            self._forget_lag(partition)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._metrics.rebalances.inc()
        log.info("partitions assigned", partitions=sorted(map(str, assigned)))
        async with self._changing:
            self._begin(assigned)

    def _begin(self, partitions: Collection[TopicPartition]) -> None:
        self._begin_again = False
        if not partitions or self._stopped_by is not None or self._stopping.is_set():
            return
        assert self._consumer is not None
        # Nothing is read before it is known from where.
        self._consumer.pause(*partitions)
        size = max(1, self._settings.ingest_buffer_bytes // CHUNK_BYTES)
        sources = frozenset(Source(*partition) for partition in partitions)
        self._assignment = Assignment(sources, size, self._prepare)

    async def _restart(self, consumer: AIOKafkaConsumer) -> None:
        """Begins the assignment again from what is committed, with nothing of what was under way."""
        await asyncio.sleep(AGAIN_S)
        async with self._changing:
            if self._assignment is not None and self._begin_again:
                await self._assignment.drop()
                self._assignment = None
                self._begin(consumer.assignment())
            self._begin_again = False

    async def _prepare(self, assignment: Assignment) -> Steps:
        """The steps of `assignment`, once its interrupted batches are done and the consumer stands at its begin."""
        consumer = self._consumer
        assert consumer is not None
        async for attempt in stamina.retry_context(on=self._is_away, attempts=None, timeout=None, wait_max=5.0):
            with attempt:
                beginning = await self._recovery.begin(assignment.sources)
        self._health.solved("kafka")
        if beginning.recovered:
            await self._commit({source: (end, "") for source, end in beginning.recovered.items()})
        for source, position in beginning.positions.items():
            consumer.seek(TopicPartition(*source), position)
        assignment.forget_queued()
        assignment.generations, assignment.marked = beginning.generations, dict(beginning.marked)
        assignment.reached = dict(beginning.positions)

        def durable(ranges: Ranges) -> None:
            ends = {source: one.end for source, one in ranges.items()}
            assignment.marked.update(ends)
            assignment.reached.update(ends)
            self._is_durable(ranges)

        assignment.offsets = offsets = KafkaOffsets(
            self._commit,
            durable,
            generations=beginning.generations if self._with_marks else None,
            with_intents=self._with_intents,
        )
        steps = self._build(offsets)
        assignment.steps = steps
        self._resume(consumer)
        return steps

    async def _end_assignment(self) -> None:
        """Drains what is in flight, within the time for it; the rest is dropped uncommitted and read again."""
        async with self._changing:
            assignment = self._assignment
            if assignment is None:
                return
            try:
                if not await assignment.drain(self._settings.ingest_drain_s):
                    log.warning("drain took too long; what is not committed will be read again")
            except TooManyDeadLetters:
                assignment.ending = False
                self._check_feed()
            except (CommitRefused, MarksLost, KafkaError) as error:
                log.warning("the end of the assignment was not committed", error=repr(error))
            finally:
                self._assignment = None

    async def _commit(self, places: Places) -> None:
        """Raises CommitRefused when the partitions have moved; waits while the brokers do not answer."""
        assert self._consumer is not None
        offsets = {TopicPartition(*source): place for source, place in places.items()}
        while True:
            try:
                await self._consumer.commit(offsets)
            except (CommitFailedError, IllegalStateError) as error:
                self._metrics.commit_failures.inc()
                log.warning("commit refused", error=repr(error), offsets={str(s): p[0] for s, p in offsets.items()})
                raise CommitRefused(error) from error
            except KafkaError as error:
                self._metrics.commit_failures.inc()
                self._health.problem("commit", f"the group takes no commits: {error!r}")
                log.warning("commit failed", error=repr(error))
                await asyncio.sleep(AGAIN_S)
            else:
                self._health.solved("commit")
                return

    def _is_durable(self, ranges: Ranges) -> None:
        now_ms = time.time() * 1000
        self._metrics.batch_seconds.observe(max(0.0, now_ms - max(one.newest_ms for one in ranges.values())) / 1000)
        self._durable.update(ranges)
        self._health.progressed()

    # -- marks

    def _check_marks(self) -> None:
        """Every few seconds, beside the reading: whether the database still has what was written."""
        assignment, now = self._assignment, time.monotonic()
        if self._checking is not None and self._checking.done():
            self._checking.result()
            self._checking = None
        if (
            not self._with_marks
            or self._checking is not None
            or now - self._checked < MARKS_S
            or assignment is None
            or assignment.steps is None
        ):
            return
        self._checked = now
        self._checking = asyncio.create_task(self._compare_marks(assignment), name="marks")

    async def _compare_marks(self, assignment: Assignment) -> None:
        written = dict(assignment.marked)
        places = await self._ledger.marks(assignment.sources)
        lost = [
            f"{source.topic}-{source.partition}"
            for source, end in written.items()
            if (place := places.get(source)) is None
            or (place.generation, place.end) < (assignment.generations.get(source, 0), end)
        ]
        if lost and self._assignment is assignment and not assignment.ending:
            log.error("marks are behind", error=str(MarksLost(lost)))
            self._begin_again = True

    # -- lag

    def _show_lag(self, consumer: AIOKafkaConsumer) -> None:
        now_ms = time.time() * 1000
        self._note_progress(consumer)
        for source, one in self._durable.items():
            try:
                newest = consumer.highwater(TopicPartition(*source))
            except (KafkaError, IllegalStateError, AssertionError):
                continue
            behind = max(0, (newest or 0) - one.end)
            labels = {"topic": source.topic, "partition": str(source.partition)}
            self._metrics.lag_messages.labels(**labels).set(behind)
            self._metrics.lag_seconds.labels(**labels).set(max(0.0, now_ms - one.newest_ms) / 1000 if behind else 0)

    def _note_progress(self, consumer: AIOKafkaConsumer) -> None:
        """Tells the probes when nothing waits."""
        reached = self._assignment.reached if self._assignment else {}
        for source, offset in reached.items():
            with contextlib.suppress(KafkaError, IllegalStateError, AssertionError):
                if (consumer.highwater(TopicPartition(*source)) or 0) > offset:
                    return
        self._health.progressed()

    def _forget_lag(self, partition: TopicPartition) -> None:
        for gauge in (self._metrics.lag_messages, self._metrics.lag_seconds):
            with contextlib.suppress(KeyError):
                gauge.remove(partition.topic, str(partition.partition))
