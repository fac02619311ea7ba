"""Keeping what was sent until it is queryable, and waiting for that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from producer.wire import FILES, MemoryObjects, MemoryTransport, Spooled, dead_writer, running, settings, until
from runstream.agent import Agent, shipping
from runstream.agent.ledger import MAX_STEPS, Ledger
from runstream.delivery import Part, Waiting
from runstream.messages import Message, Place
from runstream.spool import Position
from runstream.spool_cursor import Cursor, places
from runstream.spool_tracking import track


class KafkaLike(MemoryTransport):
    """Messages get offsets, and are queryable once somebody says so."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[tuple[str, int], int] = {}
        self.committed: dict[tuple[str, int], int] = {}
        self.asked = 0

    def send(self, message: Message) -> asyncio.Future[Any]:  # type: ignore[override]
        self.messages.append(message)
        partition = (message.topic, 3)
        offset = self.ends.get(partition, 100)
        self.ends[partition] = offset + 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(Place(*partition, offset))
        return future

    async def queryable(self) -> Mapping[tuple[str, int], int]:
        self.asked += 1
        return dict(self.committed)

    def ingest(self) -> None:
        """All that was sent until now is in the database."""
        self.committed = dict(self.ends)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "ASK_EVERY_S", 0.05)


def agent_for(data_dir: Path, transport: MemoryTransport, keep: str = "clickhouse", **arguments: Any) -> Agent:
    return Agent(data_dir, transport, MemoryObjects(), settings(data_dir, keep=keep), **arguments)


def acknowledged_rows(directory: Path) -> int:
    return Cursor.load(directory).position.row_seq


def queryable_rows(directory: Path) -> int:
    return Cursor.load(directory).queryable.row_seq


async def test_a_segment_stays_until_it_is_queryable(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), KafkaLike()
    async with running(agent_for(tmp_path, transport)):
        for step in range(20_000):
            spool.log(step, loss=1.0)
        await until(lambda: acknowledged_rows(spool.directory) == 20_000)
        before = transport.asked
        await until(lambda: transport.asked > before + 2)
        assert (spool.directory / "00000001.seg").exists()
        assert queryable_rows(spool.directory) == 0
        transport.ingest()
        await until(lambda: queryable_rows(spool.directory) == 20_000)
        await until(lambda: not (spool.directory / "00000001.seg").exists())
    spool.writer.abandon()


async def test_a_finished_spool_stays_until_its_end_is_queryable(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), KafkaLike()
    spool.log(0, loss=1.0)
    spool.finish()
    async with running(agent_for(tmp_path, transport)):
        await until(lambda: Cursor.load(spool.directory).finished)
        transport.committed = {key: end - 1 for key, end in transport.ends.items()}
        before = transport.asked
        await until(lambda: transport.asked > before + 2)
        assert spool.directory.exists()
        transport.ingest()
        await until(lambda: not spool.directory.exists())


async def test_an_artifact_that_came_late_is_waited_for_until_it_is_queryable(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), KafkaLike()
    spool.stage("net", FILES)
    async with running(agent_for(tmp_path, transport)):
        await until(lambda: "ArtifactLogged" in transport.kinds())
        part = Part(spool.directory, spool.writer.position, 0)
        await until(lambda: Waiting([part]).over())  # acknowledged
        key = ("runstream.control", 3)
        transport.committed = {key: transport.ends[key] - 1}
        await until(lambda: Cursor.load(spool.directory).queryable.event_seq == 2)
        assert not Waiting([part], "clickhouse").over()
    again = KafkaLike()
    again.ends = transport.ends
    async with running(agent_for(tmp_path, again)):
        before = again.asked
        await until(lambda: again.asked > before + 2)
        assert not Waiting([part], "clickhouse").over()
        again.ingest()
        await until(lambda: Waiting([part], "clickhouse").over())
    assert again.kinds() == []
    spool.writer.abandon()


