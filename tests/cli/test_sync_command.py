from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cli.stack import Runstream, Stack
from producer.wire import FILES, Spooled, dead_writer
from runstream.agent.lock import AgentLock
from runstream.spool import read_header
from runstream_storage.connection import connect

pytestmark = pytest.mark.clickhouse


def synced(runstream: Runstream, *directories: Path, code: int = 0) -> dict[str, Any]:
    return dict(json.loads(runstream("sync", "--json", *map(str, directories), code=code).stdout))


@pytest.fixture
def written(runstream: Runstream, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """No broker: the database itself is where to send."""
    monkeypatch.setenv("RUNSTREAM_CLICKHOUSE", database)
    return database


def test_without_kafka_spools_go_into_the_database_once(runstream: Runstream, written: str, tmp_path: Path) -> None:
    nodes = [tmp_path / "node-1", tmp_path / "node-2"]
    for node in nodes:
        dead_writer(node, "spool.finish()")
    report = synced(runstream, *nodes)
    assert (report["writers"], report["left"]) == (2, {})
    assert synced(runstream, *nodes)["points"] == 0
    with closing(connect(written)) as client:
        assert client.query("SELECT count() FROM v_points").result_rows == [(report["points"],)]
    verified = json.loads(runstream("verify", "--json").stdout)
    assert verified["ok"]
    assert any("No Kafka" in note for note in verified["notes"])


def test_artifacts_go_to_the_object_store_of_the_target(runstream: Runstream, written: str, tmp_path: Path) -> None:
    spool = Spooled(tmp_path / "node")
    spool.stage("net", FILES)
    spool.finish()
    assert synced(runstream, tmp_path / "node")["files"] == 2
    assert len([path for path in (tmp_path / "data" / "objects").rglob("*") if path.is_file()]) >= 2


def test_what_waits_in_a_spool_is_on_its_way_for_verify(runstream: Runstream, written: str, tmp_path: Path) -> None:
    dead_writer(tmp_path / "data", "spool.finish()")
    found = json.loads(runstream("verify", "--json").stdout)
    assert (found["ok"], found["spools"]) == (True, 1)
    assert found["on_the_way_rows"] >= 1000


def test_a_file_that_is_gone_from_a_spool_is_a_gap_before_and_after_the_rest_is_sent(
    runstream: Runstream, written: str, tmp_path: Path
) -> None:
    spool = Spooled(tmp_path / "data", segment_bytes=1 << 14)
    for step in range(5_000):
        spool.log(step, loss=1.0)
    spool.finish()
    files = sorted(spool.directory.glob("*.seg"))
    first, after = (read_header(path)[0].first_row_seq for path in files[1:3])
    files[1].unlink()

    def gap() -> tuple[int, int]:
        (found,) = json.loads(runstream("verify", "--json", code=1).stdout)["problems"]
        return found["first"], found["last"]

    assert gap() == (first, after - 1)
    assert json.loads(runstream("sync", "--json").stdout)["points"] == 5_000 - (after - first)
    assert gap() == (first, after - 1)


def test_a_directory_that_an_agent_serves_is_exit_code_4(runstream: Runstream, written: str, tmp_path: Path) -> None:
    dead_writer(tmp_path / "node")
    with AgentLock(tmp_path / "node" / "agent.lock"):
        report = synced(runstream, tmp_path / "node", code=4)
    assert list(report["left"]) == [str(tmp_path / "node")]


def test_with_kafka_spools_go_to_the_topics(stack: Stack, tmp_path: Path) -> None:
    dead_writer(tmp_path / "node", "spool.finish()")
    report = synced(stack.runstream, tmp_path / "node")
    assert (report["writers"], report["left"]) == (1, {})
    found = stack.verify()
    assert found["on_the_way_rows"] >= 1000
    assert found["messages"] == 0
