"""Rewinds, forks and waiting, through a broker and an ingest worker into what the views say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runstream_storage.connection import connect

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.timeout(300)]

TRAINER = """
import runstream
run = runstream.init(project="on", id="mine")
for step in range(100):
    run.log({"loss": float(step)})
assert run.wait("kafka", 60), "kafka"
assert run.wait("clickhouse", 60), "clickhouse"
run.rewind(49)
for step in range(50, 80):
    run.log({"loss": -1.0})
assert run.wait("clickhouse", 60), "clickhouse after the rewind"
child = runstream.fork("mine", 59, project="on", name="child", settings={"keep": "clickhouse"})
for step in range(60, 65):
    child.log({"loss": 7.0})
run.finish()
child.finish()
assert child.wait("clickhouse", 60), "clickhouse of what is over"
print(run.id, child.id)
"""
VISIBLE = "SELECT step, value FROM v_points WHERE project = 'on' AND run_id = {run:UUID} ORDER BY step"


@pytest.fixture
def environment(kafka: Any, database: str, topic_prefix: str, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "RUNSTREAM_DIR": str(tmp_path / "data"),
        "RUNSTREAM_KAFKA": kafka.bootstrap,
        "RUNSTREAM_KAFKA_PARTITIONS": "2",
        "RUNSTREAM_TOPIC_PREFIX": topic_prefix,
        "RUNSTREAM_CLICKHOUSE": database,
        "RUNSTREAM_INGEST_PORT": "0",
        "RUNSTREAM_INGEST_GROUP": f"{topic_prefix}-ingest",
    }


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[None]:
    with (tmp_path / "ingest.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "runstream_deploy.cli", "ingest"], env=environment, stdout=log, stderr=log
        )
        yield
        process.send_signal(signal.SIGTERM)
        ended = process.wait(60)
    assert ended == 0, (tmp_path / "ingest.log").read_text()[-4000:]


@pytest.mark.usefixtures("worker")
def test_what_a_rewind_and_a_fork_leave_in_view(environment: dict[str, str], database: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAINER], env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    parent, child = done.stdout.split()
    client = connect(database)
    try:
        shown = {run: client.query(VISIBLE, parameters={"run": run}).result_rows for run in (parent, child)}
        (kept,) = client.query(
            "SELECT count() FROM (SELECT DISTINCT attempt, step FROM points WHERE run_id = {run:UUID})",
            parameters={"run": parent},
        ).result_rows
    finally:
        client.close()
    assert shown[parent] == [(step, float(step) if step < 50 else -1.0) for step in range(80)]
    inherited = [(step, float(step) if step < 50 else -1.0) for step in range(60)]
    assert shown[child] == [*inherited, *((step, 7.0) for step in range(60, 65))]
    assert kept == (130,), "a rewind destroys nothing"
