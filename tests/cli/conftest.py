"""The command line against services of this test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.stack import Runstream, Stack
from runstream_deploy.cli.app import app


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
