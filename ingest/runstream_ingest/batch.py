"""Many small values become one large one, so that ClickHouse gets few large parts."""

from __future__ import annotations

from runstream_ingest import decoded, intents, records
from runstream_ingest.decoded import Decoded
from runstream_ingest.metrics import Metrics
from runstream_ingest.records import Carried, Source
from runstream_ingest.step import Step


class Batch:
    """Hands on what came in when it reaches `max_rows` or `max_bytes`, or `max_age_s` after its first message.

    A batch may hold several partitions: at low rates one insert serves them all. It is cut before its ranges would not
    fit the metadata of a commit.
    """

    def __init__(
        self, *, max_rows: int, max_bytes: int, max_age_s: float, metrics: Metrics, then: Step[Decoded]
    ) -> None:
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._metrics = metrics
        self._then = then
        self._held: list[Carried[Decoded]] = []
        self._sources: set[Source] = set()
        self._rows = 0
        self._bytes = 0
        self._since: float | None = None

    async def put(self, item: Carried[Decoded], /) -> None:
        sources = self._sources.union(item.ranges)
        if self._held and len(sources) > len(self._sources) and not intents.fits(sources):
            await self._flush()
        self._held.append(item)
        self._sources.update(item.ranges)
        self._rows += item.value.rows
        self._bytes += item.value.bytes
        if self._rows >= self._max_rows or self._bytes >= self._max_bytes:
            await self._flush()

    async def tick(self, now: float, /) -> None:
        if self._held:
            # Counted from the first tick that finds it: a put that had to wait makes nothing old.
            self._since = now if self._since is None else self._since
            if now - self._since >= self._max_age_s:
                await self._flush()
        await self._then.tick(now)

    async def close(self) -> None:
        if self._held:
            await self._flush()
        await self._then.close()

    async def abandon(self) -> None:
        await self._then.abandon()

    async def _flush(self) -> None:
        held, rows = self._held, self._rows
        self._held, self._sources, self._rows, self._bytes, self._since = [], set(), 0, 0, None
        self._metrics.batch_rows.observe(rows)
        batch = decoded.joined(item.value for item in held)
        await self._then.put(Carried(batch, records.joined(item.ranges for item in held)))
