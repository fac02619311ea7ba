"""A SQL endpoint in a process of its own, shared by the module's tests; each test has a database of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import clickhouse_connect
import httpx
import pytest

PASSWORD = "o-w:n/e r"


@dataclass
class SqlServer:
    """`url` has the owner's password; `base` has none and means the reader."""

    directory: Path
    port: int
    process: subprocess.Popen[str]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> int:
        """Ends it as a service manager does; the exit code."""
        self.process.terminate()
        return self.ended()

    def kill(self) -> None:
        self.process.kill()
        self.ended()

    def ended(self) -> int:
        code = self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def client(self, *, reader: bool = False, **options):
        user, password = ("reader", "") if reader else ("runstream", PASSWORD)
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, username=user, password=password, autogenerate_session_id=False, **options
        )

    def post(self, sql: str | bytes, *, reader: bool = False, **parameters: str) -> httpx.Response:
        auth = ("reader", "") if reader else ("runstream", PASSWORD)
        return httpx.post(self.base, content=sql, params=parameters, auth=auth, timeout=60)


def start(directory: Path, port: int = 0) -> SqlServer:
    command = [sys.executable, "-m", "runstream_deploy.embedded.sqlserver", "--dir", str(directory), "--json"]
    command += ["--port", str(port), "--password", PASSWORD]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the server ended with {process.wait()}"
    return SqlServer(directory, urlsplit(json.loads(line)["sql_url"]).port or 0, process)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    running = start(tmp_path_factory.mktemp("engine"))
    yield running
    assert running.stop() == 0


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[SqlServer]:
    """One that a test may kill."""
    running = start(tmp_path / "engine")
    yield running
    running.kill()


@pytest.fixture
def restart() -> Iterator[Callable[[SqlServer], SqlServer]]:
    """Starts another process on the directory of one that has ended."""
    begun: list[SqlServer] = []

    def again(ended: SqlServer) -> SqlServer:
        begun.append(start(ended.directory))
        return begun[-1]

    yield again
    for one in begun:
        one.kill()


@pytest.fixture
def database_name(server: SqlServer) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex}"
    server.post(f"CREATE DATABASE {name}").raise_for_status()
    yield name
    server.post(f"DROP DATABASE {name}").raise_for_status()


@pytest.fixture
def client(server: SqlServer, database_name: str) -> Iterator:
    with server.client(database=database_name) as opened:
        yield opened
