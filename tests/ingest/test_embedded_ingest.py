from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from ingest_samples import RUN, Tables, control, frame

from producer.wire import until
from runstream.errors import MessageRefused
from runstream.messages import Message
from runstream_ingest.embedded import DEAD_LETTERS, EmbeddedIngest
from runstream_ingest.native import Block
from runstream_storage.connection import connect


def message(value: bytes, topic: str = "r.metrics") -> Message:
    return Message(topic, RUN.encode(), value)


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
async def ingest(tables: Tables, tmp_path: Path) -> AsyncIterator[EmbeddedIngest]:
    made = EmbeddedIngest(tables, tmp_path)
    await made.start()
    yield made
    await made.close()


async def test_a_message_is_durable_when_its_future_resolves(ingest: EmbeddedIngest, tables: Tables) -> None:
    await ingest.put([message(frame()), message(control("Heartbeat"), "r.control"), message(frame(first_seq=3))])
    assert tables.rows("points") == 12
    assert tables.rows("liveness") == 1


async def test_it_is_not_before(ingest: EmbeddedIngest, tables: Tables) -> None:
    tables.hold = asyncio.Event()
    future = ingest.send(message(frame()))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(future), 0.6)
    tables.hold.set()
    await ingest.flush()
    assert future.done()


async def test_a_message_that_cannot_be_used_fails_alone_and_is_kept(
    ingest: EmbeddedIngest, tables: Tables, tmp_path: Path
) -> None:
    good, bad, later = (ingest.send(message(value)) for value in (frame(), b"garbage", frame(first_seq=3)))
    await asyncio.gather(good, later)
    with pytest.raises(MessageRefused, match="not_an_event") as caught:
        await bad
    assert caught.value.kept_at.parent == tmp_path / DEAD_LETTERS
    assert caught.value.kept_at.read_bytes() == b"garbage"
    facts = json.loads(caught.value.kept_at.with_suffix(".json").read_text())
    assert facts["runstream_reason"] == "not_an_event"
    await ingest.flush()
    assert tables.rows("points") == 12
    assert tables.rows("dead_letters") == 1


async def test_after_a_fault_of_its_own_it_starts_again_and_loses_nothing(
    ingest: EmbeddedIngest, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runstream_ingest.embedded.RESTART_S", 0.0)
    broken = True

    def fail(table: str, block: Block) -> None:
        if broken:
            raise RuntimeError("a fault")

    tables.refuse = fail
    sent = asyncio.gather(*(ingest.send(message(value)) for value in (frame(), frame(first_seq=3))))
    await until(lambda: "ingest" in ingest.health.problems, 60)
    assert "RuntimeError: a fault" in ingest.health.problems["ingest"]
    broken = False
    await sent
    assert tables.rows("points") == 12
    assert "ingest" not in ingest.health.problems


async def test_what_is_not_durable_at_the_end_stays_pending(tables: Tables, tmp_path: Path) -> None:
    ingest = EmbeddedIngest(tables, tmp_path)
    await ingest.start()
    tables.hold = asyncio.Event()
    future = ingest.send(message(frame()))
    await asyncio.sleep(0)
    await ingest.close()
    assert not future.done()


async def test_a_second_process_does_not_reuse_the_tokens_of_the_first(tables: Tables, tmp_path: Path) -> None:
    for _ in range(2):
        ingest = EmbeddedIngest(tables, tmp_path)
        await ingest.start()
        await ingest.put([message(frame())])
        await ingest.close()
    tokens = [token for _, _, token in tables.blocks]
    assert len(set(tokens)) == len(tokens)


@pytest.mark.clickhouse
async def test_it_writes_through_a_url(database: str, tmp_path: Path) -> None:
    ingest = EmbeddedIngest(database, tmp_path)
    await ingest.start()
    await ingest.put([message(frame()), message(control("RunStarted", name="r", created_us=1), "r.control")])
    await ingest.close()
    with closing(connect(database)) as client:
        assert client.query("SELECT count(), any(run_name) FROM v_points").result_rows == [(6, "r")]


@pytest.mark.clickhouse
async def test_while_the_database_is_away_the_futures_wait(tmp_path: Path) -> None:
    ingest = EmbeddedIngest("http://default@127.0.0.1:1/x", tmp_path)
    await ingest.start()
    future = ingest.send(message(frame()))
    while "clickhouse" not in ingest.health.problems:  # noqa: ASYNC110 - a probe is polled in life too
        await asyncio.sleep(0.02)
    assert not future.done()
    await ingest.close()
