from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from ingest_samples import Commits, Letters, Tables, control, frame, record, records

from runstream import events
from runstream_ingest.commit import CommitOffsets
from runstream_ingest.control import rows_of
from runstream_ingest.coverage import Coverage
from runstream_ingest.dead_letters import DeadLetter
from runstream_ingest.decoded import Decoded, Event, Message, identity, joined, token
from runstream_ingest.errors import InsertRefused, TooManyDeadLetters
from runstream_ingest.frames import FrameReader
from runstream_ingest.insert import Insert
from runstream_ingest.metrics import Metrics
from runstream_ingest.native import Block
from runstream_ingest.records import Carried, Ranges, Record, Source


def decoded(*values: bytes, start: int = 0, partition: int = 0) -> Carried[Decoded]:
    item, reader = records(*values, start=start, partition=partition), FrameReader()

    def one(r: Record) -> Message:
        value = r.value or b""
        if value.startswith(reader.header):
            return reader.read(value, r)
        kind, event = events.decode(value)
        return Event(r, kind, rows_of(kind, event))

    return item.with_value(Decoded([one(r) for r in item.value]))


class Fixture:
    def __init__(self) -> None:
        self.tables, self.letters, self.commits, self.metrics = Tables(), Letters(), Commits(), Metrics()
        self.step = Insert(
            inserter=self.tables,
            ledger=self.tables,
            offsets=self.commits,
            coverage=Coverage(self.tables, max_writers=100),
            dead_letters=self.letters,
            metrics=self.metrics,
            then=CommitOffsets(self.commits),
        )

    def refuse_values(self, *values: float) -> None:
        def refuse(table: str, block: Block) -> None:
            found: Any = {name: data for name, _, data in block.columns}.get("value", ())
            if table == "points" and set(values) & set(found.tolist()):
                raise InsertRefused(table, code=469, error="constraint")

        self.tables.refuse = refuse


async def test_each_table_gets_its_rows_then_the_offsets_are_committed() -> None:
    fixture = Fixture()
    started = control("RunStarted", name="r", created_us=1, tags=["a", "b"])
    await fixture.step.put(decoded(frame(), started))
    await fixture.step.close()
    inserted = {table: block.rows for table, block, _ in fixture.tables.blocks}
    assert inserted == {
        "points": 6,
        "curve": 4,
        "metric_summary": 2,
        "runs": 1,
        "writers": 1,
        "liveness": 1,
        "run_attrs": 2,
    }
    assert fixture.commits.ends == {Source("t.metrics", 0): 2}


async def test_nothing_is_committed_before_all_tables_have_it() -> None:
    fixture = Fixture()
    fixture.tables.hold = asyncio.Event()
    await fixture.step.put(decoded(frame()))
    await asyncio.sleep(0)
    assert not fixture.commits.ranges
    fixture.tables.hold.set()
    await fixture.step.close()
    assert fixture.commits.ends == {Source("t.metrics", 0): 1}


async def test_the_second_batch_waits_for_the_first() -> None:
    fixture = Fixture()
    fixture.tables.hold = asyncio.Event()
    await fixture.step.put(decoded(frame()))
    second = asyncio.create_task(fixture.step.put(decoded(frame(first_seq=3), start=1)))
    await asyncio.sleep(0)
    assert not second.done()
    fixture.tables.hold.set()
    await second
    await fixture.step.close()
    assert [table for table, _, _ in fixture.tables.blocks].count("points") == 2


async def test_a_batch_is_announced_while_the_one_before_is_inserted_and_inserted_while_that_settles() -> None:
    fixture = Fixture()
    tables = fixture.tables
    tables.hold, tables.hold_settling = asyncio.Event(), asyncio.Event()
    await fixture.step.put(decoded(frame()))
    second = asyncio.create_task(fixture.step.put(decoded(frame(first_seq=3), start=1)))
    await until(lambda: len(fixture.commits.intents) == 2)
    assert not tables.blocks
    tables.hold.set()
    await second
    await until(lambda: tables.rows("points") == 12)
    assert not fixture.commits.ranges
    third = asyncio.create_task(fixture.step.put(decoded(frame(first_seq=6), start=2)))
    await asyncio.sleep(0.01)
    assert len(fixture.commits.intents) == 2, "a third one is announced only when the first is settled"
    tables.hold_settling.set()
    await third
    await fixture.step.close()
    assert fixture.commits.ends == {Source("t.metrics", 0): 3}
    assert [len(one) for one in fixture.commits.ranges] == [1, 1, 1]


async def test_what_follows_a_batch_that_failed_is_not_inserted() -> None:
    fixture = Fixture()
    fixture.tables.hold = asyncio.Event()

    def fail(table: str, block: Block) -> None:
        raise RuntimeError("a fault of ours")

    fixture.tables.refuse = fail
    await fixture.step.put(decoded(frame()))
    second = asyncio.create_task(fixture.step.put(decoded(frame(first_seq=3), start=1)))
    await until(lambda: len(fixture.commits.intents) == 2)
    fixture.tables.hold.set()
    await second
    fixture.tables.refuse = None
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await fixture.step.close()
    await fixture.step.abandon()
    assert not fixture.tables.blocks
    assert not fixture.commits.ranges


