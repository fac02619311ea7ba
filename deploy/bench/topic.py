"""A topic full of frames, made by the producer's own frame builder as agents make them."""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from runstream.frames import FrameBuilder
from runstream.identity import new_run_id, new_writer_id
from runstream.spool import Position, SegmentHeader
from runstream.spool_reader import RowBlock

METRICS = tuple(
    f"{part}/{name}" for part in ("train", "validation") for name in ("loss", "acc", "lr", "norm", "tokens")
)
NOW_US = 1_790_000_000_000_000
POOL_ROWS = 50_000
WAITING = 500


class Sent(NamedTuple):
    """`checksum` is the XOR of all values' bits."""

    points: int
    messages: int
    bytes: int
    checksum: int


class Message(NamedTuple):
    key: bytes
    value: bytes
    points: int
    checksum: int


def header(number: int) -> SegmentHeader:
    """Of a new writer."""
    return SegmentHeader(
        run_id=new_run_id(),
        writer_id=new_writer_id(),
        segment=1,
        attempt=0,
        rank=0,
        pid=1,
        process_start=0,
        pid_namespace=0,
        created_us=NOW_US,
        boot_id=bytes(16),
        first_row_seq=0,
        first_event_seq=0,
        project="bench",
        host=f"host-{number}",
    )


def frames(points: int, *, runs: int = 8, rows: tuple[int, int] = (200, 1000)) -> Iterator[Message]:
    """Messages of several runs, mixed as a topic mixes them: 10 metrics, half of the rows rounded to 4 decimals.

    The values and sizes are the same at each call, the runs are not.
    """
    random = np.random.default_rng(7)
    pool = random.standard_normal((POOL_ROWS, len(METRICS)))
    pool[::2] = np.round(pool[::2], 4)
    headers = [header(number) for number in range(runs)]
    builders = [FrameBuilder(one, {}) for one in headers]
    next_row = [0] * runs
    made = 0
    while made < points:
        run, n = int(random.integers(runs)), int(random.integers(rows[0], rows[1] + 1))
        start = int(random.integers(POOL_ROWS - n))
        first = next_row[run]
        next_row[run] = end = first + n
        values = pool[start : start + n]
        times_us = [NOW_US + 1000 * step for step in range(first, end)]
        builder = builders[run]
        builder.add(RowBlock(METRICS, first, n, list(range(first, end)), times_us, values.tobytes(), Position()))
        frame = builder.flush()
        assert frame is not None
        made += frame.points
        checksum = int(np.bitwise_xor.reduce(values.view(np.uint64), axis=None))
        yield Message(str(headers[run].run_id).encode(), frame.value, frame.points, checksum)


def one_row(builder: FrameBuilder, step: int, time_us: int, value: float) -> bytes:
    """A frame of one row with METRICS."""
    values = array("d", [value] * len(METRICS)).tobytes()
    builder.add(RowBlock(METRICS, step, 1, [step], [time_us], values, Position()))
    frame = builder.flush()
    assert frame is not None
    return frame.value


async def create_topics(bootstrap: str, prefix: str, partitions: int) -> None:
    from runstream.kafka_options import KafkaOptions
    from runstream.kafka_topics import create_missing_topics

    await create_missing_topics(prefix, KafkaOptions(bootstrap, partitions=partitions))


async def fill(bootstrap: str, prefix: str, messages: Iterator[Message], partitions: int) -> Sent:
    """Sends all of `messages` to the metrics topic."""
    from aiokafka import AIOKafkaProducer

    from runstream.kafka_topics import metrics_topic

    await create_topics(bootstrap, prefix, partitions)
    # That the first batches of a new topic find no leader yet, and are sent again, is nothing to report.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    points = count = size = checksum = 0
    waiting: set[asyncio.Future[object]] = set()
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", compression_type="lz4", linger_ms=20, max_batch_size=1 << 20
    )
    async with producer:
        for message in messages:
            waiting.add(await producer.send(metrics_topic(prefix), message.value, key=message.key))
            points, count, size = points + message.points, count + 1, size + len(message.value)
            checksum ^= message.checksum
            if len(waiting) >= WAITING:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    one.result()
        await asyncio.gather(*waiting)
    return Sent(points, count, size, checksum)
