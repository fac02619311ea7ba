"""One fault at a time, each for certain: what a random storm may miss."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from storm.processes import Child
from storm.proxy import Proxy
from storm.rig import Rig, rigged
from storm.storm import without_merges

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.real, pytest.mark.timeout(300)]

POINTS = (
    "polled",
    "decoded",
    "gated",
    "before_intent",
    "after_intent",
    "recovering",
    "recovered",
    "before_insert.points",
    "after_insert.points",
    "before_insert.metric_summary",
    "after_insert.metric_summary",
    "before_insert.coverage",
    "after_insert.coverage",
    "before_insert.ingest_marks",
    "after_insert.ingest_marks",
    "before_commit",
)
"""In this order: a recovery follows only upon a death behind the intent."""
ALL_LAYERS = "intents,tokens,gate,marks"
DEADLY = ("after_insert.points", "before_commit", "before_commit")


@pytest.fixture(scope="module")
def filled(kafka: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Topics with a few finished runs in them."""
    with rigged(kafka.bootstrap, tmp_path_factory.mktemp("filled")) as rig:
        rig.start()
        rig.until("600 calls of log()", lambda: rig.rows >= 600)
        rig.finish()
        yield rig


def killed_at(rig: Rig, database: str, group: str, point: str, **settings: Any) -> None:
    """A worker that dies at `point`, as its log tells."""
    worker = rig.worker(database, group, faults=f"{point}=kill", **settings)
    assert worker.wait(60) == -signal.SIGKILL, worker.tail()
    assert reached(worker) == [point]


def reached(worker: Child) -> list[str]:
    return [line["point"] for line in worker.lines() if line.get("event") == "fault"]


def test_a_worker_killed_at_every_point_between_poll_and_commit_leaves_no_row_twice_and_none_out(
    kafka: Any, database: str, tmp_path: Path
) -> None:
    without_merges(database)
    with rigged(kafka.bootstrap, tmp_path) as rig:
        rig.start()
        for point in POINTS:
            killed_at(rig, database, "chain", point)
        rig.finish()
        killed_at(rig, database, "chain", "after_commit")  # the ends are committed when nothing follows
        rig.drain(database, "chain")
        found = rig.look(database, "chain")
    assert found.broken == []
    assert (found.rows, found.duplicates) == (found.logged, 0)


def test_without_its_layers_the_same_deaths_leave_rows_twice_and_answers_right(filled: Rig, database: str) -> None:
    without_merges(database)
    for point in DEADLY:
        killed_at(filled, database, "unsafe", point, unsafe=ALL_LAYERS)
    filled.drain(database, "unsafe", unsafe=ALL_LAYERS)
    found = filled.look(database, "unsafe")
    assert found.duplicates > 0, "the other tests prove nothing"
    assert found.duplicates_after_final == 0
    assert (found.shown, found.visible, found.counted) == (found.visible, found.visible, found.logged)


def test_an_answer_lost_after_the_server_inserted_leaves_no_row_twice(
    filled: Rig, clickhouse: Any, database: str
) -> None:
    without_merges(database)
    with closing(Proxy(clickhouse.url, seed=1)) as proxy:
        proxy.cut_next = 6
        filled.drain(f"{proxy.url}/{database.rsplit('/', 1)[1]}", "cut")
        assert proxy.cuts == 6
    found = filled.look(database, "cut")
    assert found.broken == []
    assert found.duplicates == 0


@pytest.mark.parametrize("forget", [False, True], ids=["set to 0", "group deleted"])
def test_offsets_reset_to_the_earliest_on_a_filled_database_change_nothing(
    filled: Rig, database: str, *, forget: bool
) -> None:
    without_merges(database)
    group = f"reset{forget:d}"
    filled.drain(database, group, instance="")  # a static member would be waited for
    look = filled.group(group)
    filled.until("the group is empty", look.is_empty)
    look.to_earliest(forget=forget)
    filled.drain(database, group, instance="")
    found = filled.look(database, group)
    assert found.broken == []
    assert found.duplicates == 0


def test_an_interrupted_batch_that_held_replays_is_done_again_without_them(
    kafka: Any, database: str, tmp_path: Path
) -> None:
    without_merges(database)
    with rigged(kafka.bootstrap, tmp_path) as rig:
        rig.start()
        look = rig.group("mixed")
        first = rig.worker(database, "mixed")
        rig.until("a first part is durable", lambda: sum(look.committed().values()) > 0, first)
        first.end()
        enough = rig.rows + 300
        rig.until("more calls of log()", lambda: rig.rows >= enough)
        rig.finish()
        rig.until("the member is gone", look.is_empty)
        look.to_earliest(forget=False)
        large = {"batch_rows": 1_000_000, "batch_age_s": 1}
        killed_at(rig, database, "mixed", "before_insert.points", **large)
        rig.drain(database, "mixed", **large)
        found = rig.look(database, "mixed")
    assert found.broken == []
    assert found.duplicates == 0


def test_offsets_moved_under_an_interrupted_batch_store_it_twice_and_answers_stay_right(
    kafka: Any, database: str, tmp_path: Path
) -> None:
    without_merges(database)
    with rigged(kafka.bootstrap, tmp_path) as rig:
        rig.start()
        rig.until("100 calls of log()", lambda: rig.rows >= 100)
        killed_at(rig, database, "moved", "before_insert.coverage")
        enough = rig.rows + 300  # with more behind it the batch is another one when it is read again
        rig.until("more calls of log()", lambda: rig.rows >= enough)
        rig.finish()
        look = rig.group("moved")
        assert look.has_intents()
        rig.until("the dead member is gone", look.is_empty)
        look.to_earliest(forget=False)
        assert not look.has_intents()
        rig.drain(database, "moved", batch_rows=1_000_000, batch_age_s=1)
        found = rig.look(database, "moved")
    assert found.broken == []
    assert found.duplicates > 0
