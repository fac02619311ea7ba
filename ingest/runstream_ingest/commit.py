"""The last step: what came here is durable, so its offsets may move."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from runstream_ingest.decoded import Decoded
from runstream_ingest.records import Carried, Ranges

Commit = Callable[[Ranges], Awaitable[None]]


class CommitOffsets:
    def __init__(self, commit: Commit) -> None:
        self._commit = commit

    async def put(self, item: Carried[Decoded], /) -> None:
        await self._commit(item.ranges)

    async def tick(self, now: float, /) -> None:
        pass

    async def close(self) -> None:
        pass
