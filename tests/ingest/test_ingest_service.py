"""The service as its users run it: processes, a broker, a database."""

from __future__ import annotations

import json
import signal
import time
import uuid
from typing import Any

import pytest
from ingest_samples import control, frame, new_run_id
from ingest_worker import WorkerProcess, committed, letters_in, rows_of, send, until

from runstream_storage.migrate import migrate

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]


def frames(run_id: str, count: int, *, first: int = 0, rows: int = 50) -> list[bytes]:
    """Frames of one writer, from frame number `first`."""
    return [frame(rows=rows, run_id=run_id, first_seq=i * rows) for i in range(first, first + count)]


def test_all_that_is_in_the_topics_becomes_rows_and_what_cannot_is_kept(
    kafka: Any, database: str, topic_prefix: str
) -> None:
    run_id, metrics, controls = new_run_id(), f"{topic_prefix}.metrics", f"{topic_prefix}.control"
    large = frame(rows=1, run_id=run_id, metrics=["x"], first_seq=10**6) + bytes(9_000_000)
    bad = [b"", b"garbage", frame()[:-5], b"\xc3\x01" + bytes(80), large]
    send(kafka.bootstrap, metrics, [*frames(run_id, 2), *bad, *frames(run_id, 2, first=2)])
    send(kafka.bootstrap, controls, [control("RunStarted", run_id=run_id, name="r", created_us=1)], partition=1)
    with rows_of(database) as rows, WorkerProcess(kafka.bootstrap, database, topic_prefix) as worker:
        rows.until("v_points", 400)
        rows.until("v_runs", 1)
        rows.until("dead_letters", len(bad))
        until(lambda: worker.probe("/readyz")[0] == 200, lambda: worker.probe("/readyz"))
        assert worker.probe("/healthz")[0] == 200
        assert worker.metric("runstream_ingest_points_total") == 400
        assert worker.metric("runstream_ingest_dead_letters_total") == len(bad)
        until(lambda: worker.metric("runstream_ingest_lag_messages") == 0, lambda: worker.probe("/metrics"))
        assert worker.stop() == 0
        reasons = rows.client.query("SELECT reason, offset, bytes FROM dead_letters ORDER BY offset").result_rows
    expected = ["empty", "not_an_event", "truncated", "unknown_schema", "oversized"]
    assert reasons == [(reason, 2 + i, len(bad[i])) for i, reason in enumerate(expected)]
    letters = sorted(letters_in(kafka.bootstrap, metrics), key=lambda one: int(one[1]["runstream_source_offset"]))
    assert [value for value, _ in letters] == bad
    headers = letters[1][1]
    assert headers["runstream_source_topic"] == metrics.encode()
    assert headers["runstream_source_partition"] == b"0"
    assert headers["runstream_reason"] == b"not_an_event"
    assert {"runstream_error", "runstream_source_timestamp_ms", "runstream_release"} <= set(headers)
    assert committed(kafka.bootstrap, topic_prefix, metrics) == 4 + len(bad)
    assert all(set(line) >= {"event", "level", "timestamp"} for line in worker.lines)
    assert "password" not in json.dumps(worker.lines)


@pytest.mark.real  # a group of the stand-in broker now and then lets nobody join after a member left
def test_sigterm_writes_what_was_read_and_the_next_worker_reads_nothing_again(
    kafka: Any, database: str, topic_prefix: str
) -> None:
    run_id, topic = new_run_id(), f"{topic_prefix}.metrics"
    send(kafka.bootstrap, topic, frames(run_id, 20))
    with WorkerProcess(kafka.bootstrap, database, topic_prefix, batch_age_s=30) as worker:
        until(lambda: worker.metric("runstream_ingest_messages_total") == 20, lambda: worker.last_lines)
        assert worker.stop() == 0
    assert committed(kafka.bootstrap, topic_prefix, topic) == 20
    with rows_of(database) as rows:
        assert rows.count("points") == 2000
        send(kafka.bootstrap, topic, frames(run_id, 1, first=20))
        with WorkerProcess(kafka.bootstrap, database, topic_prefix) as worker:
            rows.until("points", 2100)
            assert worker.metric("runstream_ingest_messages_total") == 1


@pytest.mark.real  # the stand-in broker lets nobody join while it waits for a member that was killed
def test_killed_again_and_again_it_loses_and_doubles_nothing(kafka: Any, database: str, topic_prefix: str) -> None:
    run_id, topic = new_run_id(), f"{topic_prefix}.metrics"
    with rows_of(database) as rows:
        for i in range(3):
            send(kafka.bootstrap, topic, frames(run_id, 40, first=40 * i), partition=i % 2)
            with WorkerProcess(kafka.bootstrap, database, topic_prefix, batch_rows=1, instance="one") as worker:
                until(lambda i=i: rows.count("points") > 100 * 40 * i, lambda: worker.last_lines)  # type: ignore[misc]
                worker.process.kill()
        with WorkerProcess(kafka.bootstrap, database, topic_prefix, instance="one"):
            rows.until("v_points", 12_000)
        found = rows.client.query("SELECT sum(n), min(min), max(max) FROM v_summary").result_rows
        assert found == [(12_000, 0.0, 5999.01)]


