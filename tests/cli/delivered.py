"""A finished run in Kafka, and a worker that brings what is there into the database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from ingest.ingest_samples import NOW_US, RUN, control, frame
from ingest.ingest_worker import WAIT_S, WorkerProcess, until

ROWS = 30


def started(**fields: Any) -> bytes:
    return control("RunStarted", seq=0, external_id="", created_us=NOW_US, name="baseline", **fields)


def finished(metric_seq: int, seq: int = 1) -> bytes:
    ended = {"state": "finished", "exit_code": 0, "reason": "", "metric_seq": metric_seq}
    return control("RunFinished", seq=seq, time_us=NOW_US + 10_000_000, **ended)


def frames(*first_seqs: int, rows: int = 10) -> list[bytes]:
    return [frame(rows, first_seq=first) for first in first_seqs]


def send(bootstrap: str, prefix: str, metrics: Iterable[bytes], events: Iterable[bytes] = ()) -> None:
    """All of one run, so all in one partition of each topic."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for kind, values in (("metrics", metrics), ("control", events)):
        for value in values:
            producer.produce(f"{prefix}.{kind}", value, key=RUN.encode(), partition=1)
    assert producer.flush(WAIT_S) == 0


def bring(bootstrap: str, database: str, prefix: str) -> None:
    """Runs a worker until it has committed all that is in the topics."""
    with WorkerProcess(bootstrap, database, prefix) as worker:
        until(lambda: _behind(bootstrap, prefix) == 0, lambda: worker.last_lines)
        assert worker.stop() == 0, worker.last_lines


def _behind(bootstrap: str, prefix: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": prefix, "enable.auto.commit": False})
    try:
        left = 0
        for topic in (f"{prefix}.metrics", f"{prefix}.control"):
            for place in consumer.committed([TopicPartition(topic, number) for number in (0, 1)], timeout=WAIT_S):
                _, high = consumer.get_watermark_offsets(place, timeout=WAIT_S)
                left += high - max(0, place.offset)
        return left
    finally:
        consumer.close()
