"""The step that writes: one batch is inserted while the next is made."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from runstream_ingest.control import Row
from runstream_ingest.dead_letters import MAX_ERROR_CHARACTERS, DeadLetter, DeadLetters
from runstream_ingest.decoded import Decoded, Event, Message, token
from runstream_ingest.errors import InsertRefused, TooManyDeadLetters
from runstream_ingest.frames import Frame
from runstream_ingest.metrics import Metrics
from runstream_ingest.native import Block
from runstream_ingest.points import blocks_of
from runstream_ingest.records import Carried
from runstream_ingest.step import Step
from runstream_ingest.tables import block_of_rows

FEWEST_REFUSED = 10
"""When all of so many messages are refused, the fault is not theirs."""


class Inserter(Protocol):
    """The way into the database."""

    async def insert(self, table: str, block: Block, token: str) -> None:
        """Returns once the rows are durable. The same `token` again has no effect while the table remembers it.

        An implementation for production retries what is retriable for ever, so that only InsertRefused comes out.
        """


class Insert:
    """Explodes a batch into columns and inserts it table by table, one batch at a time, in order.

    `put` returns as soon as the insert has begun and waits for the one before it. A batch that the database refuses is
    halved until the messages at fault are found; they become dead letters.
    """

    def __init__(self, *, inserter: Inserter, dead_letters: DeadLetters, metrics: Metrics, then: Step[Decoded]) -> None:
        self._inserter = inserter
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._then = then
        self._running: asyncio.Task[None] | None = None

    async def put(self, item: Carried[Decoded], /) -> None:
        blocks = _exploded_or_none(item.value.messages)
        await self._settled()
        self._running = asyncio.create_task(self._run(item, blocks), name="insert")

    async def tick(self, now: float, /) -> None:
        if self._running is not None and self._running.done():
            await self._settled()
        await self._then.tick(now)

    async def close(self) -> None:
        await self._settled()
        await self._then.close()

    async def _settled(self) -> None:
        task, self._running = self._running, None
        if task is not None:
            await task

    async def _run(self, item: Carried[Decoded], blocks: dict[str, Block] | None) -> None:
        messages = item.value.messages
        try:
            await self._insert(messages, blocks)
        except InsertRefused as error:
            letters = await self._refused(messages, error)
            if len(letters) == len(messages) and len(letters) >= FEWEST_REFUSED:
                topic, count = messages[0].record.topic, len(letters)
                raise TooManyDeadLetters(topic=topic, bad=count, of=count, reason=letters[-1].error) from error
            await self._dead_letters.put(letters)
            self._metrics.dead(letters)
            await self._insert(letters, None)
        await self._then.put(item)

    async def _insert(self, messages: Sequence[Message], blocks: dict[str, Block] | None) -> None:
        if blocks is None:
            blocks = _exploded(messages)
        name = token(messages)
        inserts = (self._inserter.insert(table, block, f"{name}:{table}") for table, block in blocks.items())
        # All end before an error is looked at: none goes on behind the search for the message at fault.
        for result in await asyncio.gather(*inserts, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _refused(self, messages: Sequence[Message], error: InsertRefused) -> list[DeadLetter]:
        """Of `messages`, refused together: inserts those that are taken alone, returns the others as dead letters."""
        if len(messages) == 1:
            message = messages[0]
            return [DeadLetter(message.record, "refused", error.error[:MAX_ERROR_CHARACTERS])]
        letters: list[DeadLetter] = []
        middle = len(messages) // 2
        for half in (messages[:middle], messages[middle:]):
            try:
                await self._insert(half, None)
            except InsertRefused as refusal:
                letters += await self._refused(half, refusal)
        return letters


def _exploded_or_none(messages: Sequence[Message]) -> dict[str, Block] | None:
    """The blocks, or None when they cannot be made: the insert then finds out which message is at fault."""
    try:
        return _exploded(messages)
    except InsertRefused:
        return None


def _exploded(messages: Sequence[Message]) -> dict[str, Block]:
    """A block for each table that gets rows. Raises InsertRefused when a value does not fit its column."""
    try:
        blocks = dict(zip(("points", "metric_summary"), blocks_of(_frames(messages)), strict=True))
        rows: defaultdict[str, list[Row]] = defaultdict(list)
        for message in messages:
            if isinstance(message, Event):
                for table, row in message.rows:
                    rows[table].append(row)
            elif isinstance(message, DeadLetter):
                rows["dead_letters"].append(message.row)
        blocks |= {table: block_of_rows(table, found) for table, found in rows.items()}
        for block in blocks.values():
            _ = block.native
    except (ValueError, OverflowError, TypeError) as error:
        raise InsertRefused("a block", code=0, error=f"{type(error).__name__}: {error}") from error
    return {table: block for table, block in blocks.items() if block.rows}


def _frames(messages: Iterable[Message]) -> list[Frame]:
    return [message for message in messages if isinstance(message, Frame)]


def insert_settings(block: Block, token: str) -> dict[str, Any]:
    """The ClickHouse settings of one insert; all are set, because their defaults changed between releases.

    The block stays whole: one part in each partition and one entry in the deduplication log. Partitions are not
    limited: a batch may hold runs of any age. Rows are not merged before they are written (`optimize_on_insert`): that
    costs a quarter of the insert, and merges and FINAL do it anyway.
    """
    whole = max(block.rows, 1_048_576)
    return {
        "insert_deduplicate": 1,
        "insert_deduplication_token": token,
        "deduplicate_blocks_in_dependent_materialized_views": 1,
        "async_insert": 0,
        "max_insert_block_size": whole,
        "min_insert_block_size_rows": whole,
        "min_insert_block_size_bytes": 0,
        "max_partitions_per_insert_block": 0,
        "optimize_on_insert": 0,
    }
