"""A real worker process, and the topics around it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Self

from confluent_kafka import Consumer, Producer, TopicPartition

from runstream_storage.connection import connect

WAIT_S = 60.0


class WorkerProcess:
    """`python -m runstream_ingest` with its log as parsed lines."""

    def __init__(self, bootstrap: str, database: str, prefix: str, **settings: Any) -> None:
        environment = {
            **os.environ,
            "RUNSTREAM_KAFKA": bootstrap,
            "RUNSTREAM_CLICKHOUSE": database,
            "RUNSTREAM_TOPIC_PREFIX": prefix,
            "RUNSTREAM_INGEST_GROUP": prefix,
            "RUNSTREAM_INGEST_PORT": "0",
            **{f"RUNSTREAM_INGEST_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.lines: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runstream_ingest"], env=environment, stderr=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                try:
                    self.lines.append(json.loads(line))
                except json.JSONDecodeError:
                    self.lines.append({"event": line})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in list(self.lines) if line.get("event") == event]

    def until_logged(self, event: str, times: int = 1) -> None:
        until(lambda: len(self.logged(event)) >= times, lambda: f"{event!r} {times} times in {self.last_lines}")

    @property
    def last_lines(self) -> str:
        return "\n".join(json.dumps(line)[:300] for line in self.lines[-12:])

    def probe(self, path: str) -> tuple[int, str]:
        """Status and body."""
        self.until_logged("probes")
        url = self.logged("probes")[0]["url"].replace("/metrics", path)
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """The sum over the labels."""
        _, text = self.probe("/metrics")
        lines = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def stop(self) -> int:
        """The exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)


def until(holds: Callable[[], bool], what: Callable[[], object]) -> None:
    """Waits until it holds; fails after a minute."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {WAIT_S:.0f} s: {what()}")
        time.sleep(0.05)


def send(bootstrap: str, topic: str, values: Iterable[bytes], *, partition: int = 0) -> None:
    """Writes messages, oldest first, and waits for the broker."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,  # or what is sent again stands behind what was not
            "message.max.bytes": 20_000_000,
            "compression.type": "lz4",
        }
    )
    for value in values:
        producer.produce(topic, value, key=b"key", partition=partition)
    assert producer.flush(WAIT_S) == 0


def letters_in(bootstrap: str, topic: str) -> list[tuple[bytes, dict[str, bytes]]]:
    """Value and headers of each dead letter of `topic`."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "letters", "enable.auto.commit": False})
    with closing(consumer):
        dead = f"{topic}.dlq"
        found = []
        for partition in consumer.list_topics(dead, timeout=WAIT_S).topics[dead].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(dead, partition), timeout=WAIT_S)
            consumer.assign([TopicPartition(dead, partition, low)])
            messages = consumer.consume(high - low, timeout=WAIT_S) if high > low else []
            found += [(message.value() or b"", dict(message.headers() or [])) for message in messages]
        return found


def committed(bootstrap: str, group: str, topic: str, partitions: int = 2) -> int:
    """Messages that the group is done with, over all partitions."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    with closing(consumer):
        places = [TopicPartition(topic, partition) for partition in range(partitions)]
        return sum(max(0, place.offset) for place in consumer.committed(places, timeout=WAIT_S))


class Rows:
    """What SQL finds."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def count(self, source: str) -> int:
        return int(self.client.query(f"SELECT count() FROM {source}").result_rows[0][0])

    def until(self, source: str, rows: int) -> None:
        until(lambda: self.count(source) == rows, lambda: f"{rows} rows of {source}, found {self.count(source)}")


@contextmanager
def rows_of(database: str) -> Iterator[Rows]:
    with closing(connect(database)) as client:
        yield Rows(client)
