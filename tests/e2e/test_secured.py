"""Brokers and a database that are reached over TLS, by a user with a password."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ingest.ingest_worker import WorkerProcess, rows_of
from services.secured import PASSWORD, USER, Secured, SecuredKafka

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

TRAINER = """
import runstream
with runstream.init(project="secured") as run:
    for step in range(1000):
        run.log({"loss": step / 10, "acc": 0.5})
    assert run.wait("kafka", timeout=60)
"""


def test_a_run_streams_over_tls_with_a_password(
    secured_kafka: SecuredKafka,
    secured_clickhouse: Secured,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The agent comes with PLAIN, the worker with SCRAM; of neither certificate the system knows the authority."""
    url = f"{secured_clickhouse.url}/{database.rpartition('/')[2]}"
    variables = {
        "RUNSTREAM_DIR": str(tmp_path / "data"),
        "RUNSTREAM_TOPIC_PREFIX": "secured",
        "RUNSTREAM_INGEST_GROUP": "secured",
        "RUNSTREAM_KAFKA": secured_kafka.secured,
        "RUNSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "RUNSTREAM_KAFKA_CA_FILE": str(secured_kafka.certificate),
        "RUNSTREAM_KAFKA_USER": USER,
        "RUNSTREAM_KAFKA_PASSWORD": PASSWORD,
        "RUNSTREAM_CLICKHOUSE": url,
        "SSL_CERT_FILE": str(secured_clickhouse.certificate),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", TRAINER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in (tmp_path / "data" / "logs" / "agent.log").read_text()
    monkeypatch.setenv("RUNSTREAM_KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
    with WorkerProcess(secured_kafka.secured, url, "secured") as worker, rows_of(database) as rows:
        rows.until("points", 2000)
        assert worker.stop() == 0, worker.last_lines
        assert PASSWORD not in worker.last_lines
    lag = subprocess.run(
        [sys.executable, "-m", "runstream_deploy.cli", "verify"], capture_output=True, text=True, check=False
    )
    assert lag.returncode == 0, lag.stdout + lag.stderr
