"""The command line against services of this test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.place import Place, configure
from cli.stack import Runstream, Stack
from ingest.ingest_worker import WorkerProcess
from runstream.agent.lock import holder
from runstream.settings import VARIABLES
from runstream_deploy.cli.app import app
from runstream_storage.discovery import find_up


@pytest.fixture
def runstream(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runstream:
    """Runs a command in an environment without services; `code` is the exit code it must have."""
    for name in ("KAFKA", "CLICKHOUSE", "S3", "PROJECT", "INGEST_GROUP"):
        monkeypatch.delenv(f"RUNSTREAM_{name}", raising=False)
    monkeypatch.setenv("RUNSTREAM_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "250")

    def run(*arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(app, list(arguments))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, (done.output, done.stderr, done.exception)
        return done

    return run


@pytest.fixture
def cluster(runstream: Runstream, kafka: Any, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment names the broker and topics of this test's own; the prefix of the topics, also the group."""
    monkeypatch.setenv("RUNSTREAM_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("RUNSTREAM_TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("RUNSTREAM_INGEST_GROUP", topic_prefix)
    return topic_prefix


@pytest.fixture
def stack(runstream: Runstream, cluster: str, kafka: Any, database: str, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Kafka and ClickHouse in the environment, empty."""
    monkeypatch.setenv("RUNSTREAM_CLICKHOUSE", database)
    return Stack(runstream, kafka.bootstrap, cluster, database)


@pytest.fixture(scope="module")
def up() -> Iterator[dict[str, str]]:
    """The environment of a running `runstream up`."""
    ours = {name for name, _ in VARIABLES.values()}
    with tempfile.TemporaryDirectory(prefix="runstream-test-up-") as base:
        directory = Path(base, "data")
        environment = {key: value for key, value in os.environ.items() if key not in ours}
        environment |= {"RUNSTREAM_DIR": str(directory)}
        log = Path(base, "log").open("w")  # noqa: SIM115 - closed below
        command = [sys.executable, "-m", "runstream_deploy.cli", "up", "--ui-port", "0", "--sql-port", "0"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while find_up(directory) is None:
                assert process.poll() is None, Path(base, "log").read_text()
                assert time.monotonic() < deadline, Path(base, "log").read_text()
                time.sleep(0.05)
            yield {"RUNSTREAM_DIR": str(directory)}
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            log.close()


@pytest.fixture
def embedded(up: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Place:
    return configure(monkeypatch, up)


@pytest.fixture
def full(
    kafka: Any, topic_prefix: str, database: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Kafka, ClickHouse and S3 with an ingest worker; the agent starts on demand."""
    values = {
        "RUNSTREAM_DIR": str(tmp_path / "data"),
        "RUNSTREAM_KAFKA": kafka.bootstrap,
        "RUNSTREAM_TOPIC_PREFIX": topic_prefix,
        "RUNSTREAM_INGEST_GROUP": topic_prefix,
        "RUNSTREAM_CLICKHOUSE": database,
        "RUNSTREAM_S3": bucket,
    }
    with WorkerProcess(kafka.bootstrap, database, topic_prefix):
        yield configure(monkeypatch, values)
    # One that waits until the end of a run is queryable would ask a broker that is gone for ever.
    for lock in tmp_path.glob("*/agent.lock"):
        with contextlib.suppress(ProcessLookupError):
            if pid := holder(lock):
                os.kill(pid, signal.SIGTERM)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def make(content: str, name: str = "f.txt") -> Path:
        path = tmp_path / uuid.uuid4().hex / name
        path.parent.mkdir()
        path.write_text(content)
        return path

    return make
