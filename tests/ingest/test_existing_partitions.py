"""A broker that cannot say which partitions there are does not say that there are none."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import LeaderNotAvailableError, UnknownTopicOrPartitionError

from runstream.kafka_options import KafkaOptions
from runstream_ingest import recovery
from runstream_ingest.records import Source


class Admin:
    described: list[dict[str, Any]]

    def __init__(self, **options: Any) -> None:
        pass

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        return self.described


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "AIOKafkaAdminClient", Admin)


def topic(name: str, error: int, partitions: int) -> dict[str, Any]:
    return {"topic": name, "error_code": error, "partitions": [{"partition": i} for i in range(partitions)]}


async def test_topics_that_are_gone_have_no_partitions() -> None:
    Admin.described = [topic("t", 0, 2), topic("u", UnknownTopicOrPartitionError.errno, 0)]
    assert await recovery.existing(KafkaOptions("b:1"), ["t", "u"]) == {Source("t", 0), Source("t", 1)}


async def test_topics_that_the_broker_cannot_describe_are_an_error() -> None:
    Admin.described = [topic("t", 0, 2), topic("u", LeaderNotAvailableError.errno, 0)]
    with pytest.raises(LeaderNotAvailableError):
        await recovery.existing(KafkaOptions("b:1"), ["t", "u"])