@pytest.mark.real  # a group of the stand-in broker now and then lets nobody join after a member left
def test_two_workers_share_the_work_and_hand_it_over(kafka: Any, database: str, topic_prefix: str) -> None:
    runs, topic = [new_run_id(), new_run_id()], f"{topic_prefix}.metrics"

    def more(first: int) -> None:
        for partition, run_id in enumerate(runs):
            send(kafka.bootstrap, topic, frames(run_id, 20, first=first), partition=partition)

    def worker() -> WorkerProcess:
        return WorkerProcess(kafka.bootstrap, database, topic_prefix, session_timeout_s=6)

    more(0)
    with rows_of(database) as rows, worker() as first:
        rows.until("v_points", 4000)
        with worker() as second:
            second.until_logged("partitions assigned")
            first.until_logged("partitions assigned", 2)
            more(20)
            rows.until("v_points", 8000)
            assert first.stop() == 0
            second.until_logged("partitions assigned", 2)
            more(40)
            rows.until("v_points", 12_000)
            assert second.stop() == 0
        assert rows.count("points") == 12_000


def test_too_many_dead_letters_stop_consumption_and_keep_the_rest(kafka: Any, database: str, topic_prefix: str) -> None:
    run_id, topic = new_run_id(), f"{topic_prefix}.metrics"
    send(kafka.bootstrap, topic, frames(run_id, 3))
    settings = {"dead_letter_max_consecutive": 5}
    with rows_of(database) as rows, WorkerProcess(kafka.bootstrap, database, topic_prefix, **settings) as worker:
        rows.until("v_points", 300)
        send(kafka.bootstrap, topic, [b"bad"] * 50)
        worker.until_logged("consumption stopped")
        status, text = worker.probe("/readyz")
        assert status == 503
        assert "RUNSTREAM_INGEST_DEAD_LETTER_MAX_CONSECUTIVE" in text
        assert worker.probe("/healthz")[0] == 200
        assert worker.metric("runstream_ingest_stopped") == 1
        assert worker.stop() == 0
        assert rows.count("dead_letters") <= 5
    assert len(letters_in(kafka.bootstrap, topic)) <= 5
    assert committed(kafka.bootstrap, topic_prefix, topic) <= 8


@pytest.mark.real
def test_while_clickhouse_is_down_kafka_keeps_everything(
    kafka: Any, private_clickhouse: Any, topic_prefix: str
) -> None:
    database = f"{private_clickhouse.url}/t{uuid.uuid4().hex[:8]}"
    migrate(database)
    run_id, topic = new_run_id(), f"{topic_prefix}.metrics"
    with WorkerProcess(kafka.bootstrap, database, topic_prefix, buffer_bytes=1, batch_rows=1000) as worker:
        send(kafka.bootstrap, topic, frames(run_id, 10))
        with rows_of(database) as rows:
            rows.until("v_points", 1000)
        private_clickhouse.kill()
        for i in range(1, 11):
            send(kafka.bootstrap, topic, frames(run_id, 10, first=10 * i))
            time.sleep(0.2)  # so that they are read as several chunks
        until(lambda: worker.probe("/readyz")[0] == 503, lambda: worker.last_lines)
        worker.until_logged("paused by back-pressure")
        assert worker.probe("/healthz")[0] == 200
        assert worker.metric("runstream_ingest_paused") == 1
        private_clickhouse.restart()
        with rows_of(database) as rows:
            rows.until("v_points", 11_000)
        until(lambda: worker.probe("/readyz")[0] == 200, lambda: worker.probe("/readyz"))
        assert worker.stop() == 0
    assert committed(kafka.bootstrap, topic_prefix, topic) == 110


def test_a_second_signal_ends_it_at_once(kafka: Any, database: str, topic_prefix: str) -> None:
    send(kafka.bootstrap, f"{topic_prefix}.metrics", frames(new_run_id(), 1))
    settings = {"batch_rows": 1, "drain_s": 100, "faults": "before_insert.points=sleep:600"}
    with WorkerProcess(kafka.bootstrap, database, topic_prefix, **settings) as worker:
        worker.until_logged("fault")
        worker.process.send_signal(signal.SIGTERM)
        worker.until_logged("stopping")
        assert worker.process.poll() is None
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(10) == 128 + signal.SIGTERM


def test_without_a_broker_it_waits_and_still_leaves_when_told(database: str) -> None:
    with WorkerProcess("127.0.0.1:1", database, "nothing") as worker:
        worker.until_logged("kafka is away")
        assert worker.probe("/readyz")[0] == 503
        assert worker.probe("/healthz")[0] == 200
        assert worker.stop() == 0
