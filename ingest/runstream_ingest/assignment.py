"""One assignment of partitions: its own row of steps, and what was read for it and not yet put."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

from runstream_ingest import faults
from runstream_ingest.errors import TooManyDeadLetters
from runstream_ingest.kafka_offsets import KafkaOffsets
from runstream_ingest.records import Carried, Record, Source, carried
from runstream_ingest.step import Step

TICK_S = 0.05
CHUNK_BYTES = 1 << 20
CHUNK_RECORDS = 500
"""The steps hand the loop back to the heartbeats after each chunk."""
Steps = Step[list[Record]]


class Assignment:
    """`prepare` says where reading begins and makes the steps; until then nothing is put."""

    def __init__(
        self, sources: frozenset[Source], chunks: int, prepare: Callable[[Assignment], Awaitable[Steps]]
    ) -> None:
        self.sources = sources
        self.queue: asyncio.Queue[Carried[list[Record]] | None] = asyncio.Queue(chunks)
        self.steps: Steps | None = None
        self.ending = False
        self.offsets: KafkaOffsets | None = None
        self.marked: dict[Source, int] = {}
        """The ends of the marks that were written in this assignment, or found at its begin."""
        self.reached: dict[Source, int] = {}
        """How far each partition is durable."""
        self.generations: dict[Source, int] = {}
        self._prepare = prepare
        self.task = asyncio.create_task(self._feed(), name="feed")

    async def drain(self, timeout_s: float) -> bool:
        """Lets what was put become durable; what still waits in the queue is read again. False: it took too long."""
        self.ending = True
        with contextlib.suppress(asyncio.QueueFull):
            self.queue.put_nowait(None)
        if self.steps is None:
            await self.drop()
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(self.task)
        except TimeoutError:
            await self.drop()
            return False
        return True

    def forget_queued(self) -> None:
        """Drops what was queued before it was known where to begin."""
        while not self.queue.empty():
            self.queue.get_nowait()

    async def drop(self) -> None:
        """Ends at once; what is not durable is read again."""
        self.ending = True
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self.task

    async def _feed(self) -> None:
        """Puts the chunks until `ending`, ticks beside it, then closes the steps. Raises what a step raises."""
        self.steps = steps = await self._prepare(self)
        try:
            await self._put_all(steps)
            await steps.close()
        except TooManyDeadLetters:
            # What came before is good: it is written before consumption stops.
            await steps.close()
            raise
        finally:
            if self.offsets is not None:
                self.offsets.ended = True
            await steps.abandon()

    async def _put_all(self, steps: Steps) -> None:
        ticked = 0.0
        while not self.ending:
            chunk = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    chunk = await self.queue.get()
            if chunk is not None:
                await faults.reach("polled")
                await steps.put(chunk)
                # Neither a full queue nor a step that has nothing to wait for gives the loop to others.
                await asyncio.sleep(0)
            now = time.monotonic()
            if now - ticked >= TICK_S:
                ticked = now
                await steps.tick(now)


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
