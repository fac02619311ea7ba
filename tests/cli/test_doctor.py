from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from confluent_kafka.admin import AdminClient
from typer.testing import Result

from ingest.ingest_worker import send
from runstream_deploy.examination.broker_rights import acl_findings, release_of
from runstream_deploy.examination.brokers import partition_findings, topic_findings
from runstream_deploy.examination.database import rooms
from runstream_storage.connection import connect

Runstream = Callable[..., Result]
GOOD = {
    "cleanup.policy": "delete",
    "max.message.bytes": "8388608",
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "min.insync.replicas": "2",
}


def findings(runstream: Runstream, code: int = 1) -> dict[str, dict[str, Any]]:
    return {one["subject"]: one for one in json.loads(runstream("doctor", "--json", code=code).stdout)["findings"]}


@pytest.fixture
def filled(runstream: Runstream, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("RUNSTREAM_CLICKHOUSE", database)
    return database


def test_a_healthy_database_needs_no_mending(runstream: Runstream, filled: str) -> None:
    found = findings(runstream, code=0)
    subjects = {"ClickHouse", "clocks", "schema", "deduplication", "rights", "parts", "dead letters", "libraries"}
    assert subjects <= set(found)


def test_a_table_that_remembers_no_insert_is_named(runstream: Runstream, filled: str) -> None:
    with closing(connect(filled)) as client:
        client.command("ALTER TABLE params MODIFY SETTING non_replicated_deduplication_window = 5")
    found = findings(runstream)["deduplication"]
    assert not found["ok"]
    assert "params (5)" in found["found"]
    assert "MODIFY SETTING" in found["remedy"]


def test_a_column_that_somebody_dropped_is_named(runstream: Runstream, filled: str) -> None:
    with closing(connect(filled)) as client:
        client.command("ALTER TABLE points DROP COLUMN writer")
    found = findings(runstream)["schema"]
    assert "points.writer" in found["found"]
    assert "ADD COLUMN" in found["remedy"]


def test_a_database_that_is_away_is_told_in_one_line(
    runstream: Runstream, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNSTREAM_CLICKHOUSE", "http://u:secret@127.0.0.1:1/x")
    found = findings(runstream)["ClickHouse"]["found"]
    assert found.startswith("ClickHouse at http://u@127.0.0.1:1/x does not answer: Connection refused. Start it")
    assert "secret" not in found
    assert capfd.readouterr().err == ""


def test_a_user_who_sees_only_our_tables_is_told_the_rest_all_the_same() -> None:
    class Ordinary:
        def query(self, sql: str) -> None:
            raise DatabaseError("Code: 497. DB::Exception: ro: Not enough privileges", code=497)

    found = list(rooms(cast("Any", Ordinary())))
    assert [(one.ok, one.subject) for one in found] == [(True, "ClickHouse disk"), (True, "parts")]


def test_a_bucket_that_is_not_there_is_told_and_not_made(
    runstream: Runstream, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{s3.url}/nothing-{uuid.uuid4().hex}"
    monkeypatch.setenv("RUNSTREAM_S3", url)
    for _ in range(2):
        found = findings(runstream)["object store"]
        assert "no such bucket" in found["found"]
        assert "RUNSTREAM_S3" in found["remedy"]


def test_dead_letters_that_wait_are_told_and_handled_ones_are_not(runstream: Runstream, filled: str) -> None:
    with closing(connect(filled)) as client:
        names = ["topic", "partition", "offset", "reason", "error", "bytes", "ts_us", "status", "handled_us"]
        client.insert("dead_letters", [["t", 0, 1, "invalid", "", 1, 1, "", 0]], column_names=names)
        assert "dlq" in findings(runstream)["dead letters"]["remedy"]
        client.insert("dead_letters", [["t", 0, 1, "invalid", "", 1, 1, "dropped", 5]], column_names=names)
    assert findings(runstream, code=0)["dead letters"]["ok"]


def test_refused_messages_are_told(runstream: Runstream, filled: str, tmp_path: Path) -> None:
    (tmp_path / "data" / "refused").mkdir(parents=True)
    (tmp_path / "data" / "refused" / "one").write_bytes(b"x")
    assert not findings(runstream)["refused messages"]["ok"]


@pytest.mark.real
def test_topics_that_forget_are_named_with_the_line_that_mends_them(
    runstream: Runstream, filled: str, cluster: str, kafka: Any
) -> None:
    send(kafka.bootstrap, f"{cluster}.metrics", [b"x"])
    runs = json.loads(runstream("doctor", "--json", code=1).stdout)["findings"]
    control = [one for one in runs if one["subject"] == f"topic {cluster}.control"]
    assert {one["remedy"].rpartition(" ")[2] for one in control} >= {
        "message.timestamp.type=LogAppendTime",
        "retention.ms=-1",
    }
    assert all(one["remedy"] for one in runs if not one["ok"])
    assert {"Kafka", "offsets retention", "clocks of Kafka"} <= {one["subject"] for one in runs if one["ok"]}


@pytest.mark.real
def test_topics_that_the_library_makes_need_no_mending(
    runstream: Runstream, filled: str, cluster: str, kafka: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from runstream.kafka_options import KafkaOptions
    from runstream.kafka_topics import create_missing_topics

    prefix = f"{cluster}.own"
    made = asyncio.run(create_missing_topics(prefix, KafkaOptions(kafka.bootstrap, partitions=1)))
    monkeypatch.setenv("RUNSTREAM_TOPIC_PREFIX", prefix)
    try:
        assert findings(runstream, code=0)["topic settings"]["ok"]
    finally:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        for future in admin.delete_topics(made).values():
            future.result()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("cleanup.policy", "compact"),
        ("max.message.bytes", "1048588"),
        ("message.timestamp.type", "CreateTime"),
        ("retention.ms", "604800000"),
        ("retention.bytes", "1"),
    ],
)
def test_each_setting_that_loses_data_is_one_finding(setting: str, value: str) -> None:
    (found,) = topic_findings("t.control", {**GOOD, setting: value}, for_ever=True)
    assert setting in found.remedy
    assert list(topic_findings("t.control", GOOD, for_ever=True)) == []


def test_copies_that_are_too_few_or_behind_are_findings() -> None:
    def partition(replicas: int, isr: int, leader: int = 1) -> dict[str, Any]:
        return {"partition": 0, "leader": leader, "replicas": list(range(replicas)), "isr": list(range(isr))}

    assert list(partition_findings("t", [partition(3, 3)], GOOD, 3)) == []
    assert len(list(partition_findings("t", [partition(3, 2)], GOOD, 3))) == 1
    assert len(list(partition_findings("t", [partition(3, 3)], {}, 3))) == 1
    assert len(list(partition_findings("t", [partition(1, 1)], GOOD, 3))) == 1
    assert list(partition_findings("t", [partition(1, 1)], GOOD, 1)) == []
    assert "leader" in next(partition_findings("t", [partition(3, 0, -1)], GOOD, 3)).found


def test_the_release_of_a_broker_is_told_by_the_requests_it_knows() -> None:
    assert release_of({0, 1, 65, 74, 75, 80, 90}) == "Kafka 4.1 or newer"
    assert release_of({0, 1, 65, 74}) == "Kafka 3.7 or newer"
    assert release_of({0, 1}) == "Kafka before 3.0"


@pytest.mark.parametrize(
    ("code", "acls", "ok", "said"),
    [
        (54, 0, True, "no authorizer"),
        (31, 0, True, "do not show"),
        (0, 3, True, "3 ACLs"),
        (0, 0, False, "super users"),
    ],
)
def test_acls_are_told_as_far_as_the_brokers_show_them(code: int, acls: int, ok: bool, said: str) -> None:
    (found,) = acl_findings(code, acls)
    assert found.ok is ok
    assert said in found.found


@pytest.mark.real
def test_a_real_broker_tells_its_release_and_its_rights(
    runstream: Runstream, filled: str, cluster: str, kafka: Any
) -> None:
    send(kafka.bootstrap, f"{cluster}.metrics", [b"x"])
    found = findings(runstream)
    assert "or newer" in found["Kafka"]["found"]
    assert found["rights on Kafka"]["ok"]
