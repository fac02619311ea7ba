"""How fast one ingest worker turns a full topic into queryable rows, beside a bare insert loop of the same rows.

The topic holds frames as agents send them (10 metrics, 200 to 1,000 steps each, several runs, lz4). A real worker
process drains it on the same machine as the broker and ClickHouse; the clock runs from its partitions' assignment until
all rows are counted by SQL. Before and after, the bare loop inserts the very same blocks, made in advance, one after
the other, into the same tables with the same settings, materialised views included.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from clickhouse_connect.driver.client import Client

from runstream import events
from runstream.identity import new_run_id, new_writer_id
from runstream_ingest.clickhouse import Body
from runstream_ingest.frames import Frame, FrameReader
from runstream_ingest.insert import insert_settings
from runstream_ingest.points import blocks_of
from runstream_ingest.records import Record
from runstream_ingest.settings import IngestSettings
from runstream_storage.connection import ClickHouseSettings, connect
from runstream_storage.migrate import migrate

RUNS = 8
METRICS = [f"{part}/{name}" for part in ("train", "validation") for name in ("loss", "acc", "lr", "norm", "tokens")]
POINTS = 24_000_000
PARTITIONS = 4
BLOCK_ROWS = IngestSettings.model_fields["ingest_batch_rows"].default
NOW_US = 1_790_000_000_000_000
LIMIT_S = 300


def measure(kafka_bootstrap: str, clickhouse_url: str) -> list[tuple[str, str, str]]:
    """Rows of (what, value, note). Raises RuntimeError when a value is lost or changed on the way."""
    messages = list(frames(POINTS))
    prefix = f"bench-{uuid.uuid4().hex[:8]}"
    asyncio.run(fill(kafka_bootstrap, prefix, messages))
    bare_before = bare(clickhouse_url, messages)
    drained, profile = drain(kafka_bootstrap, clickhouse_url, prefix, messages)
    bare_after = bare(clickhouse_url, messages)
    bare_rate = (bare_before + bare_after) / 2
    points = sum(points for _, _, points in messages)
    size = sum(len(value) for _, value, _ in messages)
    return [
        (
            "one worker, topic to queryable rows",
            f"{drained / 1e6:.2f} M points/s",
            f"{points / 1e6:.1f} M points in {len(messages)} messages of {points // len(messages)}; "
            f"{size / points:.2f} bytes/point before compression; {profile}",
        ),
        (
            "bare Native insert loop of the same rows",
            f"{bare_rate / 1e6:.2f} M rows/s",
            f"{bare_before / 1e6:.2f} before, {bare_after / 1e6:.2f} after; same blocks, tables, views and settings",
        ),
        ("worker / bare loop", f"{100 * drained / bare_rate:.0f} %", "the bar is 30 %, and 1.5 M points/s"),
    ]


def frames(points: int) -> Iterator[tuple[bytes, bytes, int]]:
    """(key, value, points) of frames of several runs, mixed as a topic mixes them, with `points` points in all."""
    random = np.random.default_rng(7)
    writers = [(str(new_run_id()), new_writer_id()) for _ in range(RUNS)]
    rows_of = dict.fromkeys(writers, 0)
    made = 0
    while made < points:
        run_id, writer_id = writers[int(random.integers(RUNS))]
        first, rows = rows_of[run_id, writer_id], int(random.integers(200, 1001))
        rows_of[run_id, writer_id] = first + rows
        values = np.round(random.standard_normal((rows, len(METRICS))), 4 if made % 2 else 17)
        steps = range(first, first + rows)
        event = {
            "project": "bench",
            "run_id": run_id,
            "writer_id": writer_id,
            "attempt": 0,
            "rank": 0,
            "first_seq": first,
            "rows": rows,
            "blocks": [
                {
                    "metrics": METRICS,
                    "steps": list(steps),
                    "times_us": [NOW_US + 1000 * step for step in steps],
                    "values": values.ravel().tolist(),
                    "n": [first + rows] * len(METRICS),
                    "n_nan": [0] * len(METRICS),
                    "n_inf": [0] * len(METRICS),
                }
            ],
        }
        made += values.size
        yield run_id.encode(), events.encode("MetricFrame", event), values.size


async def fill(bootstrap: str, prefix: str, messages: list[tuple[bytes, bytes, int]]) -> None:
    from aiokafka import AIOKafkaProducer

    from runstream.kafka_options import KafkaOptions
    from runstream.kafka_topics import create_missing_topics, metrics_topic

    await create_missing_topics(prefix, KafkaOptions(bootstrap, partitions=PARTITIONS))
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", compression_type="lz4", linger_ms=50, max_batch_size=1 << 20
    )
    async with producer:
        sent = [await producer.send(metrics_topic(prefix), value, key=key) for key, value, _ in messages]
        await asyncio.gather(*sent)


def drain(bootstrap: str, url: str, prefix: str, messages: list[tuple[bytes, bytes, int]]) -> tuple[float, str]:
    """Points a second of a worker that drains the topic, and the processor time that it took."""
    points = sum(points for _, _, points in messages)
    with database(url) as (client, database_url), worker(bootstrap, database_url, prefix) as process:
        began = until_assigned(process)
        found = 0
        while found < points:
            if process.poll() is not None or time.monotonic() - began > LIMIT_S:
                raise RuntimeError(f"The worker ended or hung after {found} of {points} points.")
            time.sleep(0.02)
            found = int(str(client.command("SELECT count() FROM points")))
        seconds = time.monotonic() - began
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        busy = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
        check(client, messages)
    return points / seconds, f"{seconds:.1f} s, {busy:.1f} s of processor in the worker, its start included"


def check(client: Client, messages: list[tuple[bytes, bytes, int]]) -> None:
    """Every value is there once, bit for bit."""
    expected = 0
    for frame in read(messages):
        expected ^= int(np.bitwise_xor.reduce(frame.blocks[0].values.view(np.uint64), axis=None))
    points = sum(points for _, _, points in messages)
    found = client.query(
        "SELECT count(), uniqExact(run_id, metric, step), groupBitXor(reinterpretAsUInt64(value)) FROM points"
    ).result_rows[0]
    counted = client.query("SELECT sum(n) FROM (SELECT max(n) AS n FROM metric_summary GROUP BY run_id, metric)")
    if tuple(found) != (points, points, expected) or counted.result_rows[0][0] != points:
        raise RuntimeError(f"Points were lost or changed: found {found}, expected {(points, points, expected)}.")


def bare(url: str, messages: list[tuple[bytes, bytes, int]]) -> float:
    """Rows a second of inserting blocks that were made in advance, a few at a time to save memory."""
    seconds, rows, number = 0.0, 0, 0
    with database(url) as (client, _):
        for group in grouped(read(messages), 4 * BLOCK_ROWS):
            ready = [
                (table, block, Body(block.native))
                for part in grouped(group, BLOCK_ROWS)
                for table, block in zip(("points", "metric_summary"), blocks_of(part), strict=True)
            ]
            began = time.monotonic()
            for table, block, body in ready:
                number += 1
                client.raw_insert(
                    table,
                    column_names=block.names,
                    insert_block=body,  # type: ignore[arg-type]
                    settings=insert_settings(block, f"bare-{number}"),
                    fmt="Native",
                    transport_settings={"Content-Length": str(body.size)},
                )
                rows += block.rows if table == "points" else 0
            seconds += time.monotonic() - began
    return rows / seconds


def read(messages: list[tuple[bytes, bytes, int]]) -> Iterator[Frame]:
    reader = FrameReader()
    for offset, (key, value, _) in enumerate(messages):
        yield reader.read(value, Record("bench", 0, offset, 0, key, value))


def grouped(frames: Iterator[Frame] | list[Frame], rows: int) -> Iterator[list[Frame]]:
    group: list[Frame] = []
    held = 0
    for frame in frames:
        group.append(frame)
        held += frame.points
        if held >= rows:
            yield group
            group, held = [], 0
    if group:
        yield group


@contextmanager
def database(url: str) -> Iterator[tuple[Client, str]]:
    """A fresh, migrated database, dropped at the end."""
    server = ClickHouseSettings.from_url(url)
    name = f"bench_{uuid.uuid4().hex[:8]}"
    mine = ClickHouseSettings(server.host, server.port, server.user, server.password, name, server.secure)
    migrate(mine)
    with closing(connect(mine)) as client:
        yield client, mine.url
        client.command(f"DROP DATABASE {name} SYNC")


@contextmanager
def worker(bootstrap: str, database_url: str, prefix: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "RUNSTREAM_KAFKA": bootstrap,
        "RUNSTREAM_CLICKHOUSE": database_url,
        "RUNSTREAM_TOPIC_PREFIX": prefix,
        "RUNSTREAM_INGEST_GROUP": prefix,
        "RUNSTREAM_INGEST_PORT": "0",
    }
    process = subprocess.Popen([sys.executable, "-m", "runstream_ingest"], env=environment, stderr=subprocess.PIPE)
    try:
        yield process
        process.terminate()
        if process.wait(30):
            raise RuntimeError(f"The worker ended with {process.returncode}.")
    finally:
        process.kill()
        process.wait()


def until_assigned(process: subprocess.Popen[bytes]) -> float:
    assert process.stderr is not None
    for line in process.stderr:
        if json.loads(line).get("event") == "partitions assigned":
            return time.monotonic()
    raise RuntimeError("The worker ended before it got partitions.")
