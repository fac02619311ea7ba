"""Spools of other versions: older ones are read, newer ones are left alone, whole."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from producer.wire import MemoryObjects, MemoryTransport, Spooled, running, settings, until
from runstream import events, spool
from runstream.agent import Agent, shipping

GOLDEN = Path(__file__).parent / "golden" / "spool.v1.seg"
VERSIONS = {6: "7f3920ec8441e2e3"}
"""Version of the spool to what its events may hold: the schemas of control events."""


def older(data_dir: Path) -> Path:
    """A data directory with the spool of a writer of version 1."""
    header, _ = spool.read_header(GOLDEN)
    directory = spool.writer_dir(data_dir / "spool", header.run_id, header.writer_id)
    directory.mkdir(parents=True)
    shutil.copy(GOLDEN, directory / "00000001.seg")
    return directory


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def make_newer(directory: Path) -> None:
    """As a library of the next version would have begun this spool."""
    path = spool.segment_path(directory, 1)
    data = bytearray(path.read_bytes())
    data[8:10] = (spool.VERSION + 1).to_bytes(2, "little")
    path.write_bytes(data)


def agent_for(data_dir: Path, transport: MemoryTransport, **arguments: Any) -> Agent:
    return Agent(data_dir, transport, MemoryObjects(), settings(data_dir), **arguments)


def test_the_version_rises_with_what_the_events_may_hold() -> None:
    fingerprints = b"".join(events.registry().latest[kind].header for kind in sorted(events.CONTROL_KINDS))
    assert hashlib.sha256(fingerprints).hexdigest()[:16] == VERSIONS[spool.VERSION], (
        "events changed: an agent of this version could not send them all, so raise runstream.spool.VERSION"
    )


async def test_a_spool_of_the_first_version_is_sent(tmp_path: Path) -> None:
    directory, transport = older(tmp_path), MemoryTransport()
    await agent_for(tmp_path, transport, stay=False, leave_after_s=0).run(asyncio.Event())
    assert not directory.exists()
    assert transport.kinds() == ["RunStarted", "Params", "RunFinished"]
    started = transport.control()[0][1]
    assert (started["name"], started["attempt"], started["rank"], started["forked_from"]) == ("old", 1, 3, "")
    assert [(seq, step) for seq, step, _ in transport.rows()] == [(i, i) for i in range(6)]
    assert transport.rows()[5][2] == {"größe": float("-inf")}


async def test_a_spool_of_a_newer_version_is_left_whole_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newer, transport = older(tmp_path), MemoryTransport()
    make_newer(newer)
    before = contents(newer)
    agent = agent_for(tmp_path, transport, stay=False, leave_after_s=0.2)
    await agent.run(asyncio.Event())
    assert contents(newer) == before
    assert transport.messages == []
    assert f"format version {spool.VERSION + 1} is newer than {spool.VERSION}: upgrade" in caplog.text


async def test_a_newer_spool_is_sent_once_the_agent_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer, good, transport = older(tmp_path), Spooled(tmp_path), MemoryTransport()
    make_newer(newer)
    good.finish()
    monkeypatch.setattr(shipping, "RETRY_SPOOL_S", 0.1)
    agent = agent_for(tmp_path, transport)
    async with running(agent):
        await until(lambda: not good.directory.exists())
        assert newer in agent.unreadable
        shutil.copy(GOLDEN, newer / "00000001.seg")
        await until(lambda: not newer.exists())
    assert len(transport.rows()) == 6
