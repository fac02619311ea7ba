from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from cli.delivered import frames, send
from cli.stack import Stack
from ingest.ingest_samples import NOW_US, RUN, frame

pytestmark = pytest.mark.clickhouse


def test_a_run_that_arrived_whole_passes_every_look(stack: Stack) -> None:
    again = frame(10, first_seq=30, steps=list(range(10)), times_us=[NOW_US + 50_000 + i for i in range(10)])
    stack.deliver(*frames(0, 10, 20), again, announced=40)
    quick = stack.verify()
    assert (quick["messages"], quick["points"]) == (6, 80)
    deep = stack.verify(RUN, "--deep")
    assert (deep["compared"], deep["superseded"], deep["runs"]) == (60, 20, 1)
    shown = stack.runstream("verify", "baseline").stdout
    assert "Nothing is missing" in shown
    assert "Spools on other hosts" in shown


def test_points_that_vanished_are_found_with_their_message(stack: Stack) -> None:
    stack.deliver(*frames(0, 10, 20), announced=30)
    stack.sql("ALTER TABLE points DELETE WHERE src_offset = 1 AND metric = 'loss' AND step < 13")
    (problem,) = stack.verify(code=1)["problems"]
    assert (problem["kind"], problem["rows"]) == ("missing points", 3)
    assert (problem["run_id"], problem["first"], problem["last"]) == (RUN, 10, 19)
    assert problem["source"] == f"{stack.prefix}.metrics/1@1"


def test_other_values_and_wrong_rollups_are_found_by_a_deep_look(stack: Stack) -> None:
    stack.deliver(*frames(0, 10, 20), announced=30)
    stack.sql("ALTER TABLE points UPDATE value = 1000 WHERE step = 29 AND metric = 'loss'")
    stack.verify()
    found = stack.verify("--deep", code=1)
    assert found["counts"]["different points"] == 1
    assert {"wrong summary", "wrong curve"} <= set(found["counts"])
    shown = stack.runstream("verify", "--deep", code=1).stdout
    assert f"{stack.prefix}.metrics/1@2" in shown
    assert f"→ different points: somebody changed the table: `runstream replay {RUN} --force`" in shown
    stack.runstream("replay", RUN, "--force")
    stack.verify("--deep")


def test_a_hole_in_the_sequence_is_a_gap_and_what_waits_in_kafka_is_on_its_way(stack: Stack) -> None:
    stack.deliver(*frames(0, 20), announced=35)
    (first, last) = sorted(stack.verify(code=1)["problems"], key=lambda one: one["first"])
    assert (first["kind"], first["first"], first["last"]) == ("gap", 10, 19)
    assert (last["kind"], last["first"], last["last"]) == ("gap", 30, 34)
    send(stack.bootstrap, stack.prefix, [*frames(10), frame(5, first_seq=30)])
    waiting = stack.verify()
    assert (waiting["on_the_way_rows"], waiting["on_the_way_messages"]) == (15, 2)
    stack.bring()
    assert stack.verify()["on_the_way_rows"] == 0


def test_a_dead_letter_is_a_problem_until_it_is_dropped(stack: Stack) -> None:
    stack.deliver(*frames(0), b"junk", announced=10)
    (problem,) = stack.verify(code=1)["problems"]
    assert (problem["kind"], problem["source"]) == ("dead letter", f"{stack.prefix}.metrics/1@1")
    stack.runstream("dlq", "drop", "--yes")
    assert stack.verify()["dropped_letters"] == 1


@pytest.mark.real
def test_what_retention_removed_is_said_not_to_be_checked(stack: Stack) -> None:
    stack.deliver(*frames(0, 10), announced=20)
    admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    for future in admin.delete_records([TopicPartition(f"{stack.prefix}.metrics", 1, 1)]).values():
        future.result()
    found = stack.verify("--topic", "metrics")
    assert found["messages"] == 1
    assert any("below 1" in note for note in found["notes"])


def test_a_topic_that_is_not_ours_and_a_run_that_nobody_knows_are_told(stack: Stack) -> None:
    assert "RUNSTREAM_TOPIC_PREFIX" in stack.runstream("verify", "--topic", "other", code=2).stderr
    assert "no run" in stack.runstream("verify", "nobody", code=1).stderr


def test_a_project_or_run_of_which_there_is_nothing_anywhere_is_no_clean_bill(stack: Stack) -> None:
    stack.deliver(*frames(0, 10), announced=20)
    assert "project 'dmeo'" in stack.runstream("verify", "--project", "dmeo", code=1).stderr
    other = RUN.replace(RUN[:2], "ff", 1)
    assert other in stack.runstream("verify", other, code=1).stderr
    assert stack.verify("--project", "demo")["points"] == 40


def test_what_kafka_has_and_the_coverage_forgot_is_no_gap(stack: Stack) -> None:
    stack.deliver(*frames(0, 10, 20), announced=30)
    stack.sql("ALTER TABLE coverage DELETE WHERE stream = 'metrics'")
    assert set(stack.verify(code=1)["counts"]) == {"not in coverage"}
    stack.runstream("replay", RUN)
    stack.verify("--deep")
