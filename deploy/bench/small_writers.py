"""What many small writers cost: 1,000 runs, each logging 10 metrics once a second, in frames of one row.

The messages are those that 1,000 agents send: the runs log at different moments, so nothing can be joined before the
topic. Every run also sends its heartbeat, one in ten seconds. A real worker with default settings takes them in.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid

from bars import at_most
from clickhouse_connect.driver.client import Client
from topic import METRICS, create_topics, header, one_row
from workers import cpu_seconds, database, rss_mib, worker

from runstream import events
from runstream.frames import FrameBuilder
from runstream.spool import SegmentHeader

RUNS = 1_000
SETTLES_S = 10
SECONDS = 30
BEAT_EVERY_S = 10
TICKS = 100
"""In a second; some runs send in each."""
PARTITIONS = 4
BAR = 0.3


def measure(kafka_bootstrap: str, clickhouse_url: str) -> list[tuple[str, str, str]]:
    """Rows of (what, value, note). Raises RuntimeError when a point does not arrive."""
    prefix = f"bench-{uuid.uuid4().hex[:8]}"
    with database(clickhouse_url) as (client, database_url):
        asyncio.run(create_topics(kafka_bootstrap, prefix, PARTITIONS))
        with worker(kafka_bootstrap, database_url, prefix) as process:
            share, rate = asyncio.run(load(kafka_bootstrap, prefix, process.pid))
            sent = RUNS * (SETTLES_S + SECONDS) * len(METRICS)
            await_points(client, sent)
            memory = rss_mib(process.pid)
        inserts = int(str(client.command("SELECT uniqExact(src_partition, src_offset) FROM points")))
    runs = f"{RUNS:,} runs, {len(METRICS)} metrics a second each"
    return [
        (
            "worker's share of a core",
            f"{100 * share:.1f} %",
            f"{at_most(share, BAR, '30 %')}; {runs}, {rate:,.0f} messages/s; {inserts:,} frames of one row in all",
        ),
        ("processor time a message", f"{1e6 * share / rate:.0f} us", "fetching, inserting and committing included"),
        ("worker's memory", f"{memory:.0f} MiB", "at the end"),
    ]


async def load(bootstrap: str, prefix: str, pid: int) -> tuple[float, float]:
    """Sends as 1,000 runs for a while; the worker's share of a core, and messages a second, once it has settled."""
    from aiokafka import AIOKafkaProducer

    from runstream.kafka_topics import control_topic, metrics_topic

    writers = [(header(number), str(number)) for number in range(RUNS)]
    builders = [FrameBuilder(one, {}) for one, _ in writers]
    keys = [str(one.run_id).encode() for one, _ in writers]
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", compression_type="lz4", linger_ms=50)
    sent, counted_from, busy, since = 0, 0, 0.0, 0.0
    async with producer:
        began = time.monotonic()
        for tick in range((SETTLES_S + SECONDS) * TICKS):
            if (wait := began + tick / TICKS - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if tick == SETTLES_S * TICKS:
                counted_from, busy, since = sent, cpu_seconds(pid), time.monotonic()
            second, part = divmod(tick, TICKS)
            now_us = time.time_ns() // 1000
            for number in range(part, RUNS, TICKS):
                value = one_row(builders[number], second, now_us, second / 7)
                await producer.send(metrics_topic(prefix), value, key=keys[number])
                sent += 1
                if (second + number) % BEAT_EVERY_S == 0:
                    await producer.send(
                        control_topic(prefix), beat(writers[number][0], second, now_us), key=keys[number]
                    )
                    sent += 1
        took = time.monotonic() - since
        return (cpu_seconds(pid) - busy) / took, (sent - counted_from) / took


def beat(writer: SegmentHeader, rows: int, now_us: int) -> bytes:
    return events.encode(
        "Heartbeat",
        {
            "project": writer.project,
            "run_id": str(writer.run_id),
            "writer_id": writer.writer_id,
            "attempt": writer.attempt,
            "rank": writer.rank,
            "seq": -1,
            "time_us": now_us,
            "actor": "bench@host",
            "metric_seq": rows,
            "spooled_bytes": 0,
        },
    )


def await_points(client: Client, expected: int, *, longest_s: float = 60.0) -> None:
    until = time.monotonic() + longest_s
    while (found := int(str(client.command("SELECT count() FROM points")))) < expected:
        if time.monotonic() > until:
            raise RuntimeError(f"{found} of {expected} points arrived.")
        time.sleep(0.1)


if __name__ == "__main__":
    for row in measure(*sys.argv[1:3]):
        print(*row, sep="  |  ")
