"""Ten minutes of one ingest worker at its highest rate: is its memory flat, and does merging keep up?

As `ingest_rate`, without the bare loop. The topic takes some 18 GB, the tables as much again: not part of `make bench`,
`python deploy/bench ingest_long` asks for it.
"""

from __future__ import annotations

import asyncio
import uuid

from bars import at_most
from ingest_rate import BAR_MIB, BAR_SLOPE, PARTITIONS, drain
from topic import fill, frames

POINTS = 2_000_000_000
"""For ten minutes at the rate that is asked for, and some more."""
LIMIT_S = 2400


def measure(kafka_bootstrap: str, clickhouse_url: str) -> list[tuple[str, str, str]]:
    """Rows of (what, value, note). Raises RuntimeError when a value is lost or changed on the way."""
    prefix = f"bench-{uuid.uuid4().hex[:8]}"
    sent = asyncio.run(fill(kafka_bootstrap, prefix, frames(POINTS), PARTITIONS))
    drained = drain(kafka_bootstrap, clickhouse_url, prefix, sent, LIMIT_S)
    memory = drained.memory
    slope = memory.slope_mib_per_min
    minutes = [drained.rate(60.0 * minute, 60.0 * minute + 60) / 1e6 for minute in range(int(drained.seconds // 60))]
    return [
        (
            "one worker, topic to queryable rows",
            f"{sent.points / drained.seconds / 1e6:.2f} M points/s",
            f"{sent.points / 1e6:.0f} M points in {drained.seconds / 60:.1f} minutes",
        ),
        ("the same, minute by minute", f"{min(minutes):.2f} M/s at least", ", ".join(f"{one:.2f}" for one in minutes)),
        (
            "parts of `points` right after it",
            f"{drained.parts}",
            "ClickHouse slows inserts down from 1,000 on",
        ),
        ("memory of the worker, highest", f"{memory.peak_mib:.0f} MiB", at_most(memory.peak_mib, BAR_MIB, "512 MiB")),
        (
            "memory of the worker, growth",
            f"{slope:+.1f} MiB/min",
            f"over the second half; {at_most(slope, BAR_SLOPE, f'{BAR_SLOPE} MiB/min')}",
        ),
    ]
