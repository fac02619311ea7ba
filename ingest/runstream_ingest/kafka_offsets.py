"""Offsets and intents in the commits of the consumer group."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping

from runstream_ingest import faults, intents
from runstream_ingest.errors import CommitRefused
from runstream_ingest.intents import Intent
from runstream_ingest.records import Ranges, Source

Places = Mapping[Source, tuple[int, str]]
"""For each partition the offset to go on from and the metadata beside it."""
IDLE_S = 0.3
"""After so long without a next batch the ends of the last are committed for themselves."""


class KafkaOffsets:
    """The offsets of one assignment. `commit` raises CommitRefused once the partitions have other owners.

    The commit that announces a batch also moves the offsets of the batches that were settled before, so there is one
    commit a batch. A partition's offset stays at the start of its oldest batch that is not settled. `durable` is called
    for what became durable. `generations` of the topics, for the marks; None: no marks are kept.
    """

    is_fresh = True

    def __init__(
        self,
        commit: Callable[[Places], Awaitable[None]],
        durable: Callable[[Ranges], None],
        *,
        generations: Mapping[Source, int] | None,
        with_intents: bool = True,
    ) -> None:
        self._commit = commit
        self._durable = durable
        self._generations = generations or {}
        self._with_intents = with_intents
        self._announced: list[Intent] = []
        self._order = itertools.count()
        self._ends: dict[Source, int] = {}
        """Settled, and not yet committed."""
        self._since: float | None = None
        self._lock = asyncio.Lock()
        self.ended = False

    async def intend(self, ranges: Ranges, name: str) -> None:
        """See `Offsets.intend`."""
        if not self._with_intents:
            return
        # One commit after the other: a late one of earlier ends would wipe the intent out.
        async with self._lock:
            if all(intent.name != name for intent in self._announced):
                self._announced.append(intents.intent_of(name, ranges, next(self._order)))
            await self._tell(set(ranges))

    async def done(self, ranges: Ranges) -> None:
        """See `Offsets.done`."""
        if self.ended:
            return
        settled = {source: (one.start, one.end) for source, one in ranges.items()}
        self._announced = [intent for intent in self._announced if intent.ranges != settled]
        self._ends.update({source: one.end for source, one in ranges.items()})
        self._since = None
        self._durable(ranges)
        if not self._with_intents:
            await self.settle()

    async def settle(self, now: float | None = None) -> None:
        """See `Offsets.settle`."""
        if not self._ends:
            return
        if now is not None:
            self._since = now if self._since is None else self._since
            if now - self._since < IDLE_S:
                return
        async with self._lock:
            if not self._ends:
                return
            await self._tell(set())
        await faults.reach("after_commit")

    async def _tell(self, sources: set[Source]) -> None:
        """Commits where `sources` and those with settled ends stand."""
        ends = dict(self._ends)
        places: dict[Source, tuple[int, str]] = {}
        for source in sources | set(ends):
            mine = [intent for intent in self._announced if source in intent.ranges]
            offset = mine[0].ranges[source][0] if mine else ends[source]
            places[source] = offset, intents.encode(self._leading_to(mine))
        if self.ended:
            raise CommitRefused(RuntimeError("this assignment has ended"))
        await self._commit(places)
        # What was settled meanwhile waits for the next commit.
        self._ends = {source: end for source, end in self._ends.items() if ends.get(source) != end}

    def _leading_to(self, mine: list[Intent]) -> list[Intent]:
        """`mine`, and the batches in flight before them that share a partition with one of them.

        The gate dropped from a batch what the one before it held already: who does it again has to do that one first.
        """
        shared = {source for intent in mine for source in intent.ranges}
        return [
            intent
            for intent in self._announced
            if mine and intent.order <= mine[-1].order and shared & set(intent.ranges)
        ]

    def generation(self, source: Source) -> int | None:
        """See `Offsets.generation`."""
        return self._generations.get(source)


class RecoveredOffsets:
    """Of a batch that somebody announced before; its offsets are committed by who recovers it."""

    is_fresh = False

    def __init__(self, generations: Mapping[Source, int]) -> None:
        self._generations = generations

    async def intend(self, ranges: Ranges, name: str) -> None:
        """It is announced already."""

    async def done(self, ranges: Ranges) -> None:
        """Nothing is committed here."""

    async def settle(self, now: float | None = None) -> None:
        """Nothing is committed here."""

    def generation(self, source: Source) -> int | None:
        """See `Offsets.generation`."""
        return self._generations.get(source)
