from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from typer.testing import Result

from ingest.ingest_samples import NOW_US, RUN, frame
from runstream.kafka_options import KafkaOptions
from runstream_ingest.dead_letters import DeadLetter, DirectoryDeadLetters
from runstream_ingest.health import Health
from runstream_ingest.kafka_dead_letters import KafkaDeadLetters
from runstream_ingest.metrics import Metrics
from runstream_ingest.records import Record
from runstream_storage.connection import connect

Runstream = Callable[..., Result]
pytestmark = pytest.mark.clickhouse


def letter(topic: str, offset: int, value: bytes, reason: str = "invalid", partition: int = 1) -> DeadLetter:
    headers = (("trace", b"abc"),)
    record = Record(topic, partition, offset, NOW_US // 1000 + offset, RUN.encode(), value, headers)
    return DeadLetter(record, reason, f"it is {reason}")


def keep(bootstrap: str, letters: Sequence[DeadLetter]) -> None:
    """As the ingest worker does."""

    async def put() -> None:
        topics = KafkaDeadLetters(KafkaOptions(bootstrap), metrics=Metrics(), health=Health())
        await topics.put(letters)
        await topics.close()

    asyncio.run(put())


def messages_of(bootstrap: str, topic: str, partition: int) -> list[Message]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "looker", "enable.auto.commit": False})
    with closing(consumer):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=60)
        consumer.assign([TopicPartition(topic, partition, low)])
        return list(consumer.consume(high - low, timeout=60)) if high > low else []


