"""Fixtures `kafka`, `topic_prefix` and `private_kafka`."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from runstream_deploy.dev import KafkaService

from .containers import kafka_container
from .native import address
from .tiers import Tier, own, serve

PARTITIONS = 2


@dataclass(frozen=True)
class Kafka:
    """A broker for tests. `creates_topics` is False for the stand-in, which makes topics as they are asked for."""

    bootstrap: str
    tier: str
    creates_topics: bool = True


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """The session's broker; use `topic_prefix` for topics of your own."""
    with serve(
        request,
        "kafka",
        container=kafka_container,
        native=partial(address, KafkaService),
        stand_in=mock_cluster,
        stand_in_name="librdkafka's mock cluster",
    ) as (bootstrap, tier):
        yield Kafka(bootstrap, tier.value, creates_topics=tier is not Tier.PYPI)


@pytest.fixture
def topic_prefix(kafka: Kafka) -> Iterator[str]:
    """A prefix of this test's own, with its topics created (two partitions, the dead-letter topics one)."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    names = [f"{prefix}.{topic}{tail}" for topic in ("control", "metrics", "logs") for tail in ("", ".dlq")]
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "allow.auto.create.topics": True, "log_level": 2})
    if kafka.creates_topics:
        partitions = {name: 1 if name.endswith(".dlq") else PARTITIONS for name in names}
        topics = [
            NewTopic(name, count, 1, config={"max.message.bytes": "8388608"}) for name, count in partitions.items()
        ]
        for future in admin.create_topics(topics, request_timeout=20).values():
            future.result()
    for name in names:
        wait_for_leaders(admin, name)
    yield prefix
    if kafka.creates_topics:
        made = {name for name in admin.list_topics(timeout=20).topics if name.startswith(f"{prefix}.")}
        for future in admin.delete_topics(sorted(made.union(names)), request_timeout=20).values():
            future.exception()


def produce(bootstrap: str, topic: str, value: bytes) -> None:
    """Create `topic` with one partition unless it is there, and write one message to it."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
    if topic not in admin.list_topics(timeout=20).topics:
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
        wait_for_leaders(admin, topic)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 2})
    producer.produce(topic, value)
    if producer.flush(20):
        raise RuntimeError(f"The message to {topic} was not acknowledged within 20 s.")


def messages(bootstrap: str, topic: str) -> list[bytes]:
    """Every message of the topic's first partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "log_level": 2})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
        consumer.assign([TopicPartition(topic, 0, low)])
        found = consumer.consume(high - low, timeout=20)
        return [message.value() or b"" for message in found]
    finally:
        consumer.close()


def wait_for_leaders(admin: AdminClient, topic: str) -> None:
    """Return when every partition of `topic` can be written; asking is what makes the stand-in create it."""
    deadline = time.monotonic() + 20
    while True:
        found = admin.list_topics(topic, timeout=20).topics[topic]
        if found.partitions and not found.error and all(part.leader >= 0 for part in found.partitions.values()):
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"The topic {topic} got no leader within 20 s: {found.error}")
        time.sleep(0.02)


@pytest.fixture
def private_kafka(request: pytest.FixtureRequest) -> Iterator[KafkaService]:
    """A real broker of this test's own, to stop, kill, pause and restart."""
    with own(request, "kafka", KafkaService) as service:
        yield service


@contextmanager
def mock_cluster() -> Iterator[str]:
    """librdkafka's mock cluster in a process of its own, which ends when its standard input does."""
    program = Path(__file__).with_name("mock_kafka.py")
    with subprocess.Popen([sys.executable, str(program)], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        bootstrap = process.stdout.readline().strip()
        if not bootstrap:
            raise RuntimeError("librdkafka's mock cluster did not start; its message is above")
        try:
            yield bootstrap
        finally:
            process.stdin.close()
            process.wait(10)
