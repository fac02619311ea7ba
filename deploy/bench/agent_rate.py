"""The agent as a process: points a second from a full spool to a real broker, memory without one, cost while idle."""

from __future__ import annotations

import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bars import at_least

from runstream.spool_cursor import Cursor
from runstream.spool_records import KeySet
from runstream.spool_writer import SpoolWriter

METRICS = 10
NAMES = tuple(f"metric/{i}" for i in range(METRICS))
SINGLES = (("loss",), ("lr",), ("norm",))
ROWS = 1_000_000
ROUNDS = 3
IDLE_S = 10.0
SETTLE_S = 5.0
LIVE_ROWS_PER_S = 1_000


def measure(kafka_bootstrap: str) -> list[tuple[str, str, str]]:
    """Rows of (what, value, note)."""
    rates = [shipped(kafka_bootstrap) for _ in range(ROUNDS)]
    # Rows of one metric: of a single one, and of three in turn.
    uniform, mixed = (shipped(kafka_bootstrap, sets)[0] for sets in (SINGLES[:1], SINGLES))
    each = ", ".join(f"{points / 1e6:.1f}" for points, _ in rates)
    rate = statistics.median(points for points, _ in rates)
    size = rates[0][1]
    peak, held = without_broker()
    return [
        ("Agent, spool to broker", f"{rate / 1e6:.1f} M points/s", f"rows of {METRICS}, median of {ROUNDS}: {each}"),
        ("The same as spooled bytes", f"{rate * size / 2**20:.0f} MiB/s", f"{size:.1f} bytes a point in the spool"),
        ("Rows of one metric", f"{uniform / 1e6:.2f} M rows/s", "always the same"),
        (
            "Rows of one metric, three metrics in turn",
            f"{mixed / 1e6:.2f} M rows/s",
            at_least(mixed / uniform, 1 / 3, "a third of the rows of one metric"),
        ),
        ("Agent, peak RSS, broker down", f"{peak:.0f} MiB", f"{held / 1e6:.0f} M points spooled and unsent"),
        ("Agent beside an idle run", f"{100 * beside(kafka_bootstrap, 0):.1f} % of a core", f"over {IDLE_S:.0f} s"),
        (
            "Agent beside a running run",
            f"{100 * beside(kafka_bootstrap, LIVE_ROWS_PER_S):.1f} % of a core",
            f"{LIVE_ROWS_PER_S:,} log() calls of {METRICS} metrics a second",
        ),
    ]


def shipped(bootstrap: str, sets: Sequence[tuple[str, ...]] = (NAMES,)) -> tuple[float, float]:
    """Points a second between the first and the last acknowledgement, and bytes a point in the spool."""
    with tempfile.TemporaryDirectory(prefix="runstream-agent-rate-") as directory:
        writer, size = filled(Path(directory), sets)
        writer.append_event({"type": "RunFinished", "state": "finished"})
        writer.close()
        spool = writer.directory
        with agent(Path(directory), bootstrap):
            while not (first := Cursor.load(spool).position.row_seq):
                time.sleep(0.005)
            began = time.perf_counter()
            while spool.exists() and not Cursor.load(spool).finished:
                time.sleep(0.005)
            took = time.perf_counter() - began
        return (ROWS - first) * len(sets[0]) / took, size


def without_broker() -> tuple[float, int]:
    """Peak resident MiB once reading has paused, and the points that wait."""
    with tempfile.TemporaryDirectory(prefix="runstream-agent-rss-") as directory, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: nobody else takes the port and nobody answers
        writer, _ = filled(Path(directory))
        with agent(Path(directory), f"127.0.0.1:{closed.getsockname()[1]}") as process:
            peak, since = 0.0, time.monotonic()
            while time.monotonic() - since < SETTLE_S:
                now = peak_mib(process.pid)
                if now > peak:
                    peak, since = now, time.monotonic()
                time.sleep(0.2)
        writer.abandon()
        return peak, ROWS * METRICS


def beside(bootstrap: str, rows_per_s: int) -> float:
    """Share of a core that the agent takes while one run lives and logs `rows_per_s` rows."""
    with tempfile.TemporaryDirectory(prefix="runstream-agent-idle-") as directory:
        writer = writer_in(Path(directory))
        keys = KeySet(1, NAMES)
        writer.append_row(keys, 0, [1.0] * METRICS)
        with agent(Path(directory), bootstrap) as process:
            while not Cursor.load(writer.directory).position.row_seq:
                time.sleep(0.05)
            time.sleep(SETTLE_S + 1)
            before, began, step = cpu_seconds(process.pid), time.monotonic(), 1
            while (passed := time.monotonic() - began) < IDLE_S:
                while step < passed * rows_per_s:
                    writer.append_row(keys, step, [float(step)] * METRICS)
                    step += 1
                time.sleep(0.001 if rows_per_s else 0.1)
            used = cpu_seconds(process.pid) - before
        writer.abandon()
        return used / passed


def writer_in(directory: Path) -> SpoolWriter:
    return SpoolWriter(
        directory / "spool",
        run_id=uuid.uuid4(),
        writer_id=random.getrandbits(62) + 1,
        project="bench",
        attempt=0,
        rank=0,
        segment_bytes=1 << 20,
        segment_max_bytes=16 << 20,
    )


def filled(directory: Path, sets: Sequence[tuple[str, ...]] = (NAMES,)) -> tuple[SpoolWriter, float]:
    """A spool of ROWS rows of noise with each of `sets` in turn, all as wide, and its bytes a point."""
    writer = writer_in(directory)
    keys = [KeySet(number, names) for number, names in enumerate(sets, 1)]
    noise = [[random.gauss(0, 1) for _ in sets[0]] for _ in range(1000)]
    for step in range(ROWS):
        writer.append_row(keys[step % len(keys)], step, noise[step % 1000])
    return writer, keys[0].size / len(sets[0])


@contextmanager
def agent(directory: Path, bootstrap: str) -> Iterator[subprocess.Popen[bytes]]:
    env = {
        **os.environ,
        "RUNSTREAM_KAFKA": bootstrap,
        "RUNSTREAM_KAFKA_PARTITIONS": "2",
        "RUNSTREAM_TOPIC_PREFIX": f"bench-{uuid.uuid4().hex[:8]}",
    }
    command = [sys.executable, "-m", "runstream.agent", "--dir", str(directory), "--stay", "--log-level", "ERROR"]
    process = subprocess.Popen(command, env=env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    for row in measure(sys.argv[1]):
        print(*row, sep="  |  ")
