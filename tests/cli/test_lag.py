from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from typer.testing import Result

from ingest.ingest_worker import send

Runstream = Callable[..., Result]


def commit(bootstrap: str, group: str, topic: str, partition: int, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    with closing(consumer):
        place = TopicPartition(topic, partition, offset)
        assert consumer.commit(offsets=[place], asynchronous=False)


def partition_of(answer: dict[str, Any], topic: str, partition: int) -> dict[str, Any]:
    (found,) = [one for one in answer["partitions"] if (one["topic"], one["partition"]) == (topic, partition)]
    return dict(found)


def test_messages_behind_the_committed_offset_are_counted_with_their_age(
    runstream: Runstream, cluster: str, kafka: Any
) -> None:
    topic = f"{cluster}.metrics"
    send(kafka.bootstrap, topic, [b"a", b"b", b"c"])
    commit(kafka.bootstrap, cluster, topic, 0, 1)
    answer = json.loads(runstream("lag", "--json").stdout)
    assert (answer["group"], answer["messages"], answer["removed"]) == (cluster, 2, 0)
    behind = partition_of(answer, topic, 0)
    assert (behind["committed"], behind["end"], behind["messages"]) == (1, 3, 2)
    assert 0 <= behind["seconds"] < 600
    assert partition_of(answer, topic, 1)["seconds"] == 0


def test_a_group_that_never_committed_has_all_before_it(runstream: Runstream, cluster: str, kafka: Any) -> None:
    send(kafka.bootstrap, f"{cluster}.control", [b"a", b"b"], partition=1)
    shown = runstream("lag").stdout
    assert f"{cluster} has never committed" in shown
    assert "never" in shown
    assert f"{cluster}: 2 messages" in shown
    assert f"{cluster}.metrics" not in shown
    assert "partitions are up to date" in shown
    assert f"{cluster}.metrics" in runstream("lag", "--all").stdout


def test_a_limit_that_is_passed_ends_with_1_also_while_watching(runstream: Runstream, cluster: str, kafka: Any) -> None:
    send(kafka.bootstrap, f"{cluster}.metrics", [b"a"])
    runstream("lag", "--max-seconds", "600")
    runstream("lag", "--max-seconds", "0", code=1)
    answer = runstream("lag", "--max-seconds", "0", "--watch", "--json", code=1).stdout
    assert json.loads(answer.splitlines()[0])["messages"] == 1


@pytest.mark.real
def test_messages_that_retention_removed_unread_are_told(runstream: Runstream, cluster: str, kafka: Any) -> None:
    from confluent_kafka.admin import AdminClient

    topic = f"{cluster}.metrics"
    send(kafka.bootstrap, topic, [b"a", b"b", b"c"])
    commit(kafka.bootstrap, cluster, topic, 0, 1)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for future in admin.delete_records([TopicPartition(topic, 0, 2)]).values():
        future.result()
    done = runstream("lag", code=1)
    assert "removed 1 messages" in done.stdout
    assert "runstream sync" in done.stdout


def test_without_a_broker_the_message_names_the_variable(runstream: Runstream) -> None:
    assert "RUNSTREAM_KAFKA" in runstream("lag", code=2).stderr


def test_a_broker_that_does_not_answer_is_a_message_and_exit_code_3(
    runstream: Runstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTREAM_KAFKA", "127.0.0.1:9")
    done = runstream("lag", code=3)
    assert "127.0.0.1:9" in done.stderr


def test_topics_that_are_not_there_are_named(
    runstream: Runstream, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTREAM_TOPIC_PREFIX", "nobodys")
    assert "nobodys.control" in runstream("lag", code=1).stderr
