"""The step that writes: one batch settles while the next is inserted and the one after it is made."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, Protocol

import structlog

from runstream_ingest import curves, faults
from runstream_ingest.buffers import Buffers
from runstream_ingest.commit import Offsets
from runstream_ingest.coverage import Coverage
from runstream_ingest.dead_letters import MAX_ERROR_CHARACTERS, DeadLetter, DeadLetters
from runstream_ingest.decoded import Decoded, Event, Message, token
from runstream_ingest.disorder import Redone
from runstream_ingest.errors import InsertRefused, TooManyDeadLetters
from runstream_ingest.event_rows import Row
from runstream_ingest.frames import Frame
from runstream_ingest.intents import IN_FLIGHT
from runstream_ingest.ledger import Ledger, Mark
from runstream_ingest.metrics import Metrics
from runstream_ingest.native import Block
from runstream_ingest.points import blocks_of
from runstream_ingest.presence import Probe, probes_of, rows_of
from runstream_ingest.records import Carried
from runstream_ingest.step import Step
from runstream_ingest.tables import block_of_rows
from runstream_storage.connection import AS_OFTEN_AS_SENT

Came = Callable[[set[int], set[int]], None]
"""Told of runs whose rows are durable, and of those among them whose summaries cannot be added up."""
log = structlog.get_logger("runstream.ingest")
ONCE = frozenset({"points"})
"""The table whose rows must not be there twice; of the others, rows that are there twice change no answer."""
FEWEST_REFUSED = 10
"""When all of so many messages are refused, the fault is not theirs."""


class Inserter(Protocol):
    """The way into the database."""

    async def insert(self, table: str, block: Block, token: str) -> None:
        """Returns once the rows are durable. The same `token` again has no effect while the table remembers it; an
        empty one is none. A table remembers a token, too, whose rows it lost when it was killed: those of ONCE are
        looked up afterwards, the others must be sent without it after an attempt that had no answer.

        An implementation for production retries what is retriable for ever, so that only InsertRefused comes out.
        """


class _Batch:
    """One on its way. Both events are set, too, when its task has ended."""

    def __init__(self) -> None:
        self.announced, self.inserted = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self, run: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.create_task(run, name="insert")
        for event in (self.announced, self.inserted):
            self._task.add_done_callback(lambda _, event=event: event.set())  # type: ignore[misc]  # its default

    @property
    def task(self) -> asyncio.Task[None]:
        assert self._task is not None
        return self._task

    async def until(self, event: asyncio.Event) -> None:
        """Raises what ended it, if that came first."""
        await event.wait()
        if self.task.done():
            self.task.result()

    async def until_settled(self) -> None:
        """Raises what ended it. Who waits and is cancelled does not take it along."""
        await asyncio.wait((self.task,))
        self.task.result()


class Insert:
    """Explodes a batch into columns and inserts it table by table, one batch at a time, in order.

    A batch is announced while the one before it is inserted, its rows go out when those of the one before are in, and
    its stretches and marks are written when the one before is settled. So the database always has an insert to do, and
    of at most IN_FLIGHT batches it is not known whether they are durable. `put` returns when the insert of the batch
    before is over. A batch that the database refuses is halved until the messages at fault are found; they become dead
    letters.
    """

    def __init__(
        self,
        *,
        inserter: Inserter,
        ledger: Ledger,
        offsets: Offsets,
        coverage: Coverage,
        dead_letters: DeadLetters,
        metrics: Metrics,
        then: Step[Decoded],
        came: Came = lambda runs, flagged: None,
        with_tokens: bool = True,
    ) -> None:
        self._inserter = inserter
        self._ledger = ledger
        self._offsets = offsets
        self._coverage = coverage
        self._came = came
        self._with_tokens = with_tokens
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._then = then
        self._buffers = Buffers()
        self._running: deque[_Batch] = deque()
        """The oldest first."""

    async def put(self, item: Carried[Decoded], /) -> None:
        blocks = _exploded_or_none(item.value.messages, item.value.redone, self._buffers)
        await self._settled(IN_FLIGHT - 1)
        before = self._running[-1] if self._running else None
        batch = _Batch()
        batch.begin(self._run(batch, before, item, blocks))
        self._running.append(batch)
        if before is not None:
            await before.inserted.wait()

    async def tick(self, now: float, /) -> None:
        while self._running and self._running[0].task.done():
            # One that failed stays: what is put after it must not pass.
            self._running[0].task.result()
            self._running.popleft()
        if not self._running:
            await self._then.tick(now)

    async def close(self) -> None:
        await self._settled(0)
        await self._then.close()

    async def abandon(self) -> None:
        tasks = [batch.task for batch in self._running]
        self._running.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _settled(self, but: int) -> None:
        """Waits until all but the last `but` batches are settled. Raises what ended one of them."""
        while len(self._running) > but:
            await self._running[0].until_settled()
            self._running.popleft()

    async def _run(
        self, batch: _Batch, before: _Batch | None, item: Carried[Decoded], blocks: dict[str, Block] | None
    ) -> None:
        name = item.value.name(item.ranges)
        if before is not None:
            # Else the commit would pass over a batch that nobody announced.
            await before.until(before.announced)
        await faults.reach("before_intent")
        await self._offsets.intend(item.ranges, name)
        await faults.reach("after_intent")
        batch.announced.set()
        if before is not None:
            await before.until(before.inserted)
        messages, probes = await self._insert_all(item.value, blocks, name)
        blocks = None  # their memory is the next batch's
        batch.inserted.set()
        if before is not None:
            await before.until_settled()
        await self._settle(item, messages, probes, name)
        runs, flagged = runs_of(messages)
        self._came(runs, flagged | {origin.run for origin, _ in item.value.redone})
        await self._then.put(item)

    async def _insert_all(
        self, decoded: Decoded, blocks: dict[str, Block] | None, name: str
    ) -> tuple[Sequence[Message], list[Probe]]:
        """Inserts the rows; the messages whose rows are durable, and points that must be found then."""
        messages = decoded.messages
        try:
            blocks = _exploded(messages, decoded.redone) if blocks is None else blocks
            await self._insert(blocks, name)
        except InsertRefused as error:
            messages = await self._without_refused(messages, decoded.redone, error)
            blocks = _exploded(messages, decoded.redone)
        points = blocks.get("points")
        if points is None:
            return messages, []
        probes = probes_of(points) if self._with_tokens else []
        if points.memory is not None:
            self._buffers.give(points.memory)
        return messages, probes

    async def _settle(
        self, item: Carried[Decoded], messages: Sequence[Message], probes: Sequence[Probe], name: str
    ) -> None:
        """Writes the stretches and marks of what was inserted."""
        marks = [
            Mark(source, generation, *one)
            for source, one in item.ranges.items()
            if (generation := self._offsets.generation(source)) is not None
        ]
        coverage = self._coverage.durable(messages)
        while missing := await self._ledger.settle(coverage, marks, probes):
            await self._insert_anew(item, messages, missing, name)

    async def _insert_anew(
        self, item: Carried[Decoded], messages: Sequence[Message], missing: Collection[Probe], name: str
    ) -> None:
        """Inserts the rows that `missing` stand for, and those of the other tables.

        The server remembers `name` and dropped the rows without a word, but does not have them.

        It took them for other rows, or was killed between writing the token down and having the rows. That it is not
        the work of one who recovered the batch while this process slept is known when the group still lets us announce
        it.
        """
        await self._offsets.intend(item.ranges, name)
        self._metrics.token_reuses.inc()
        log.error("an insert met a token that is remembered, but not its rows; it is inserted again", token=name)
        blocks = _exploded(messages, item.value.redone)
        blocks["points"] = rows_of(blocks["points"], missing)
        await self._insert(blocks, f"{name}:{uuid.uuid4().hex}")

    async def _insert(self, blocks: dict[str, Block], name: str) -> None:
        inserts = (self._insert_one(table, block, f"{name}:{table}") for table, block in blocks.items())
        # All end before an error is looked at: none goes on behind the search for the message at fault.
        for result in await asyncio.gather(*inserts, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _insert_one(self, table: str, block: Block, token: str) -> None:
        await faults.reach(f"before_insert.{table}")
        # What was tried before may be remembered without its rows. Those of `points` are looked up; of the others a row
        # that is there twice changes no answer.
        with_token = self._with_tokens and (table in ONCE or self._offsets.is_fresh)
        await self._inserter.insert(table, block, token if with_token else "")
        await faults.reach(f"after_insert.{table}")

    async def _without_refused(
        self, messages: Sequence[Message], redone: Redone, error: InsertRefused
    ) -> Sequence[Message]:
        """Inserts what can be, makes dead letters of the rest; the messages whose rows are durable."""
        letters = await self._refused(messages, redone, error)
        if len(letters) == len(messages) and len(letters) >= FEWEST_REFUSED:
            topic, count = messages[0].record.topic, len(letters)
            raise TooManyDeadLetters(topic=topic, bad=count, of=count, reason=letters[-1].error) from error
        await self._dead_letters.put(letters)
        self._metrics.dead(letters)
        await self._insert(_exploded(letters, {}), token(letters))
        bad = {id(letter.record) for letter in letters}
        for message in messages:
            if id(message.record) in bad:
                self._coverage.refused(message)
        return [message for message in messages if id(message.record) not in bad]

    async def _refused(self, messages: Sequence[Message], redone: Redone, error: InsertRefused) -> list[DeadLetter]:
        """Of `messages`, refused together: inserts those that are taken alone, returns the others as dead letters."""
        if len(messages) == 1:
            message = messages[0]
            return [DeadLetter(message.record, "refused", error.error[:MAX_ERROR_CHARACTERS])]
        letters: list[DeadLetter] = []
        middle = len(messages) // 2
        for half in (messages[:middle], messages[middle:]):
            try:
                await self._insert(_exploded(half, redone), token(half))
            except InsertRefused as refusal:
                letters += await self._refused(half, redone, refusal)
        return letters


def runs_of(messages: Iterable[Message]) -> tuple[set[int], set[int]]:
    """The runs of `messages`, and those of them whose summaries cannot be added up any more."""
    runs: set[int] = set()
    flagged: set[int] = set()
    for message in messages:
        if isinstance(message, DeadLetter) or message.origin is None:
            continue
        origin = message.origin
        runs.add(origin.run)
        if origin.attempt > 0 or (isinstance(message, Event) and message.moves):
            flagged.add(origin.run)
    return runs, flagged


def _exploded_or_none(messages: Sequence[Message], redone: Redone, buffers: Buffers) -> dict[str, Block] | None:
    """The blocks, or None when they cannot be made: the insert then finds out which message is at fault."""
    try:
        return _exploded(messages, redone, buffers)
    except InsertRefused:
        return None


def _exploded(messages: Sequence[Message], redone: Redone, buffers: Buffers | None = None) -> dict[str, Block]:
    """A block for each table that gets rows. Raises InsertRefused when a value does not fit its column."""
    try:
        blocks: dict[str, Block] = blocks_of(_frames(messages), redone, buffers)._asdict()
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
    costs a quarter of the insert, and merges and FINAL do it anyway. The comment keeps the views of `points` from
    computing the rows of `curve`, which come with it.
    """
    whole = max(block.rows, 1_048_576)
    how = {"insert_deduplicate": 1, "insert_deduplication_token": token} if token else AS_OFTEN_AS_SENT
    return how | {
        "deduplicate_blocks_in_dependent_materialized_views": 1,
        "async_insert": 0,
        "max_insert_block_size": whole,
        "min_insert_block_size_rows": whole,
        "min_insert_block_size_bytes": 0,
        "max_partitions_per_insert_block": 0,
        "optimize_on_insert": 0,
        "log_comment": curves.INCLUDED,
    }