async def test_who_restarts_still_knows_what_it_waits_for_and_sends_nothing_again(tmp_path: Path) -> None:
    _, directory = dead_writer(tmp_path)
    first = KafkaLike()
    async with running(agent_for(tmp_path, first)):
        await until(lambda: Cursor.load(directory).finished)
    assert first.kinds()[-1] == "RunFinished"
    second = KafkaLike()
    async with running(agent_for(tmp_path, second)):
        await until(lambda: second.asked > 2)
        assert directory.exists()
        second.committed = dict(first.ends)
        await until(lambda: not directory.exists())
    assert second.messages == []


async def test_a_process_can_ask_for_one_spool_alone(tmp_path: Path) -> None:
    asked, other, transport = Spooled(tmp_path), Spooled(tmp_path), KafkaLike()
    track(asked.directory)
    for spool in (asked, other):
        spool.log(0, loss=1.0)
        spool.finish()
    async with running(agent_for(tmp_path, transport, keep="kafka")):
        await until(lambda: not other.directory.exists())
        await until(lambda: Cursor.load(asked.directory).finished)
        found = places(asked.directory)
        assert found is not None
        assert (found.tracked, found.queryable.row_seq) == (True, 0)
        transport.ingest()
        await until(lambda: not asked.directory.exists())


async def test_who_asks_late_learns_of_what_was_acknowledged_before(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), KafkaLike()
    spool.log(0, loss=1.0)
    async with running(agent_for(tmp_path, transport, keep="kafka")):
        await until(lambda: acknowledged_rows(spool.directory) == 1)
        assert transport.asked == 0, "nobody needs to know"
        track(spool.directory)
        transport.ingest()
        await until(lambda: queryable_rows(spool.directory) == 1)
    spool.writer.abandon()


async def test_an_error_of_who_is_asked_keeps_the_spool(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Away(KafkaLike):
        away = True

        async def queryable(self) -> Mapping[tuple[str, int], int]:
            await super().queryable()
            if self.away:
                raise ConnectionError("no coordinator")
            return self.committed

    spool, transport = Spooled(tmp_path), Away()
    spool.finish()
    async with running(agent_for(tmp_path, transport)):
        await until(lambda: transport.asked > 2)
        assert spool.directory.exists()
        transport.away = False
        transport.ingest()
        await until(lambda: not spool.directory.exists())
    assert "no coordinator" in caplog.text


async def test_where_acknowledged_is_queryable_nothing_waits(tmp_path: Path) -> None:
    spool, transport = Spooled(tmp_path), MemoryTransport()
    spool.log(0, loss=1.0)
    async with running(agent_for(tmp_path, transport, keep="kafka")):
        await until(lambda: queryable_rows(spool.directory) == 1)
        found = places(spool.directory)
        assert found is not None
        assert found.tracked
    spool.writer.abandon()


def test_the_queryable_place_waits_for_both_topics() -> None:
    ledger = Ledger(Position(), {})
    ledger.track()
    ledger.passed({})
    assert not ledger.waits_for_queries
    row, event = ledger.add_event(Position(1, 10, 1, 0)), ledger.add_event(Position(1, 20, 1, 1))
    ledger.done(row, Place("metrics", 0, 7))
    ledger.done(event, Place("control", 5, 9))
    ledger.passed({("metrics", 0): 7, ("control", 5): 10})
    assert ledger.queryable == Position()
    ledger.passed({("metrics", 0): 8})
    assert ledger.queryable == Position(1, 10, 1, 0)
    ledger.passed({("metrics", 0): 8, ("control", 5): 10})
    assert ledger.queryable == Position(1, 20, 1, 1)
    assert not ledger.waits_for_queries


def test_a_day_without_ingest_costs_no_memory() -> None:
    ledger = Ledger(Position(), {})
    ledger.track()
    for seq in range(20 * MAX_STEPS):
        ledger.done(ledger.add_event(Position(1, 8 * seq, 0, seq)), Place("control", 0, seq))
    assert len(ledger._steps) <= MAX_STEPS
    ledger.passed({("control", 0): 10 * MAX_STEPS})
    assert 0 < ledger.queryable.event_seq < 10 * MAX_STEPS
    ledger.passed({("control", 0): 20 * MAX_STEPS})
    assert ledger.queryable.event_seq == 20 * MAX_STEPS - 1
