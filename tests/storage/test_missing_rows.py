"""v_gaps, and states of runs by what was ingested."""

import time
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries

pytestmark = pytest.mark.clickhouse
GAPS = "SELECT writer, stream, first_seq, last_seq, rows, known_by FROM v_gaps ORDER BY writer, stream, first_seq"
MINUTE_US = 60_000_000


def gaps(client: Client) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(GAPS).result_rows]


def announce(pen: Any, run_id: str, rows: int, *, at_us: int, ended: bool = False, writer: int = 1) -> None:
    pen.insert(
        "liveness",
        project=pen.project,
        run_id=run_id,
        writer=writer,
        attempt=0,
        last_us=at_us,
        metric_seq=rows,
        terminal=(1, "killed", -9, "", rows) if ended else (0, "", 0, "", -1),
    )


def mark(pen: Any, topic: str, at_us: int) -> None:
    pen.insert("ingest_marks", topic=f"runstream.{topic}", generation=1, partition=0, end=10, newest_ms=at_us // 1000)


def test_holes_are_known_by_the_rows_behind_them_and_tails_by_what_was_announced(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    for start, end in ((2, 5), (3, 6), (8, 10)):
        pen.covered(run_id, start, end)
    pen.covered(run_id, 1, 4, stream="control")
    announce(pen, run_id, 13, at_us=pen.start_us, ended=True)
    announce(pen, run_id, 4, at_us=pen.start_us, writer=2)
    assert gaps(client) == [
        (1, "control", 0, 0, 1, "sequence"),
        (1, "metrics", 0, 1, 2, "sequence"),
        (1, "metrics", 6, 7, 2, "sequence"),
        (1, "metrics", 10, 12, 3, "finished"),
        (2, "metrics", 0, 3, 4, "heartbeat"),
    ]


def test_a_gap_closes_when_the_rows_come(client: Client, pen: Any) -> None:
    run_id = pen.run(0)
    pen.covered(run_id, 0, 2)
    pen.covered(run_id, 5, 9)
    announce(pen, run_id, 9, at_us=pen.start_us, ended=True)
    assert gaps(client) == [(1, "metrics", 2, 4, 3, "sequence")]
    pen.covered(run_id, 2, 5)
    assert gaps(client) == []


def test_what_was_just_announced_is_on_its_way(client: Client, pen: Any) -> None:
    now_us = time.time_ns() // 1000
    run_id = pen.run(0)
    pen.covered(run_id, 0, 2)
    announce(pen, run_id, 9, at_us=now_us, ended=True)
    mark(pen, "metrics", now_us - MINUTE_US)
    assert gaps(client) == []
    assert [gap.on_its_way for gap in queries.gaps(client, "vision")] == [True]
    mark(pen, "metrics", now_us + 2 * MINUTE_US)
    assert gaps(client) == [(1, "metrics", 2, 8, 7, "finished")]
    assert [gap.on_its_way for gap in queries.gaps(client, "vision")] == [False]


def test_a_backlog_and_a_clock_that_is_ahead_make_no_run_look_lost(client: Client, pen: Any) -> None:
    now_us = time.time_ns() // 1000
    backlog_us = now_us - 60 * MINUTE_US
    pen.run(0, alive_us=backlog_us)
    pen.run(1, alive_us=backlog_us - 5 * MINUTE_US)
    pen.run(2, alive_us=backlog_us + 30 * MINUTE_US)  # its clock is ahead
    mark(pen, "control", backlog_us)
    states = {row.name: row.state for row in queries.runs(client, ["vision"]).rows}
    assert states == {"run-0": "running", "run-1": "stale", "run-2": "running"}


def test_a_host_whose_clock_is_off_looks_neither_lost_nor_alive_for_it(client: Client, pen: Any) -> None:
    now_us = time.time_ns() // 1000
    hosts = {"run-0": (-60, 0), "run-1": (60, 0), "run-2": (60, -5), "run-3": (0, -30)}
    for number, (clock, arrived) in enumerate(hosts.values()):
        pen.insert(
            "liveness",
            project=pen.project,
            run_id=pen.run(number, alive_us=now_us - 90 * MINUTE_US),
            writer=1,
            attempt=0,
            last_us=now_us + clock * MINUTE_US,
            arrived_us=now_us + arrived * MINUTE_US,
            metric_seq=0,
            terminal=(0, "", 0, "", -1),
        )
    mark(pen, "control", now_us)
    expected = {"run-0": "running", "run-1": "running", "run-2": "stale", "run-3": "lost"}
    assert {row.name: row.state for row in queries.runs(client, ["vision"]).rows} == expected
    assert dict(client.query("SELECT run_name, state FROM v_runs").result_rows) == expected


def test_the_state_is_that_of_the_newest_attempt_with_its_exit_code(client: Client, pen: Any) -> None:
    run_id = pen.run(0, ended="failed", ended_us=pen.start_us + 1)
    pen.alive(run_id, at_us=pen.start_us + 2, writer=2, attempt=1)
    pen.alive(run_id, at_us=pen.start_us + 3, writer=3, attempt=1)
    header = queries.run(client, "vision", run_id)
    assert header is not None
    assert (header.run.state, header.attempts, header.exit_code) == ("running", 2, 0)
    pen.end(run_id, "finished", at_us=pen.start_us + 4, writer=2, attempt=1)
    pen.end(run_id, "killed", at_us=pen.start_us + 5, writer=3, attempt=1, exit_code=-9, reason="SIGKILL")
    header = queries.run(client, "vision", run_id)
    assert header is not None
    assert (header.run.state, header.exit_code, header.reason) == ("killed", -9, "SIGKILL")
