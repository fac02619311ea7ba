from __future__ import annotations

import pytest

from cli.delivered import frames, send
from cli.stack import Stack
from ingest.ingest_samples import RUN

pytestmark = pytest.mark.clickhouse


def test_points_that_vanished_come_back_and_stay_single(stack: Stack) -> None:
    stack.deliver(*frames(0, 10, 20), announced=30)
    stack.sql("ALTER TABLE points DELETE WHERE src_offset = 1")
    stack.verify(code=1)
    dry = stack.json("replay", RUN, "--dry-run")
    assert (dry["messages"], dry["points"], dry["covered_rows"]) == (5, 60, 32)
    assert stack.json("replay", RUN)["written_points"] == 0
    done = stack.json("replay", RUN, "--force")
    assert (done["written_points"], done["covered_rows"]) == (60, 0)
    stack.verify("--deep")
    assert stack.sql("SELECT count() FROM v_points") == [(60,)]


def test_a_database_that_forgot_a_run_gets_it_back_without_force(stack: Stack) -> None:
    stack.deliver(*frames(0, 10), announced=20)
    for table in ("points", "coverage", "runs", "liveness", "metric_summary", "run_summary", "curve", "writers"):
        stack.sql(f"TRUNCATE TABLE {table}")
    send(stack.bootstrap, stack.prefix, frames(20))
    done = stack.json("replay", "--all", "--rate", "100000")
    assert (done["messages"], done["written_points"], done["not_ingested"]) == (4, 40, 1)
    assert stack.verify("--deep")["on_the_way_messages"] == 1


def test_offsets_and_partitions_narrow_it_down(stack: Stack) -> None:
    stack.deliver(*frames(0, 10, 20), announced=30)
    one = stack.json("replay", "-t", "metrics", "--offsets", "1..1", "--dry-run")
    assert (one["messages"], one["points"]) == (1, 20)
    assert stack.json("replay", "--all", "--partition", "0", "--dry-run")["messages"] == 0


@pytest.mark.real
def test_times_narrow_it_down(stack: Stack) -> None:
    stack.deliver(*frames(0, 10, 20), announced=30)
    assert stack.json("replay", "--since", "1h", "--dry-run")["messages"] == 5
    assert stack.json("replay", "--until", "1h", "--dry-run")["messages"] == 0


def test_a_choice_that_can_hold_no_message_is_told(stack: Stack) -> None:
    stack.deliver(*frames(0), announced=10)
    assert "no partition 99" in stack.runstream("replay", "--partition", "99", code=1).stderr
    assert "later than" in stack.runstream("replay", "--since", "1h", "--until", "2h", code=2).stderr
    assert "A not above B" in stack.runstream("replay", "--offsets", "5..3", code=2).stderr


def test_a_replay_of_nothing_in_particular_is_refused(stack: Stack) -> None:
    assert "--all" in stack.runstream("replay", code=2).stderr
    assert "A..B" in stack.runstream("replay", "--offsets", "x", code=2).stderr
