from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ingest_samples import RUN, frame, record

from runstream_ingest.errors import InsertMisconfigured
from runstream_ingest.frames import FrameReader
from runstream_ingest.native import Block
from runstream_ingest.points import blocks_of
from runstream_ingest.presence import LATELY, missing, probes_of, rows_of

NOVEMBER = RUN
"""By its first 48 bits."""
DECEMBER = "01938e8c-8f2a-7aaa-8bbb-0123456789ab"


def points(*values: bytes) -> Block:
    reader = FrameReader()
    return blocks_of([reader.read(value, record(value, offset)) for offset, value in enumerate(values)]).points


def some() -> Block:
    return points(
        *(
            frame(run_id=run, attempt=attempt, rows=4)
            for run in (NOVEMBER, "01932e8c-8f2a-7aaa-8bbb-ffffffffffff", DECEMBER)
            for attempt in (0, 1)
        )
    )


def test_one_row_stands_for_each_month_and_attempt() -> None:
    probes = probes_of(some())
    assert Counter((str(probe.run)[:4], str(probe.run)[:8], probe.attempt) for probe in probes) == Counter(
        [("0193", run[:8], attempt) for run in (NOVEMBER, DECEMBER) for attempt in (0, 1)]
    )
    assert {probe.project for probe in probes} == {"demo"}
    assert {probe.metric for probe in probes} == {"acc"}


def test_the_rows_of_a_partition_are_all_of_its_runs() -> None:
    block = some()
    [probe] = [one for one in probes_of(block) if str(one.run) == DECEMBER and one.attempt == 1]
    assert rows_of(block, [probe]).rows == 8
    assert len(probes_of(rows_of(block, [probe]))) == 1
    november = [one for one in probes_of(block) if str(one.run) != DECEMBER]
    assert rows_of(block, november).rows == 32
    assert rows_of(block, probes_of(block)).rows == block.rows


class Asked:
    """A database that has what it is given; who may not see the parts is refused."""

    def __init__(self, rows: Sequence[Sequence[Any]], *, may_see_parts: bool = True) -> None:
        self.rows = rows
        self.may_see_parts = may_see_parts
        self.questions: list[str] = []

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        self.questions.append(sql)
        if LATELY in sql and not self.may_see_parts:
            raise InsertMisconfigured("a question", code=497, error="not enough privileges")
        return self.rows


async def test_a_newer_version_of_the_row_will_do_and_an_older_will_not() -> None:
    first, *others = probes_of(some())
    there = [[*one[:6], one.ver + 1] for one in others]
    assert await missing(Asked(there), [first, *others]) == [first]
    assert await missing(Asked([*there, [*first[:6], first.ver - 1]]), [first, *others]) == [first]
    assert await missing(Asked([*there, list(first)]), [first, *others]) == []


async def test_the_newest_parts_are_asked_first_and_nobody_has_to_see_them() -> None:
    probes = probes_of(some())
    seeing, blind = (Asked([list(one) for one in probes], may_see_parts=may) for may in (True, False))
    assert await missing(seeing, probes) == await missing(blind, probes) == []
    assert [LATELY in question for question in seeing.questions] == [True]
    assert [LATELY in question for question in blind.questions] == [True, False]
    nothing = Asked([])
    assert await missing(nothing, []) == []
    assert nothing.questions == []


def test_a_run_id_that_is_no_uuidv7_has_a_partition_too() -> None:
    assert len(probes_of(points(frame(run_id=str(uuid.UUID(int=(1 << 128) - 1)))))) == 1
