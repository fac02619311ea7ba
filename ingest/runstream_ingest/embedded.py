"""Ingest inside the process that reads the spools: the same steps, fed from memory."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from runstream.errors import MessageRefused
from runstream.messages import Message
from runstream_ingest.assignment import TICK_S, chunks_of
from runstream_ingest.clickhouse import ClickHouseInserter, Retrying
from runstream_ingest.corrections import Corrections
from runstream_ingest.dead_letters import DeadLetter, DirectoryDeadLetters
from runstream_ingest.health import Health
from runstream_ingest.insert import Came, Inserter
from runstream_ingest.ledger import DatabaseLedger, Ledger
from runstream_ingest.metrics import Metrics
from runstream_ingest.pipeline import PipelineSettings, build
from runstream_ingest.records import Ranges, Record, Source
from runstream_ingest.step import Step

log = structlog.get_logger("runstream.ingest")
PARTITION = -1
"""Rows that never were in Kafka have this as their `src_partition`."""
DEAD_LETTERS = "dead-letters"
RESTART_S = 1.0
# In one process nobody else can send, and every letter is kept: nothing is won by stopping.
SETTINGS = PipelineSettings(dead_letter_max_consecutive=1 << 62, dead_letter_max_ratio=1.0)


class Store(Inserter, Ledger, Protocol):
    """A database and what it remembers of deliveries."""


class EmbeddedIngest:
    """A `runstream.transport.Transport` whose other side is the database.

    `database` is the URL of ClickHouse or of the embedded engine's endpoint, or something that stands for it. A message
    that cannot be used is kept in `directory`/dead-letters, and its future fails with MessageRefused. While the
    database is away the futures wait.
    """

    def __init__(self, database: str | Store, directory: Path) -> None:
        self.metrics, self.health = Metrics(), Health()
        self._connections: list[ClickHouseInserter] = []
        self._corrections: Corrections | None = None
        self._inserter: Inserter
        self._ledger: Ledger
        if isinstance(database, str):
            clickhouse, correcting = ClickHouseInserter(database), ClickHouseInserter(database)
            self._connections = [clickhouse, correcting]
            self._inserter = retrying = Retrying(clickhouse, metrics=self.metrics, health=self.health)
            self._ledger = DatabaseLedger(retrying)
            self._corrections = Corrections(correcting, self.metrics)
        else:
            self._inserter = self._ledger = database
        self._kept = DirectoryDeadLetters(directory / DEAD_LETTERS)
        # Numbers that no earlier process gave, so that no insert is taken for one of its own.
        self._offsets = itertools.count(time.time_ns() // 1000)
        self._pending: OrderedDict[int, tuple[Record, asyncio.Future[None]]] = OrderedDict()
        self._queue: deque[Record] = deque()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """See `Transport.start`."""
        self._tasks.append(asyncio.create_task(self._run(), name="embedded ingest"))
        if self._corrections is not None:
            self._tasks.append(asyncio.create_task(self._corrections.run(), name="corrections"))

    def send(self, message: Message) -> asyncio.Future[None]:
        """See `Transport.send`."""
        now_ms = time.time_ns() // 1_000_000
        offset = next(self._offsets)
        record = Record(message.topic, PARTITION, offset, now_ms, message.key, message.value, message.headers)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending[offset] = (record, future)
        self._queue.append(record)
        self._wake.set()
        return future

    async def put(self, messages: Iterable[Message]) -> None:
        """Returns when all are durable. Raises MessageRefused, after the others are, for one that cannot be used."""
        results = await asyncio.gather(*map(self.send, messages), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def flush(self) -> None:
        """See `Transport.flush`."""
        while self._pending:
            _, future = next(reversed(self._pending.values()))
            await asyncio.wait([future])

    async def close(self) -> None:
        """See `Transport.close`."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for connection in self._connections:
            connection.close()

    async def _run(self) -> None:
        is_fresh = True
        while True:
            try:
                await self._feed(is_fresh)
            except Exception as error:  # whatever it is: the messages are still here, and the spool has them too
                log.exception("embedded ingest failed; it starts again with all that is not durable")
                # A fault that comes again each time must not look as if all were only slow.
                self.health.problem("ingest", f"Ingest failed and starts again: {type(error).__name__}: {error}")
            is_fresh = False
            await asyncio.sleep(RESTART_S)
            self._queue = deque(record for record, _ in self._pending.values())

    async def _feed(self, is_fresh: bool) -> None:
        refusals = _Refusals(self._kept, self._refuse)
        came: Came = self._corrections.came if self._corrections else lambda runs, flagged: None
        offsets = _Futures(self._resolve, is_fresh=is_fresh)
        steps = build(SETTINGS, self._inserter, self._ledger, offsets, refusals, self.metrics, came)
        try:
            await self._put_all(steps)
        finally:
            await steps.abandon()

    async def _put_all(self, steps: Step[list[Record]]) -> None:
        while True:
            if not self._pending:
                self._wake.clear()
                await self._wake.wait()
            self.health.turned()
            if self._queue:
                records, self._queue = list(self._queue), deque()
                # Topic by topic, as from Kafka: as they arrive, many short runs change the topic at each record.
                records.sort(key=lambda record: record.topic)
                for _, group in itertools.groupby(records, key=lambda record: record.topic):
                    for chunk in chunks_of(list(group)):
                        await steps.put(chunk)
            await steps.tick(time.monotonic())
            await asyncio.sleep(TICK_S)

    def _resolve(self, ranges: Ranges) -> None:
        # The offsets of all topics count together, so a range of one topic spans offsets of others.
        done = [
            offset
            for offset, (record, _) in itertools.takewhile(
                lambda item: item[0] < max(one.end for one in ranges.values()), self._pending.items()
            )
            if (one := ranges.get(Source(record.topic, record.partition))) and one.start <= offset < one.end
        ]
        self.health.solved("ingest")
        for offset in done:
            _, future = self._pending.pop(offset)
            if not future.done():
                future.set_result(None)

    def _refuse(self, letter: DeadLetter) -> None:
        found = self._pending.pop(letter.record.offset, None)
        if found is None:
            return
        record, future = found
        refused = MessageRefused(
            topic=record.topic,
            size=len(record.value or b""),
            reason=f"{letter.reason}: {letter.error}",
            kept_at=self._kept.path(record),
        )
        log.error("message refused", error=str(refused))
        if not future.done():
            future.set_exception(refused)


class _Futures:
    """Resolves the futures of what is durable; nothing is announced before, because nobody else reads the spools."""

    def __init__(self, resolve: Callable[[Ranges], None], *, is_fresh: bool) -> None:
        self._resolve = resolve
        self.is_fresh = is_fresh

    async def intend(self, ranges: Ranges, name: str) -> None:
        pass

    async def done(self, ranges: Ranges) -> None:
        self._resolve(ranges)

    async def settle(self, now: float | None = None) -> None:
        pass

    def generation(self, source: Source) -> int | None:
        return None


class _Refusals:
    """Keeps dead letters and tells whose they were."""

    def __init__(self, kept: DirectoryDeadLetters, refuse: Callable[[DeadLetter], None]) -> None:
        self._kept = kept
        self._refuse = refuse

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        await self._kept.put(letters)
        for letter in letters:
            self._refuse(letter)
