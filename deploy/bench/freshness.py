"""How long a point takes from `log()` to being found by SQL, through a real agent, broker, worker and ClickHouse.

A trainer logs 100 metrics a row at a fixed pace, 100,000 points a second in all, and keeps the wall-clock time of each
row. Meanwhile ClickHouse is asked again and again for the newest step of that run; a row's delay ends with the first
answer that holds it, so each figure includes the polling interval (the query itself and a pause of 5 ms).
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from pathlib import Path

from bars import at_most
from topic import create_topics
from workers import worker

ROWS_A_SECOND = 1000
METRICS = 100
SECONDS = 20
PARTITIONS = 12
SETTLES_S = 5.0
"""What the first seconds give is not counted: processes start and caches fill."""

BAR_P50_S, BAR_P99_S = 1.0, 3.0

TRAINER = f"""
import json, sys, time
import runstream
run = runstream.init(project=sys.argv[1], name="freshness")
names = [f"layer{{i}}/loss" for i in range({METRICS})]
begin, logged = time.time(), []
for step in range({ROWS_A_SECOND * SECONDS}):
    due = begin + step / {ROWS_A_SECOND}
    while (wait := due - time.time()) > 0:
        time.sleep(wait)
    run.log(dict.fromkeys(names, step / 3), step=step)
    logged.append(time.time())
run.finish()
json.dump(logged, open(sys.argv[2], "w"))
"""


def measure(kafka_bootstrap: str, clickhouse_url: str) -> list[tuple[str, str, str]]:
    """The rows of the report: p50 and p99 in seconds."""
    from runstream_storage.connection import ClickHouseSettings, connect
    from runstream_storage.migrate import migrate

    database = f"freshness_{os.getpid()}"
    url = dataclasses.replace(ClickHouseSettings.from_url(clickhouse_url), database=database).url
    migrate(url)
    client = connect(url)
    with tempfile.TemporaryDirectory() as directory:
        environment = {
            **os.environ,
            "RUNSTREAM_DIR": directory,
            "RUNSTREAM_KAFKA": kafka_bootstrap,
            "RUNSTREAM_TOPIC_PREFIX": database,
            "RUNSTREAM_CLICKHOUSE": url,
        }
        times = Path(directory) / "times.json"
        asyncio.run(create_topics(kafka_bootstrap, database, PARTITIONS))
        with worker(kafka_bootstrap, url, database):
            trainer = subprocess.Popen([sys.executable, "-c", TRAINER, database, str(times)], env=environment)
            try:
                seen = watch(client, database, trainer)
            finally:
                trainer.kill()
                trainer.wait()
        logged = json.loads(times.read_text())
    client.command(f"DROP DATABASE {database}")
    delays = sorted(delays_of(logged, seen))
    p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
    rate = f"{ROWS_A_SECOND * METRICS:,} points/s for {SECONDS} s, default settings, {len(delays):,} rows seen"
    parts = "one trainer, agent, broker, worker and ClickHouse"
    return [
        ("log() to queryable, p50", f"{p50:.2f} s", f"{at_most(p50, BAR_P50_S, '1 s')}; {rate}"),
        ("log() to queryable, p99", f"{p99:.2f} s", f"{at_most(p99, BAR_P99_S, '3 s')}; {parts}"),
    ]


def watch(client: object, project: str, trainer: subprocess.Popen[bytes]) -> list[tuple[int, float]]:
    """(newest step, time of the answer) at each change, until the last step is there."""
    query = "SELECT max(step) FROM points WHERE project = {project:String} AND metric = 'layer0/loss'"
    seen: list[tuple[int, float]] = []
    limit = time.time() + SECONDS + 60
    while time.time() < limit:
        newest = int(client.query(query, parameters={"project": project}).result_rows[0][0])  # type: ignore[attr-defined]
        if newest and (not seen or newest > seen[-1][0]):
            seen.append((newest, time.time()))
        if newest == ROWS_A_SECOND * SECONDS - 1:
            trainer.wait(60)
            return seen
        time.sleep(0.005)
    raise TimeoutError(f"the last row did not arrive; the newest was {seen[-1:] or 'none'}")


def delays_of(logged: list[float], seen: list[tuple[int, float]]) -> list[float]:
    """One delay for each row after the settling time."""
    steps = [step for step, _ in seen]
    first = int(SETTLES_S * ROWS_A_SECOND)
    found = (bisect_right(steps, step - 1) for step in range(first, len(logged)))
    return [seen[at][1] - logged[step] for step, at in zip(range(first, len(logged)), found, strict=True)]


if __name__ == "__main__":
    from runstream_deploy.dev import Stack

    with tempfile.TemporaryDirectory() as place, Stack(Path(place) / "services", tethered=True) as stack:
        variables = stack.environment()
        for row in measure(variables["RUNSTREAM_KAFKA"], variables["RUNSTREAM_CLICKHOUSE"]):
            print(*row, sep="  ")
