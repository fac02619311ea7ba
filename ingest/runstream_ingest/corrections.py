"""Exact summaries, computed again soon after rows that make the added-up ones wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from runstream_ingest.errors import InsertError
from runstream_ingest.metrics import Metrics

log = structlog.get_logger("runstream.ingest")
EVERY_S = 2.0
AGAIN_S = 10.0


class Corrections:
    """Calls `refresh` once at the start, and within seconds after `needed` was called."""

    def __init__(self, refresh: Callable[[], Awaitable[object]], metrics: Metrics) -> None:
        self._refresh = refresh
        self._metrics = metrics
        self._wanted = asyncio.Event()
        self._wanted.set()

    def needed(self) -> None:
        """Rows that need it are durable."""
        self._wanted.set()

    async def run(self) -> None:
        """Until it is cancelled; what the database refuses is tried again."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._refresh()
            except InsertError as error:
                self._metrics.corrections.labels(outcome="failed").inc()
                log.warning("exact summaries wait", code=error.code, error=error.error)
                self._wanted.set()
                await asyncio.sleep(AGAIN_S)
            else:
                self._metrics.corrections.labels(outcome="ok").inc()
                await asyncio.sleep(EVERY_S)
