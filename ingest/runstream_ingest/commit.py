"""The last step: what came here is durable, so its offsets may move."""

from __future__ import annotations

from typing import Protocol

from runstream_ingest import faults
from runstream_ingest.decoded import Decoded
from runstream_ingest.records import Carried, Ranges, Source


class Offsets(Protocol):
    """Where it is kept how far the messages are durable."""

    is_fresh: bool
    """Whether nobody tried to insert these batches before."""

    async def intend(self, ranges: Ranges, name: str) -> None:
        """The batch `name` is about to be inserted; before it at most one is not settled. Raises CommitRefused."""

    async def done(self, ranges: Ranges) -> None:
        """All up to the ends of `ranges` is durable."""

    async def settle(self, now: float | None = None) -> None:
        """Nothing follows for now: tells what `done` has not told yet. None: at once. Raises CommitRefused."""

    def generation(self, source: Source) -> int | None:
        """Which making of its topic `source` is of, for its mark; None: no marks are kept of it."""


class CommitOffsets:
    def __init__(self, offsets: Offsets) -> None:
        self._offsets = offsets

    async def put(self, item: Carried[Decoded], /) -> None:
        await faults.reach("before_commit")
        await self._offsets.done(item.ranges)

    async def tick(self, now: float, /) -> None:
        await self._offsets.settle(now)

    async def close(self) -> None:
        await self._offsets.settle()

    async def abandon(self) -> None:
        pass
