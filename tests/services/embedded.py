"""The embedded engine behind its ClickHouse-protocol endpoint, in a process of its own."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runstream_deploy.dev.processes import spawn

_TIMEOUT_S = 60.0


@contextmanager
def sql_endpoint() -> Iterator[str]:
    """The URL of the endpoint, as the user that may write."""
    with tempfile.TemporaryDirectory(prefix="runstream-test-embedded-") as directory:
        place, log = Path(directory), Path(directory) / "sqlserver.log"
        command = [sys.executable, "-m", "runstream_deploy.embedded.sqlserver"]
        options = ["--dir", str(place / "data"), "--port", "0", "--json"]
        process = spawn([*command, *options], log, env=dict(os.environ), cwd=place, tethered=True)
        try:
            deadline = time.monotonic() + _TIMEOUT_S
            while not (url := announced(log)):
                if not process.alive or time.monotonic() > deadline:
                    raise RuntimeError(f"The embedded SQL endpoint did not start:\n{log.read_text()}")
                time.sleep(0.05)
            yield url
        finally:
            process.kill()


def announced(log: Path) -> str:
    """The address that the endpoint printed; empty before it did."""
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    found = [line for line in lines if line.startswith("{") and line.endswith("\n")]
    return str(json.loads(found[0])["sql_url"]) if found else ""
