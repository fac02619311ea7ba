from __future__ import annotations

from datetime import UTC, datetime

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries

from .conftest import START_US, Pen, uuid7, version

pytestmark = pytest.mark.clickhouse


def cover(pen: Pen, run_id: str, *stretches: tuple[int, int], stream: str = "metrics", writer: int = 1) -> None:
    for start, end in stretches:
        pen.covered(run_id, start, end, stream=stream, writer=writer)


def announce(pen: Pen, run_id: str, rows: int, *, ended: bool, writer: int = 1) -> None:
    terminal = (version(START_US + 9), "finished", 0, "", rows) if ended else (0, "", 0, "", -1)
    pen.insert(
        "liveness",
        project=pen.project,
        run_id=run_id,
        writer=writer,
        attempt=0,
        last_us=START_US + 9,
        metric_seq=rows,
        terminal=terminal,
    )


def missing(client: Client, pen: Pen) -> list[tuple[str, int, int]]:
    return [(gap.stream, gap.first, gap.last) for gap in queries.gaps(client, pen.project)]


def test_a_run_whose_rows_are_all_there_has_no_gap(client: Client, pen: Pen) -> None:
    run = pen.run(1)
    cover(pen, run, (0, 5), (5, 9), (0, 9))
    cover(pen, run, (0, 3), stream="control")
    announce(pen, run, 9, ended=True)
    assert queries.gaps(client, pen.project) == []


def test_gaps_lie_before_between_and_behind_the_stretches(client: Client, pen: Pen) -> None:
    run = pen.run(1)
    cover(pen, run, (2, 5), (7, 9), (8, 12))
    cover(pen, run, (0, 1), (2, 3), stream="control")
    announce(pen, run, 20, ended=True)
    assert missing(client, pen) == [("control", 1, 1), ("metrics", 0, 1), ("metrics", 5, 6), ("metrics", 12, 19)]
    assert [gap.rows for gap in queries.gaps(client, pen.project, [run])] == [1, 2, 2, 8]


def test_rows_that_a_living_writer_announced_are_on_their_way_and_holes_are_not(client: Client, pen: Pen) -> None:
    run = pen.run(1)
    cover(pen, run, (0, 4), (6, 8))
    announce(pen, run, 10, ended=False)
    assert [(gap.first, gap.on_its_way) for gap in queries.gaps(client, pen.project)] == [(4, False), (8, True)]


def test_a_writer_of_which_nothing_arrived_misses_all_that_it_announced(client: Client, pen: Pen) -> None:
    run = pen.run(1)
    announce(pen, run, 4, ended=True, writer=77)
    assert [(gap.writer, gap.first, gap.last) for gap in queries.gaps(client, pen.project)] == [(77, 0, 3)]


def test_gaps_of_other_and_deleted_runs_are_left_out(client: Client, pen: Pen) -> None:
    for number in (1, 2, 3):
        announce(pen, pen.run(number), 4, ended=True)
    pen.attribute(uuid7(2), "deleted")
    assert [gap.run_id for gap in queries.gaps(client, pen.project)] == [uuid7(3), uuid7(1)]
    assert [gap.run_id for gap in queries.gaps(client, pen.project, [uuid7(1), uuid7(2)])] == [uuid7(1)]


def test_an_empty_database_has_no_pipeline_to_speak_of(client: Client) -> None:
    found = queries.pipeline(client)
    assert (found.topics, found.newest_at, found.dead, found.latest) == ((), None, (), ())


def test_the_pipeline_tells_how_far_ingest_has_come_in_the_newest_making_of_a_topic(client: Client, pen: Pen) -> None:
    for generation, partition, end, newest_ms in (
        (0, 0, 900, 5_000),
        (1, 0, 10, 7_000),
        (1, 0, 12, 9_000),
        (1, 1, 3, 8_000),
    ):
        pen.insert(
            "ingest_marks",
            topic="runstream.metrics",
            generation=generation,
            partition=partition,
            end=end,
            newest_ms=newest_ms,
        )
    (topic,) = queries.pipeline(client).topics
    assert (topic.topic, topic.partitions, topic.messages) == ("runstream.metrics", 2, 15)
    assert topic.newest_at == datetime.fromtimestamp(9, UTC)


def test_dead_letters_are_counted_by_reason_and_those_dealt_with_apart(client: Client, pen: Pen) -> None:
    for offset, reason, status, handled_us in (
        (1, "schema", "", 0),
        (2, "schema", "", 0),
        (2, "schema", "replayed", 5),
        (3, "value", "", 0),
    ):
        pen.insert(
            "dead_letters",
            topic="runstream.control",
            partition=0,
            offset=offset,
            reason=reason,
            error="no such schema",
            bytes=70,
            ts_us=START_US + offset,
            status=status,
            handled_us=handled_us,
        )
    found = queries.pipeline(client, letters=1)
    assert [(entry.reason, entry.waiting, entry.handled) for entry in found.dead] == [("schema", 1, 1), ("value", 1, 0)]
    assert [(entry.offset, entry.error) for entry in found.latest] == [(3, "no such schema")]
