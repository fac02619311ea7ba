"""`python tests/chaos/kills.py --kills 100`: kill ClickHouse in the middle of inserts, then count what is there.

Each batch has points of 24 attempts, which are as many parts, and the start of a run. One arm sends the same token
until the server takes it, which is all that ClickHouse offers; the other is what ingest does. What the first may lose,
the second must have.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "ingest"))

import structlog
from ingest_samples import Commits, Letters, control, frame, new_run_id, records
from storm.storm import without_merges

from runstream_deploy.dev import ClickHouseService
from runstream_ingest.clickhouse import ClickHouseInserter, Retrying
from runstream_ingest.errors import InsertUnavailable
from runstream_ingest.health import Health
from runstream_ingest.ledger import DatabaseLedger, Mark
from runstream_ingest.metrics import Metrics
from runstream_ingest.native import Block
from runstream_ingest.pipeline import PipelineSettings, build
from runstream_ingest.presence import Probe
from runstream_storage.connection import connect
from runstream_storage.migrate import migrate
from services.native import temporary

ATTEMPTS = 24
ROWS = 100
QUIET = 2
"""Batches between two kills that are left alone; they tell how long one takes."""


class Watched(ClickHouseInserter):
    """Tells when the insert of points begins, and how long the last one took."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.began = asyncio.Event()
        self.took = 0.0

    async def insert(self, table: str, block: Block, token: str) -> None:
        began = time.monotonic()
        if table == "points":
            self.began.set()
        await super().insert(table, block, token)
        if table == "points":
            self.took = time.monotonic() - began


class SameToken:
    """Sends a block again with its token until the server takes it."""

    def __init__(self, inserter: ClickHouseInserter) -> None:
        self._inserter = inserter

    async def insert(self, table: str, block: Block, token: str) -> None:
        while True:
            try:
                return await self._inserter.insert(table, block, token)
            except InsertUnavailable:
                await asyncio.sleep(0.2)


class Trusting(DatabaseLedger):
    """Looks for no row."""

    async def settle(self, coverage: Block, marks: Sequence[Mark], probes: Sequence[Probe] = ()) -> list[Probe]:
        return await super().settle(coverage, marks)


async def storm(kills: int, service: ClickHouseService, url: str, *, bare: bool) -> int:
    """Batches sent, of which `kills` met a kill."""
    dice = random.Random(7)
    took = 0.02
    sent = 0
    for killed in range(kills):
        for quiet in range(QUIET + 1):
            inserter = Watched(url)
            retrying = Retrying(inserter, metrics=Metrics(), health=Health())
            ledger = Trusting(retrying) if bare else DatabaseLedger(retrying)
            steps = build(PipelineSettings(), SameToken(inserter) if bare else retrying, ledger, Commits(), Letters())
            run = new_run_id()
            values = [frame(run_id=run, rows=ROWS, attempt=one, first_seq=one * ROWS) for one in range(ATTEMPTS)]
            await steps.put(
                records(*values, control("RunStarted", run_id=run, name="r", created_us=1), start=10 * sent)
            )
            done = asyncio.create_task(steps.close())
            if quiet == QUIET:
                await inserter.began.wait()
                await asyncio.sleep(dice.uniform(0.3, 1.0) * took)
                service.kill()
                await asyncio.sleep(0.05)
                service.launch()
                service.await_healthy()
            await done
            took = inserter.took if quiet < QUIET else took
            inserter.close()
            sent += 1
        if killed % 20 == 19:
            print(f"  {killed + 1} kills", flush=True)
    return sent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    kills = parser.parse_args().kills
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    lost = 0
    with temporary(ClickHouseService) as service:
        for bare in (True, False):
            arm = "the same token again" if bare else "as ingest does"
            url = f"{service.url}/{'bare' if bare else 'ours'}"
            migrate(url)
            without_merges(url)
            sent = asyncio.run(storm(kills, service, url, bare=bare))
            with closing(connect(url)) as client:
                points, distinct = client.query(
                    "SELECT count(), uniqExact(run_id, metric, rank, step) FROM points"
                ).result_rows[0]
                runs = client.query("SELECT count() FROM v_runs").result_rows[0][0]
                summed = client.query("SELECT uniqExact(run_id) FROM metric_summary").result_rows[0][0]
            logged = sent * ATTEMPTS * ROWS * 2
            lost = logged - distinct
            print(
                f"{arm}: {kills} kills, {sent} batches, {logged:,} points logged, {distinct:,} there "
                f"in {points:,} rows, {runs} of {sent} runs, {summed} of {sent} with summaries",
                flush=True,
            )
    return int(lost != 0)


if __name__ == "__main__":
    sys.exit(main())
