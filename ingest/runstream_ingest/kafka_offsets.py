"""Offsets and intents in the commits of the consumer group."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from runstream_ingest import faults, intents
from runstream_ingest.errors import CommitRefused
from runstream_ingest.records import Ranges, Source

Places = Mapping[Source, tuple[int, str]]
"""For each partition the offset to go on from and the metadata beside it."""
IDLE_S = 0.3
"""After so long without a next batch the ends of the last are committed for themselves."""


class KafkaOffsets:
    """The offsets of one assignment. `commit` raises CommitRefused once the partitions have other owners.

    The commit that announces a batch also moves the offsets of the batches before, so there is one commit a batch.
    `durable` is called for what became durable. `generations` of the topics, for the marks; None: no marks are kept.
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
        self._pending: dict[Source, int] = {}
        self._since: float | None = None
        self._lock = asyncio.Lock()
        self.ended = False

    async def intend(self, ranges: Ranges, name: str) -> None:
        """See `Offsets.intend`."""
        if not self._with_intents:
            return
        metadata = intents.intent_of(name, ranges).encode()
        # One commit after the other: a late one of earlier ends would wipe the intent out.
        async with self._lock:
            ends = {source: (end, "") for source, end in self._pending.items()}
            await self._send({**ends, **{source: (one.start, metadata) for source, one in ranges.items()}})
            self._pending.clear()

    async def done(self, ranges: Ranges) -> None:
        """See `Offsets.done`."""
        if self.ended:
            return
        self._pending.update({source: one.end for source, one in ranges.items()})
        self._since = None
        self._durable(ranges)
        if not self._with_intents:
            await self.settle()

    async def settle(self, now: float | None = None) -> None:
        """See `Offsets.settle`."""
        if not self._pending:
            return
        if now is not None:
            self._since = now if self._since is None else self._since
            if now - self._since < IDLE_S:
                return
        async with self._lock:
            ends = dict(self._pending)
            if not ends:
                return
            await self._send({source: (end, "") for source, end in ends.items()})
            for source, end in ends.items():
                if self._pending.get(source) == end:
                    del self._pending[source]
        await faults.reach("after_commit")

    def generation(self, source: Source) -> int | None:
        """See `Offsets.generation`."""
        return self._generations.get(source)

    async def _send(self, places: Places) -> None:
        if self.ended:
            raise CommitRefused(RuntimeError("this assignment has ended"))
        await self._commit(places)


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
