"""A training script, an agent, a broker, a worker and ClickHouse: each a process of its own, as on a cluster."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from runstream_storage import queries
from runstream_storage.connection import connect

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.s3, pytest.mark.timeout(300)]

T = TypeVar("T")

TRAINER = """
import math, sys, time
import runstream
run = runstream.init(project="e2e", name="α/β <b>bold</b>",
                     config={"lr": 1e-3, "model": {"width": 64}}, tags=["first", "ünï"])
print(run.id, flush=True)
values = [0.1, math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
for step, value in enumerate(values):
    run.log({"odd": value, "train/loss": 1 / (step + 1)}, step=step)
for step in (2**62, -5):
    run.log({"far": 1.0}, step=step)
if sys.argv[1] == "die":
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "raise":
    raise RuntimeError("the model diverged")
with open(sys.argv[2], "wb") as file:
    file.write(b"weights" * 1000)
run.log_artifact(sys.argv[2], name="weights", type="model")
run.summary["verdict"] = "keep"
run.finish()
"""


@pytest.fixture
def environment(kafka: Any, database: str, bucket: str, topic_prefix: str, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "RUNSTREAM_DIR": str(tmp_path / "data"),
        "RUNSTREAM_KAFKA": kafka.bootstrap,
        "RUNSTREAM_TOPIC_PREFIX": topic_prefix,
        "RUNSTREAM_CLICKHOUSE": database,
        "RUNSTREAM_S3": bucket,
        "RUNSTREAM_INGEST_PORT": "0",
    }


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "ingest.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "runstream_deploy.cli", "ingest"], env=environment, stdout=log, stderr=log
        )
        yield process
        process.send_signal(signal.SIGTERM)
        ended = process.wait(60)
    assert ended == 0, (tmp_path / "ingest.log").read_text()[-4000:]


def trained(environment: dict[str, str], how: str, file: Path) -> tuple[str, int]:
    """The run id that a training script printed, and how it ended."""
    done = subprocess.run(
        [sys.executable, "-c", TRAINER, how, str(file)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout, done.stderr
    return done.stdout.split()[0], done.returncode


def eventually(ask: Callable[[], T], good: Callable[[T], bool], within_s: float = 90.0) -> T:
    limit = time.monotonic() + within_s
    while True:
        answer = ask()
        if good(answer) or time.monotonic() > limit:
            return answer
        time.sleep(0.2)


def state(client: Any, run_id: str) -> str | None:
    found = queries.find_run(client, run_id)
    return found.state if found else None


def test_a_run_streams_to_sql_with_every_value_bit_for_bit(
    environment: dict[str, str], worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    run_id, code = trained(environment, "finish", tmp_path / "w.bin")
    assert code == 0
    client = connect(environment["RUNSTREAM_CLICKHOUSE"])
    assert eventually(lambda: state(client, run_id), lambda found: found == "finished") == "finished"

    rows = client.query(
        "SELECT metric, step, hex(reinterpretAsFixedString(value)) FROM v_points "
        "WHERE run_id = {run:UUID} ORDER BY metric, step",
        parameters={"run": run_id},
    ).result_rows
    import struct

    odd = [0.1, math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
    expected = [("far", -5, 1.0), ("far", 2**62, 1.0)]
    expected += [("odd", step, value) for step, value in enumerate(odd)]
    expected += [("train/loss", step, 1 / (step + 1)) for step in range(len(odd))]
    assert rows == [(metric, step, struct.pack("<d", value).hex().upper()) for metric, step, value in expected]

    header = queries.run(client, "e2e", run_id)
    assert header is not None
    assert header.run.name == "α/β <b>bold</b>"
    assert sorted(header.run.tags) == ["first", "ünï"]
    params = queries.params(client, "e2e", [run_id])[run_id]
    assert params["lr"].value == 1e-3
    assert params["model/width"].value == 64
    artifact = eventually(lambda: queries.artifact(client, "e2e", "weights"), lambda found: found is not None)
    assert artifact is not None
    assert artifact.size == 7000


@pytest.mark.real
def test_an_object_store_that_is_away_holds_back_nothing_but_bytes(
    environment: dict[str, str], worker: subprocess.Popen[bytes], private_minio: Any, tmp_path: Path
) -> None:
    private_minio.create_bucket("away")
    private_minio.stop()
    environment |= {"RUNSTREAM_S3": f"{private_minio.url}/away", "RUNSTREAM_FINISH_TIMEOUT_S": "5"}
    run_id, code = trained(environment, "finish", tmp_path / "w.bin")
    assert code == 0
    client = connect(environment["RUNSTREAM_CLICKHOUSE"])
    assert eventually(lambda: state(client, run_id), lambda found: found == "finished") == "finished"
    count = client.query("SELECT count() FROM v_points WHERE run_id = {run:UUID}", parameters={"run": run_id})
    assert count.result_rows[0][0] == 16

    def awaited() -> list[tuple[str, str, int, int]]:
        found = queries.run_awaited(client, "e2e", run_id)  # and the uncommitted changes of this checkout
        return [(one.name, one.state, one.n_files, one.size) for one in found if one.name == "weights"]

    assert eventually(awaited, bool) == [("weights", "pending", 1, 7000)]
    assert queries.artifact(client, "e2e", "weights") is None

    data = Path(environment["RUNSTREAM_DIR"])
    os.kill(int((data / "agent.lock").read_text().split()[0]), signal.SIGKILL)
    private_minio.start()
    command = [sys.executable, "-m", "runstream_deploy.cli", "sync", str(data)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    artifact = eventually(lambda: queries.artifact(client, "e2e", "weights"), lambda found: found is not None)
    assert artifact is not None
    assert (artifact.version, artifact.size) == ("v0", 7000)
    assert eventually(awaited, lambda found: not found) == []


def test_a_killed_run_loses_nothing_and_ends_as_killed_without_any_command(
    environment: dict[str, str], worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    run_id, code = trained(environment, "die", tmp_path / "w.bin")
    assert code == -signal.SIGKILL
    client = connect(environment["RUNSTREAM_CLICKHOUSE"])
    assert eventually(lambda: state(client, run_id), lambda found: found == "killed") == "killed"
    count = client.query("SELECT count() FROM v_points WHERE run_id = {run:UUID}", parameters={"run": run_id})
    assert count.result_rows[0][0] == 16


def test_an_exception_in_training_marks_the_run_failed(
    environment: dict[str, str], worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    run_id, code = trained(environment, "raise", tmp_path / "w.bin")
    assert code == 1
    client = connect(environment["RUNSTREAM_CLICKHOUSE"])
    assert eventually(lambda: state(client, run_id), lambda found: found == "failed") == "failed"
    header = queries.run(client, "e2e", run_id)
    assert header is not None
    assert "diverged" in header.reason
