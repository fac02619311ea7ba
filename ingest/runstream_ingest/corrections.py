"""Exact summaries, computed again soon after rows that make the added-up ones wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

import structlog

from runstream_ingest.errors import InsertError
from runstream_ingest.metrics import Metrics
from runstream_storage.corrections import candidates, refresh

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

T = TypeVar("T")
log = structlog.get_logger("runstream.ingest")
EVERY_S = 2.0
LOOK_S = 10.0
"""So often it is looked which runs need it by what other workers wrote."""
AGAIN_S = 10.0
RUNS_AT_ONCE = 1_000


class Asked(Protocol):
    """A connection of its own."""

    async def with_client(self, act: Callable[[Client], T]) -> T:
        """Does `act` in a thread. Raises InsertError."""


class Corrections:
    """Knows the runs whose summaries cannot be added up, and has theirs computed within seconds after rows came.

    At the start all of them are brought up to date, once.
    """

    def __init__(self, database: Asked, metrics: Metrics) -> None:
        self._database = database
        self._metrics = metrics
        self._known: set[int] = set()
        self._wanted: set[int] = set()
        self._all = True
        self._came = True
        self._looked = 0.0

    def came(self, runs: Collection[int], flagged: Collection[int]) -> None:
        """Rows of `runs` are durable; those of `flagged` make summaries wrong that were added up."""
        self._came = True
        self._known.update(flagged)
        self._wanted.update(run for run in runs if run in self._known)

    async def run(self) -> None:
        """Until it is cancelled; what the database refuses is tried again."""
        while True:
            wait_s = EVERY_S
            try:
                await self._once()
            except InsertError as error:
                self._metrics.corrections.labels(outcome="failed").inc()
                log.warning("exact summaries wait", code=error.code, error=error.error)
                wait_s = AGAIN_S
            except Exception:  # whatever it is: summaries that stay wrong for ever, without a word, would be worse
                self._metrics.corrections.labels(outcome="failed").inc()
                log.exception("exact summaries failed; they are computed again")
                wait_s = AGAIN_S
            await asyncio.sleep(wait_s)

    async def _once(self) -> None:
        if self._came and time.monotonic() - self._looked >= LOOK_S:
            self._came = False
            found = await self._database.with_client(_runs_to_watch)
            self._looked = time.monotonic()
            if not self._all:
                self._wanted |= found - self._known
            self._known = self._wanted | found
        if self._all:
            await self._refresh(())
            self._all = False
        while self._wanted:
            runs = list(self._wanted)[:RUNS_AT_ONCE]
            self._wanted.difference_update(runs)
            try:
                await self._refresh([str(UUID(int=run)) for run in runs])
            except InsertError:
                self._wanted.update(runs)
                raise

    async def _refresh(self, run_ids: Sequence[str]) -> None:
        def act(client: Any) -> int:
            return refresh(client, run_ids=run_ids)

        pairs = await self._database.with_client(act)
        self._metrics.corrections.labels(outcome="ok").inc()
        if pairs:
            log.info("exact summaries computed", pairs=pairs)


def _runs_to_watch(client: Any) -> set[int]:
    return {UUID(run).int for found in candidates(client) for run in (found.run_id, *found.sources)}