async def test_what_follows_a_batch_that_was_not_announced_is_not_announced() -> None:
    fixture = Fixture()
    announce, names = fixture.commits.intend, []

    async def refused(ranges: Ranges, name: str) -> None:
        names.append(name)
        if len(names) == 1:
            raise RuntimeError("the first is refused")
        await announce(ranges, name)

    fixture.commits.intend = refused  # type: ignore[method-assign]
    await fixture.step.put(decoded(frame()))
    await fixture.step.put(decoded(frame(first_seq=3), start=1))
    for _ in range(2):  # also when the failure was told before
        with pytest.raises(RuntimeError, match="the first is refused"):
            await fixture.step.tick(1.0)
        with pytest.raises(RuntimeError, match="the first is refused"):
            await fixture.step.close()
    await fixture.step.abandon()
    assert len(names) == 1
    assert not fixture.tables.blocks


async def test_dead_letters_get_their_line_in_the_index() -> None:
    fixture = Fixture()
    item = records(b"bad")
    letter = DeadLetter(item.value[0], "not_an_event", "why")
    await fixture.step.put(item.with_value(Decoded([letter])))
    await fixture.step.close()
    assert fixture.tables.column("dead_letters", "reason") == ["not_an_event"]
    assert not fixture.letters.letters


async def test_only_the_message_that_the_database_refuses_is_a_dead_letter() -> None:
    fixture = Fixture()
    fixture.refuse_values(3.01, 17.0)
    await fixture.step.put(decoded(*(frame(rows=1, first_seq=i) for i in range(20))))
    await fixture.step.close()
    assert [letter.record.offset for letter in fixture.letters.letters] == [3, 17]
    assert fixture.letters.reasons == ["refused", "refused"]
    assert fixture.tables.rows("points") == 2 * 18
    assert fixture.tables.rows("dead_letters") == 2
    assert fixture.commits.ends == {Source("t.metrics", 0): 20}


async def test_when_all_are_refused_the_fault_is_not_theirs_and_nothing_is_moved() -> None:
    fixture = Fixture()
    fixture.refuse_values(*(float(i) for i in range(20)))
    await fixture.step.put(decoded(*(frame(rows=1, first_seq=i) for i in range(20))))
    with pytest.raises(TooManyDeadLetters):
        await fixture.step.close()
    assert not fixture.letters.letters
    assert not fixture.commits.ranges


async def test_a_value_that_does_not_fit_its_column_costs_only_its_message() -> None:
    fixture = Fixture()
    fine = decoded(frame(), frame(first_seq=3))
    broken = Event(record(b"", 2), "Heartbeat", (("liveness", ("demo", 1, 7, 70_000, 0, 0, 0, (0, "", 0, "", 0))),))
    await fixture.step.put(fine.with_value(Decoded([*fine.value.messages, broken])))
    await fixture.step.close()
    assert fixture.letters.reasons == ["refused"]
    assert fixture.tables.rows("points") == 12


async def test_an_error_of_an_insert_reaches_the_next_call() -> None:
    fixture = Fixture()

    def fail(table: str, block: Block) -> None:
        raise RuntimeError("a fault of ours")

    fixture.tables.refuse = fail
    await fixture.step.put(decoded(frame()))
    await asyncio.sleep(0.01)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await fixture.step.tick(1.0)
    assert not fixture.commits.ranges


def test_the_name_is_that_of_what_was_read_however_it_was_cut() -> None:
    whole, ranges = named(records(frame(), frame(first_seq=3), start=5))
    first, _ = named(records(frame(), start=5))
    second, _ = named(records(frame(first_seq=3), start=6))
    assert whole.name(ranges).startswith("t.metrics:0:5-7:")
    assert joined([first, second]).name(ranges) == whole.name(ranges)
    assert joined([first]).name(ranges) != whole.name(ranges)
    other, _ = named(records(frame(), frame(first_seq=3, writer_id=78), start=5))
    assert other.name(ranges) != whole.name(ranges)


def test_the_name_of_several_partitions_does_not_depend_on_their_order() -> None:
    first, one = named(records(frame()))
    second, two = named(records(frame(), start=9, partition=1))
    ranges = {**one, **two}
    assert joined([first, second]).name(ranges) == joined([second, first]).name(ranges)
    assert joined([first, second]).name(ranges).startswith("2 partitions:")


def test_the_token_of_a_part_is_that_of_its_messages() -> None:
    messages = decoded(frame(), frame(first_seq=3), start=5).value.messages
    again = decoded(frame(), frame(first_seq=3), start=5).value.messages
    assert token(messages) == token(again)
    assert token(messages) != token(messages[:1])


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0)


def named(item: Carried[list[Record]]) -> tuple[Decoded, Ranges]:
    messages = decoded(*(r.value or b"" for r in item.value), start=item.value[0].offset).value.messages
    first = item.value[0]
    return Decoded(messages, ((Source(first.topic, first.partition), b"".join(map(identity, messages))),)), item.ranges