@pytest.fixture
def letters(cluster: str, kafka: Any, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three letters of the metrics topic, at 5, 7 and 9, and one of control; the prefix."""
    monkeypatch.setenv("RUNSTREAM_CLICKHOUSE", database)
    metrics = f"{cluster}.metrics"
    found = [
        letter(metrics, 5, b"junk", "not_an_event"),
        letter(metrics, 7, frame(3)),
        letter(metrics, 9, frame(3)[:-4]),
    ]
    keep(kafka.bootstrap, [*found, found[0], letter(f"{cluster}.control", 2, b"", "empty")])
    return cluster


def ids(done: Result) -> list[str]:
    return sorted(one["id"] for one in json.loads(done.stdout)["letters"])


def test_letters_are_listed_once_and_filtered(runstream: Runstream, letters: str) -> None:
    every = json.loads(runstream("dlq", "ls", "--json", code=1).stdout)
    assert every["reasons"] == {"not_an_event": 1, "invalid": 2, "empty": 1}
    assert ids(runstream("dlq", "ls", "--reason", "invalid", "--json", code=1)) == [
        f"{letters}.metrics:1:7",
        f"{letters}.metrics:1:9",
    ]
    assert ids(runstream("dlq", "ls", "-t", "control", "--json", code=1)) == [f"{letters}.control:1:2"]
    assert ids(runstream("dlq", "ls", "--offsets", "6..8", "--json", code=1)) == [f"{letters}.metrics:1:7"]
    assert ids(runstream("dlq", "ls", "--since", "2100-01-01", "--json")) == []
    shown = runstream("dlq", "ls", "--limit", "1", code=1).stdout
    assert "4 dead letters" in shown
    assert f"{letters}.metrics:1:9" in shown


def test_a_letter_is_shown_as_far_as_it_can_be_read(runstream: Runstream, letters: str) -> None:
    one = json.loads(runstream("dlq", "show", f"{letters}.metrics:1:9", "--json").stdout)
    assert (one["kind"], one["reason"], one["headers"]) == ("MetricFrame", "invalid", {"trace": "abc"})
    assert one["fields"]["run_id"] == RUN
    assert one["problem"]
    text = runstream("dlq", "show", f"{letters}.metrics:1:5").stdout
    assert "6a 75 6e 6b" in text
    assert "junk" in text
    fields = dict(line.split(maxsplit=1) for line in text.splitlines() if len(line.split()) > 1)
    assert fields["key"] == RUN


def test_a_letter_that_is_not_there_is_said_so(runstream: Runstream, letters: str) -> None:
    assert "dlq ls" in runstream("dlq", "show", "nothing:0:0", code=1).stderr
    for command in (("replay",), ("drop", "--yes")):
        answer = json.loads(runstream("dlq", *command, "nothing:0:0", "--json", code=1).stdout)
        assert "no such letter" in answer["failed"]["nothing:0:0"]


def test_a_replay_sends_the_same_bytes_with_key_headers_and_partition(
    runstream: Runstream, letters: str, kafka: Any
) -> None:
    metrics = f"{letters}.metrics"
    dry = json.loads(runstream("dlq", "replay", f"{metrics}:1:7", "--dry-run", "--json").stdout)
    assert (dry["replayed"], dry["dry_run"]) == (1, True)
    assert messages_of(kafka.bootstrap, metrics, 1) == []
    done = json.loads(runstream("dlq", "replay", f"{metrics}:1:7", "--json").stdout)
    assert (done["replayed"], done["failed"]) == (1, {})
    (sent,) = messages_of(kafka.bootstrap, metrics, 1)
    assert (sent.value(), sent.key()) == (frame(3), RUN.encode())
    headers = dict(sent.headers() or [])
    assert headers["trace"] == b"abc"
    assert headers["replay"].startswith(f"{metrics}.dlq/".encode())
    assert not any(name.startswith("runstream_") for name in headers)


def test_what_was_replayed_is_not_sent_twice_and_stays_in_the_index(
    runstream: Runstream, letters: str, kafka: Any, database: str
) -> None:
    runstream("dlq", "replay", "--reason", "invalid")
    again = json.loads(runstream("dlq", "replay", "--reason", "invalid", "--json").stdout)
    assert again["replayed"] == 0
    assert len(messages_of(kafka.bootstrap, f"{letters}.metrics", 1)) == 2
    with closing(connect(database)) as client:
        rows = client.query("SELECT offset, status, actor != '' FROM dead_letters FINAL ORDER BY offset").result_rows
    assert rows == [(7, "replayed", True), (9, "replayed", True)]


def test_a_dropped_letter_is_gone_from_the_list(runstream: Runstream, letters: str) -> None:
    assert json.loads(runstream("dlq", "drop", "--dry-run", "--json").stdout)["dropped"] == 4
    runstream("dlq", "drop", code=1)  # nobody says yes
    assert len(ids(runstream("dlq", "ls", "--json", code=1))) == 4
    runstream("dlq", "drop", "-t", "metrics", "--yes")
    assert ids(runstream("dlq", "ls", "--json", code=1)) == [f"{letters}.control:1:2"]
    every = json.loads(runstream("dlq", "ls", "--all", "--json", code=1).stdout)["letters"]
    assert sorted(one["status"] for one in every) == ["", "dropped", "dropped", "dropped"]


def test_wrong_offsets_times_reasons_and_topics_are_a_usage_error(runstream: Runstream, letters: str) -> None:
    assert "A..B" in runstream("dlq", "ls", "--offsets", "7", code=2).stderr
    assert "2h" in runstream("dlq", "ls", "--since", "yesterday", code=2).stderr
    assert "later than" in runstream("dlq", "ls", "--since", "1h", "--until", "2h", code=2).stderr
    assert "unknown_schema" in runstream("dlq", "drop", "--reason", "schema", code=2).stderr
    assert f"{letters}.metrics" in runstream("dlq", "ls", "--topic", "metric", code=2).stderr


@pytest.fixture
def files(runstream: Runstream, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Embedded: a letter that can be read now, and one that never can."""
    monkeypatch.setenv("RUNSTREAM_CLICKHOUSE", database)
    directory = tmp_path / "data" / "dead-letters"
    found = [letter("t.metrics", 7, frame(3), "internal", -1), letter("t.metrics", 8, b"junk", "not_an_event", -1)]
    asyncio.run(DirectoryDeadLetters(directory).put(found))
    return directory


def test_embedded_letters_go_into_the_database_and_their_files_away(
    runstream: Runstream, files: Path, database: str
) -> None:
    assert len(ids(runstream("dlq", "ls", "--json", code=1))) == 2
    done = json.loads(runstream("dlq", "replay", "t.metrics:-1:7", "--json").stdout)
    assert done["replayed"] == 1
    with closing(connect(database)) as client:
        assert client.query("SELECT count() FROM points FINAL").result_rows == [(6,)]
    assert [path.name for path in files.glob("*.bin")] == ["t.metrics--1-8.bin"]


def test_an_embedded_letter_that_still_cannot_be_read_says_why(runstream: Runstream, files: Path) -> None:
    done = json.loads(runstream("dlq", "replay", "t.metrics:-1:8", "--json", code=1).stdout)
    assert "not_an_event" in done["failed"]["t.metrics:-1:8"]


def test_an_embedded_letter_is_dropped_with_its_files(runstream: Runstream, files: Path) -> None:
    runstream("dlq", "drop", "--reason", "not_an_event", "--yes")
    assert [path.name for path in files.glob("*.json")] == ["t.metrics--1-7.json"]
