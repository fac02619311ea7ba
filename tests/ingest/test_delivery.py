"""What a worker does when something is taken from it in the middle: with a real broker, a real database, processes.

Rows are counted in the tables themselves, before any merge takes doubles away: merges are stopped.
"""

from __future__ import annotations

import signal
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from ingest_samples import frame, new_run_id
from ingest_worker import Rows, WorkerProcess, committed, rows_of, send, until

from runstream_storage.migrate import migrate
from services.kafka import wait_for_leaders

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.real]
KEPT = ("points", "metric_summary", "run_summary", "curve", "coverage", "ingest_marks")


def frames(run_id: str, count: int, *, first: int = 0) -> list[bytes]:
    """Frames of 50 rows with 2 metrics, from frame number `first`."""
    return [frame(rows=50, run_id=run_id, first_seq=i * 50) for i in range(first, first + count)]


class Place:
    """A broker's topics and a database in which nothing merges."""

    def __init__(self, bootstrap: str, database: str, prefix: str, rows: Rows) -> None:
        self.bootstrap, self.database, self.prefix, self.rows = bootstrap, database, prefix, rows
        self.topic = f"{prefix}.metrics"
        self.stop_merges()

    def stop_merges(self) -> None:
        self.rows.client.command("SYSTEM STOP MERGES points")

    def worker(self, **settings: Any) -> WorkerProcess:
        return WorkerProcess(self.bootstrap, self.database, self.prefix, **{"session_timeout_s": 6, **settings})

    def send(self, values: list[bytes], partition: int = 0) -> None:
        send(self.bootstrap, self.topic, values, partition=partition)

    def until_points(self, count: int) -> None:
        """`count` distinct points in the view, and as many rows in the table."""
        self.rows.until("v_points", count)
        assert self.rows.count("points") == count, "rows are there twice"

    def until_committed(self, count: int) -> None:
        until(lambda: committed(self.bootstrap, self.prefix, self.topic) == count, lambda: f"{count} committed")

    def stretches(self, run_id: str) -> list[tuple[int, int]]:
        question = "SELECT start, max(end) FROM coverage WHERE run_id = {run:UUID} GROUP BY start ORDER BY start"
        return [tuple(row) for row in self.rows.client.query(question, parameters={"run": run_id}).result_rows]


@pytest.fixture
def place(kafka: Any, database: str, topic_prefix: str) -> Any:
    with rows_of(database) as rows:
        yield Place(kafka.bootstrap, database, topic_prefix, rows)


@pytest.mark.parametrize("point", ["after_intent", "after_insert.points", "after_insert.coverage", "before_commit"])
def test_a_batch_that_was_interrupted_is_done_again_as_it_was(place: Place, point: str) -> None:
    run_id = new_run_id()
    place.send(frames(run_id, 10))
    with place.worker(faults=f"{point}=kill", instance="one") as worker:
        assert worker.process.wait(60) == -signal.SIGKILL
    place.send(frames(run_id, 10, first=10))
    with place.worker(instance="one") as worker:
        place.until_points(2000)
        assert worker.metric("runstream_ingest_recoveries_total") == 1
        place.until_committed(20)
        assert worker.stop() == 0
    assert place.stretches(run_id) == [(0, 1000)]


def test_two_owners_of_an_interrupted_batch_both_do_it_and_it_is_there_once(place: Place) -> None:
    runs = [new_run_id(), new_run_id()]
    for partition, run_id in enumerate(runs):
        place.send(frames(run_id, 10), partition)
    with place.worker(faults="after_insert.points=kill", batch_age_s=2, batch_rows=10**9) as worker:
        assert worker.process.wait(60) == -signal.SIGKILL
    assert place.rows.count("points") == 2000, "one batch held both partitions"
    with place.worker() as first, place.worker() as second:
        until(
            lambda: len(first.logged("partitions assigned")) > 0 < len(second.logged("partitions assigned")), lambda: 0
        )
        for partition, run_id in enumerate(runs):
            place.send(frames(run_id, 5, first=10), partition)
        place.until_points(3000)
        place.until_committed(30)


def test_a_worker_that_slept_too_long_adds_nothing(place: Place) -> None:
    run_id = new_run_id()
    place.send(frames(run_id, 10))
    with place.worker(faults="before_insert.points=stop@1") as zombie:
        zombie.until_logged("fault")
        with place.worker():
            place.until_points(1000)
            zombie.process.send_signal(signal.SIGCONT)
            place.send(frames(run_id, 10, first=10))
            place.until_points(2000)
            zombie.until_logged("partitions assigned", 2)
            place.until_points(2000)
            place.until_committed(20)
        assert zombie.process.poll() is None


