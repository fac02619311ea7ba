from __future__ import annotations

import os
import socket
import subprocess
import sys

import httpx
import pytest

from runstream_ingest.health import Health
from runstream_ingest.metrics import Metrics
from runstream_ingest.probes import application


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def client(health: Health) -> httpx.AsyncClient:
    metrics = Metrics()
    metrics.points.labels(topic="t").inc(7)
    return httpx.AsyncClient(transport=httpx.ASGITransport(application(metrics, health)), base_url="http://probes")


async def test_metrics_are_those_of_prometheus(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert 'runstream_ingest_points_total{topic="t"} 7.0' in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


async def test_a_loop_that_turns_is_alive_and_one_that_stalls_is_not(
    client: httpx.AsyncClient, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await client.get("/healthz")).status_code == 200
    monkeypatch.setattr("runstream_ingest.health.STALL_S", -1.0)
    assert (await client.get("/healthz")).status_code == 503
    assert (await client.get("/readyz")).status_code == 503


async def test_it_is_ready_once_it_has_no_problem_and_names_those_it_has(
    client: httpx.AsyncClient, health: Health
) -> None:
    assert (await client.get("/readyz")).json() == {"problems": {"start": "starting"}}
    health.solved("start")
    assert (await client.get("/readyz")).status_code == 200
    health.problem("clickhouse", "away")
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"problems": {"clickhouse": "away"}}
    assert (await client.get("/healthz")).status_code == 200


def test_a_taken_port_is_told_in_words_and_with_its_own_exit_code() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environment = {
            **os.environ,
            "RUNSTREAM_KAFKA": "127.0.0.1:9",
            "RUNSTREAM_CLICKHOUSE": "http://127.0.0.1:9/d",
            "RUNSTREAM_INGEST_PORT": port,
        }
        done = subprocess.run(
            [sys.executable, "-m", "runstream_ingest"], env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 4
    assert f"127.0.0.1:{port}" in done.stderr
    assert "RUNSTREAM_INGEST_PORT" in done.stderr
    assert "Traceback" not in done.stderr
