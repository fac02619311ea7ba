"""How fast one ingest worker turns a full topic into queryable rows, beside a bare insert loop of the same rows.

The topic holds frames as agents send them (10 metrics, 200 to 1,000 steps each, several runs, lz4). A real worker
process drains it on the same machine as the broker and ClickHouse; the clock runs from its partitions' assignment until
all rows are counted by SQL, and every value is checked. Then the bare loop inserts all of these rows as the very same
blocks, made in advance while its clock stands, into the same tables, all roll-ups included, with the same settings,
table by table as the worker does. What it does with the first of them, when ClickHouse has nothing to merge yet, is
shown apart, and was measured before as well.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from bars import at_least, at_most
from clickhouse_connect.driver.client import Client
from topic import Message, Sent, fill, frames
from workers import Memory, cpu_seconds, database, worker

from runstream_ingest.clickhouse import Body
from runstream_ingest.frames import Frame, FrameReader
from runstream_ingest.insert import insert_settings
from runstream_ingest.native import Block
from runstream_ingest.points import blocks_of
from runstream_ingest.records import Record
from runstream_ingest.settings import IngestSettings

POINTS = 210_000_000
"""For a minute at the rate that is asked for, and some more."""
BURST_POINTS = 24_000_000
PARTITIONS = 4
BLOCK_ROWS = IngestSettings.model_fields["ingest_batch_rows"].default
LIMIT_S = 400
WINDOW_S = 10.0

ACTIVE_PARTS = "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = 'points'"
BAR_RATE, BAR_SHARE, BAR_MIB, BAR_SLOPE = 3e6, 0.6, 512, 20


def measure(kafka_bootstrap: str, clickhouse_url: str, points: int = POINTS) -> list[tuple[str, str, str]]:
    """Rows of (what, value, note). Raises RuntimeError when a value is lost or changed on the way."""
    prefix = f"bench-{uuid.uuid4().hex[:8]}"
    sent = asyncio.run(fill(kafka_bootstrap, prefix, frames(points), PARTITIONS))
    before = bare(clickhouse_url, min(points, BURST_POINTS))
    drained = drain(kafka_bootstrap, clickhouse_url, prefix, sent)
    after = bare(clickhouse_url, points)
    rate, burst = sent.points / drained.seconds, (before.burst + after.burst) / 2
    memory = drained.memory
    slope = memory.slope_mib_per_min
    return [
        (
            "one worker, topic to queryable rows",
            f"{rate / 1e6:.2f} M points/s",
            f"{at_least(rate, BAR_RATE, '3 M')}; {sent.points / 1e6:.0f} M points in {drained.seconds:.0f} s, "
            f"slowest {WINDOW_S:.0f} s {drained.slowest / 1e6:.2f} M/s; messages of {sent.points // sent.messages}, "
            f"{sent.bytes / sent.points:.2f} bytes/point before compression",
        ),
        (
            "bare Native insert loop of the same rows",
            f"{after.rate / 1e6:.2f} M rows/s",
            f"all {points / 1e6:.0f} M, right after; same blocks, tables, roll-ups and settings; the clock stands "
            "while blocks are made, and merges go on",
        ),
        (
            "worker / bare loop",
            f"{100 * rate / after.rate:.0f} %",
            at_least(rate / after.rate, BAR_SHARE, "60 %"),
        ),
        (
            "bare loop, its first rows only",
            f"{burst / 1e6:.2f} M rows/s",
            f"{min(points, BURST_POINTS) / 1e6:.0f} M, before anything is merged: {before.burst / 1e6:.2f} before the "
            f"worker's run, {after.burst / 1e6:.2f} after; the worker has {100 * rate / burst:.0f} % of it",
        ),
        (
            "processor time of the worker",
            f"{1e6 * drained.busy_s / sent.points:.2f} us/point",
            f"{100 * drained.busy_s / drained.seconds:.0f} % of a core",
        ),
        (
            "parts of `points` right after it",
            f"{drained.parts}",
            "what merging, which yields to inserts, has left to do; ClickHouse slows inserts down from 1,000 on",
        ),
        ("memory of the worker, highest", f"{memory.peak_mib:.0f} MiB", at_most(memory.peak_mib, BAR_MIB, "512 MiB")),
        (
            "memory of the worker, growth",
            f"{slope:+.1f} MiB/min",
            f"over the second half; {at_most(slope, BAR_SLOPE, f'{BAR_SLOPE} MiB/min')}",
        ),
    ]


class Drained:
    """What was seen while the worker drained the topic."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.seconds = 0.0
        self.busy_s = 0.0
        self.parts = 0
        self.counts: list[tuple[float, int]] = []
        """(seconds, points that can be queried)."""

    @property
    def slowest(self) -> float:
        """Points a second of the slowest stretch of WINDOW_S seconds."""
        rates = []
        for at, count in self.counts:
            later = next(((t, n) for t, n in self.counts if t >= at + WINDOW_S), None)
            if later:
                rates.append((later[1] - count) / (later[0] - at))
        return min(rates, default=self.counts[-1][1] / self.seconds)

    def rate(self, begin_s: float, end_s: float) -> float:
        """Points a second between two times since it began."""
        first = max((n for t, n in self.counts if t <= begin_s), default=0)
        return (max((n for t, n in self.counts if t <= end_s), default=0) - first) / (end_s - begin_s)