def test_replays_with_new_offsets_are_dropped_also_after_a_restart(place: Place) -> None:
    run_id = new_run_id()
    place.send(frames(run_id, 10))
    with place.worker(instance="one") as worker:
        place.until_points(1000)
        place.send(frames(run_id, 10))
        place.until_committed(20)
        assert worker.metric("runstream_ingest_gate_dropped_rows_total") == 500
        assert worker.stop() == 0
    # Cut in another way, and with something new behind.
    place.send([frame(rows=600, run_id=run_id)])
    with place.worker(instance="one") as worker:
        place.until_points(1200)
        assert worker.metric("runstream_ingest_gate_dropped_rows_total") == 500


def test_a_gap_is_seen_until_the_rows_come_late(place: Place) -> None:
    run_id = new_run_id()
    place.send([*frames(run_id, 2), *frames(run_id, 2, first=4)])
    with place.worker() as worker:
        place.until_points(400)
        until(lambda: place.stretches(run_id) == [(0, 100), (200, 300)], lambda: place.stretches(run_id))
        assert worker.metric("runstream_ingest_gap_rows_total") == 100
        place.send(frames(run_id, 2, first=2))
        place.until_points(600)
        until(lambda: (0, 300) in place.stretches(run_id), lambda: place.stretches(run_id))
        assert worker.metric("runstream_ingest_late_rows_total") == 100


def test_a_database_that_was_emptied_under_a_worker_is_filled_again(place: Place) -> None:
    run_id = new_run_id()
    place.send(frames(run_id, 10))
    with place.worker() as worker:
        place.until_points(1000)
        place.until_committed(10)
        for table in KEPT:
            place.rows.client.command(f"TRUNCATE TABLE {table}")
        place.until_points(1000)
        assert worker.metric("runstream_ingest_lost_marks_total") == 1
        place.send(frames(run_id, 10, first=10))
        place.until_points(2000)


def test_a_new_database_gets_everything_that_kafka_still_has(place: Place) -> None:
    run_id = new_run_id()
    place.send(frames(run_id, 10))
    with place.worker(instance="one") as worker:
        place.until_points(1000)
        assert worker.stop() == 0
    name = place.database.rsplit("/", 1)[1]
    place.rows.client.command(f"DROP DATABASE {name} SYNC")
    migrate(place.database)
    place.stop_merges()
    place.send(frames(run_id, 2, first=10))
    with place.worker(instance="one"):
        place.until_points(1200)


def test_a_database_restored_from_a_backup_is_read_up_to_date(place: Place) -> None:
    run_id = new_run_id()
    client = place.rows.client
    place.send(frames(run_id, 5))
    with place.worker(instance="one") as worker:
        place.until_points(500)
        place.until_committed(5)
        for table in KEPT:
            client.command(f"CREATE TABLE {table}_backup AS {table}")
            client.command(f"INSERT INTO {table}_backup SELECT * FROM {table}")
        place.send(frames(run_id, 5, first=5))
        place.until_points(1000)
        place.until_committed(10)
        for table in KEPT:
            client.command(f"EXCHANGE TABLES {table} AND {table}_backup")
        place.stop_merges()
        place.until_points(1000)
        assert worker.metric("runstream_ingest_lost_marks_total") == 1
        # All that was there in the backup was read from it, not from Kafka.
        assert worker.metric("runstream_ingest_points_total") == 1500


def test_a_topic_that_was_made_anew_is_read_from_its_begin(place: Place) -> None:
    run_id = new_run_id()
    place.send(frames(run_id, 10))
    with place.worker(instance="one") as worker:
        place.until_points(1000)
        assert worker.stop() == 0
    admin = AdminClient({"bootstrap.servers": place.bootstrap, "log_level": 2})
    admin.delete_topics([place.topic], request_timeout=20)[place.topic].result()
    until(lambda: place.topic not in admin.list_topics(timeout=20).topics, lambda: place.topic)
    admin.create_topics([NewTopic(place.topic, 2, 1)])[place.topic].result()
    wait_for_leaders(admin, place.topic)
    place.send(frames(run_id, 12))  # as many again, and two more
    with place.worker(instance="one"):
        place.until_points(1200)
        place.until_committed(12)
        question = f"SELECT generation, max(end) FROM ingest_marks WHERE topic = '{place.topic}' AND partition = 0"
        rows = place.rows.client.query(f"{question} GROUP BY generation ORDER BY generation").result_rows
        assert rows == [(0, 10), (1, 12)]
