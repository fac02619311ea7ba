from __future__ import annotations

import pytest

from cli.delivered import frames
from cli.stack import Stack
from ingest.ingest_samples import RUN

pytestmark = pytest.mark.clickhouse


def test_rollups_that_their_points_do_not_bear_out_are_listed_and_computed_again(stack: Stack) -> None:
    stack.deliver(*frames(0, 10), announced=20)
    assert stack.json("rebuild", "--all", "--dry-run")["different"] == 0
    stack.sql("ALTER TABLE points UPDATE value = 1000 WHERE step = 19 AND metric = 'loss'")
    found = stack.json("rebuild", RUN, "--dry-run", code=1)
    assert (found["runs"], {one["kind"] for one in found["problems"]}) == (1, {"wrong summary", "wrong curve"})
    assert stack.json("rebuild", "--project", "demo")["runs"] == 1
    assert stack.json("rebuild", "--all", "--dry-run")["different"] == 0
    assert stack.sql("SELECT max FROM v_summary WHERE metric = 'loss'") == [(1000.0,)]


def test_a_rebuild_of_nothing_in_particular_is_refused(stack: Stack) -> None:
    assert "--all" in stack.runstream("rebuild", code=2).stderr


def test_a_rebuild_of_a_project_that_is_not_there_is_told(stack: Stack) -> None:
    for more in ((), ("--dry-run",)):
        assert "nothing of project 'dmeo'" in stack.runstream("rebuild", "--project", "dmeo", *more, code=1).stderr
