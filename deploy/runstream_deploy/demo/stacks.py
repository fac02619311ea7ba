"""What the demo runs on: one embedded process, or the real Kafka, ClickHouse and MinIO with our services in front."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

STARTS_WITHIN_S = 90.0
STOPS_WITHIN_S = 30.0


class DemoFailed(Exception):
    """The demo cannot go on; the text says why and where to look."""


@dataclass(frozen=True)
class Running:
    """A started stack: `environment` is what a training process needs to reach it."""

    ui_url: str
    sql_url: str
    how_to_ask: str
    environment: Mapping[str, str]
    processes: tuple[subprocess.Popen[str], ...]

    def ended(self) -> subprocess.Popen[str] | None:
        """The first of our processes that is no longer there, which is always a failure of the demo."""
        return next((process for process in self.processes if process.poll() is not None), None)


@contextlib.contextmanager
def embedded(directory: Path) -> Iterator[Running]:
    """`runstream up` on free ports."""
    environment = {"RUNSTREAM_DIR": str(directory)}
    log = directory / "logs" / "up.log"
    command = ["up", "--dir", str(directory), "--ui-port", "0", "--sql-port", "0", "--json"]
    with started(command, environment, log, piped=True) as process:
        urls = json.loads(first_line(process, log))
        how = f"RUNSTREAM_DIR={directory} runstream sql 'SELECT * FROM v_runs LIMIT 5'"  # noqa: S608 - a line to copy
        yield Running(urls["ui_url"], urls["sql_url"], how, environment, (process,))


@contextlib.contextmanager
def full(directory: Path) -> Iterator[Running]:
    """Real servers from `runstream dev`, our ingest worker and UI in processes of their own."""
    from runstream_deploy.dev import Stack
    from runstream_deploy.dev.ports import free_ports
    from runstream_storage.connection import ClickHouseSettings

    with Stack(directory / "services", tethered=True) as services:
        (port,) = free_ports(1)
        environment = {"RUNSTREAM_DIR": str(directory / "data"), "RUNSTREAM_INGEST_PORT": "0", **services.environment()}
        logs = directory / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        subprocess.run(command_line("migrate"), env={**os.environ, **environment}, check=True)
        ingest = started(["ingest"], environment, logs / "ingest.log")
        ui = started(["ui", "--port", str(port)], environment, logs / "ui.log")
        with ingest as worker, ui as pages:
            url = f"http://127.0.0.1:{port}"
            wait_for_page(url, pages, logs / "ui.log")
            sql_url = ClickHouseSettings.from_url(environment["RUNSTREAM_CLICKHOUSE"]).safe_url
            how = f"`runstream dev status --dir {directory / 'services'} --json` has the password"
            yield Running(url, sql_url, how, environment, (worker, pages))


@contextlib.contextmanager
def started(
    arguments: list[str], environment: Mapping[str, str], log: Path, *, piped: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """One of our own commands as a process, ended with SIGTERM when the block is left."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as errors:
        process = subprocess.Popen(
            command_line(*arguments),
            env={**os.environ, **environment},
            stdout=subprocess.PIPE if piped else errors,
            stderr=errors,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the demo alone, which then stops its processes in order
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def first_line(process: subprocess.Popen[str], log: Path) -> str:
    """What the process prints once it is ready."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise DemoFailed(f"`runstream up` ended with {process.wait()} before it was ready. Its log ends:\n{tail(log)}")
    return line


def wait_for_page(url: str, process: subprocess.Popen[str], log: Path) -> None:
    limit = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise DemoFailed(f"`runstream ui` ended with {process.returncode}. Its log ends:\n{tail(log)}")
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310
            return
        time.sleep(0.2)
    raise DemoFailed(f"{url} did not answer within {STARTS_WITHIN_S:.0f} s; see {log}")


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "runstream_deploy.cli", *arguments]


def tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
