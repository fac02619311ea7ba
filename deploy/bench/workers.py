"""A real ingest worker in a process of its own, a database for it, and what both take from the machine."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from clickhouse_connect.driver.client import Client

from runstream_storage.connection import ClickHouseSettings, connect
from runstream_storage.migrate import migrate

SAMPLE_S = 0.25


@contextmanager
def database(url: str) -> Iterator[tuple[Client, str]]:
    """A fresh, migrated database, dropped at the end."""
    server = ClickHouseSettings.from_url(url)
    name = f"bench_{uuid.uuid4().hex[:8]}"
    mine = ClickHouseSettings(server.host, server.port, server.user, server.password, name, server.secure)
    migrate(mine)
    with closing(connect(mine)) as client:
        yield client, mine.url
        client.command(f"DROP DATABASE {name} SYNC")


@contextmanager
def worker(bootstrap: str, database_url: str, prefix: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with default settings; its partitions are assigned."""
    environment = {
        **os.environ,
        "RUNSTREAM_KAFKA": bootstrap,
        "RUNSTREAM_CLICKHOUSE": database_url,
        "RUNSTREAM_TOPIC_PREFIX": prefix,
        "RUNSTREAM_INGEST_GROUP": prefix,
        "RUNSTREAM_INGEST_PORT": "0",
    }
    process = subprocess.Popen([sys.executable, "-m", "runstream_ingest"], env=environment, stderr=subprocess.PIPE)
    try:
        _await_partitions(process)
        # What it says later must not fill the pipe and stop it.
        threading.Thread(target=_read_on, args=(process,), daemon=True).start()
        yield process
        process.terminate()
        if process.wait(60):
            raise RuntimeError(f"The worker ended with {process.returncode}.")
    finally:
        process.kill()
        process.wait()


def _await_partitions(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    said = b""
    for line in process.stderr:
        said = (said + line)[-2000:]
        if json.loads(line).get("event") == "partitions assigned":
            return
    raise RuntimeError(f"The worker ended before it got partitions: {said.decode(errors='replace')}")


def _read_on(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    for _ in process.stderr:
        pass


def cpu_seconds(pid: int) -> float:
    """Of the process and of those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


class Memory:
    """Samples the resident memory of a process from a thread, until it is left."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.samples: list[tuple[float, float]] = []
        """(monotonic seconds, MiB)."""

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            try:
                self.samples.append((time.monotonic(), rss_mib(self._pid)))
            except (OSError, StopIteration):
                return

    @property
    def peak_mib(self) -> float:
        return max(mib for _, mib in self.samples)

    @property
    def slope_mib_per_min(self) -> float:
        """Of the line through the second half of the samples, when caches are full."""
        times, mibs = zip(*self.samples[len(self.samples) // 2 :], strict=True)
        return 60 * statistics.linear_regression(times, mibs).slope