def drain(bootstrap: str, url: str, prefix: str, sent: Sent, limit_s: float = LIMIT_S) -> Drained:
    with database(url) as (client, database_url), worker(bootstrap, database_url, prefix) as process:
        began, busy = time.monotonic(), cpu_seconds(process.pid)
        with Memory(process.pid) as memory:
            drained = Drained(memory)
            found = 0
            while found < sent.points:
                if process.poll() is not None or time.monotonic() - began > limit_s:
                    raise RuntimeError(f"The worker ended or hung after {found} of {sent.points} points.")
                time.sleep(0.2)
                found = int(str(client.command("SELECT count() FROM points")))
                drained.counts.append((time.monotonic() - began, found))
            drained.seconds = time.monotonic() - began
        drained.busy_s = cpu_seconds(process.pid) - busy
        drained.parts = int(str(client.command(ACTIVE_PARTS)))
        check(client, sent)
    return drained


def check(client: Client, sent: Sent) -> None:
    """Every value is there once, bit for bit, and all roll-ups have seen it."""
    found = client.query("SELECT count(), groupBitXor(reinterpretAsUInt64(value)) FROM points").result_rows[0]
    counted = client.query("SELECT sum(n) FROM (SELECT max(n) AS n FROM metric_summary GROUP BY run_id, metric)")
    spanned = client.query(
        "SELECT sum(s1 - s0 + 1) FROM (SELECT min(s0) AS s0, max(s1) AS s1 FROM curve WHERE lvl = 12 "
        "GROUP BY run_id, metric, bucket)"
    )
    facts = (*found, counted.result_rows[0][0], spanned.result_rows[0][0])
    expected = (sent.points, sent.checksum, sent.points, sent.points)
    if facts != expected:
        raise RuntimeError(f"Points were lost or changed: found {facts}, expected {expected}.")


class Bare(NamedTuple):
    """Rows a second of a bare loop: of all of it, and of its first BURST_POINTS."""

    rate: float
    burst: float


def bare(url: str, points: int) -> Bare:
    """Inserts blocks that were made in advance, a few at a time to save memory."""
    seconds, rows, number = 0.0, 0, 0
    burst = 0.0
    with database(url) as (client, _), ThreadPoolExecutor(3) as threads:
        for group in grouped(read(frames(points)), 4 * BLOCK_ROWS):
            ready = [
                [(table, block, Body(block.native)) for table, block in blocks_of(part)._asdict().items()]
                for part in grouped(group, BLOCK_ROWS)
            ]
            began = time.monotonic()
            for batch in ready:
                number += 1
                name = f"bare-{number}"
                list(threads.map(lambda one: send(client, one[0], one[1], one[2], name), batch))  # noqa: B023 - ends in this round
                rows += batch[0][1].rows
            seconds += time.monotonic() - began
            if rows <= BURST_POINTS or not burst:
                burst = rows / seconds
    return Bare(rows / seconds, burst)


def send(client: Client, table: str, block: Block, body: Body, name: str) -> None:
    client.raw_insert(
        table,
        column_names=block.names,
        insert_block=body,  # type: ignore[arg-type]
        settings=insert_settings(block, f"{name}:{table}"),
        fmt="Native",
        transport_settings={"Content-Length": str(body.size)},
    )


def read(messages: Iterator[Message]) -> Iterator[Frame]:
    reader = FrameReader()
    for offset, message in enumerate(messages):
        yield reader.read(message.value, Record("bench", 0, offset, 0, message.key, message.value))


def grouped(frames: Iterable[Frame], rows: int) -> Iterator[list[Frame]]:
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


if __name__ == "__main__":
    kafka, clickhouse, *more = sys.argv[1:]
    for row in measure(kafka, clickhouse, *map(int, more)):
        print(*row, sep="  |  ")
