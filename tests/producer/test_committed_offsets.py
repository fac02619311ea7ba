"""What a broker answers about a group while it is not ready is not an answer that there is nothing."""

from __future__ import annotations

from typing import Any, cast

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.commit import OffsetFetchResponse_v3
from aiokafka.structs import OffsetAndMetadata

from runstream import kafka_offsets
from runstream.kafka_offsets import committed_by

LOADING, MOVED = GroupLoadInProgressError.errno, NotCoordinatorForGroupError.errno
AT = [("t", [(0, 7, "an intent", 0), (1, -1, "", 0)])]


class Broker:
    """Gives `answers`, each the topics and the error of the whole, then the last one again."""

    def __init__(self, *answers: tuple[Any, int]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def find_coordinator(self, group: str) -> int:
        return 1

    async def _send_request(self, request: Any, node_id: int) -> Any:
        self.asked += 1
        topics, error = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return OffsetFetchResponse_v3(0, topics, error)

    async def committed(self) -> dict[tuple[str, int], OffsetAndMetadata]:
        return await committed_by(cast("AIOKafkaAdminClient", self), "g", [("t", 0), ("t", 1)])


async def test_a_broker_that_still_reads_the_group_is_asked_again() -> None:
    broker = Broker(([], LOADING), ([], MOVED), (AT, 0))
    assert await broker.committed() == {("t", 0): OffsetAndMetadata(7, "an intent")}
    assert broker.asked == 3


async def test_a_group_that_is_never_read_is_an_error_and_not_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_offsets, "ANSWER_WITHIN_S", 0.3)
    with pytest.raises(GroupLoadInProgressError):
        await Broker(([], LOADING)).committed()


async def test_what_is_refused_is_an_error_at_once() -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        await Broker(([], GroupAuthorizationFailedError.errno)).committed()
    with pytest.raises(TopicAuthorizationFailedError):
        await Broker(([("t", [(0, -1, "", TopicAuthorizationFailedError.errno)])], 0)).committed()


async def test_a_group_that_never_committed_has_nothing() -> None:
    assert await Broker(([("t", [(0, -1, "", 0), (1, -1, "", 0)])], 0)).committed() == {}
