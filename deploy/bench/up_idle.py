"""What `runstream up` takes while nothing happens: all its processes, with one finished run to show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from bars import at_most
from workers import cpu_seconds

SETTLES_S = 15.0
SECONDS = 20.0
BAR_SHARE, BAR_MIB = 0.03, 700
ONE_RUN = """
import runstream
run = runstream.init(project="idle", name="one")
for step in range(1000):
    run.log({"loss": 1 / (step + 1)}, step=step)
run.finish()
"""


def measure() -> list[tuple[str, str, str]]:
    """Rows of (what, value, note)."""
    with tempfile.TemporaryDirectory(prefix="runstream-bench-up-") as directory:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RUNSTREAM_")}
        environment["RUNSTREAM_DIR"] = directory
        command = [sys.executable, "-m", "runstream_deploy.cli", "up", "--json", "--ui-port", "0", "--sql-port", "0"]
        log = Path(directory) / "up.log"
        with log.open("w") as errors:
            up = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert up.stdout is not None
            said = up.stdout.readline()
            if not said:
                raise RuntimeError(f"runstream up did not start: {log.read_text()[-2000:]}")
            urls = json.loads(said)
            subprocess.run([sys.executable, "-c", ONE_RUN], env=environment, check=True, capture_output=True)
            await_points(urls["sql_url"], "1000")
            time.sleep(SETTLES_S)
            pids = [up.pid, *descendants(up.pid)]
            before, began = sum(map(cpu_seconds, pids)), time.monotonic()
            time.sleep(SECONDS)
            share = (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - began)
            memory = sum(map(pss_mib, pids))
        finally:
            up.send_signal(signal.SIGTERM)
            try:
                up.wait(30)
            except subprocess.TimeoutExpired:
                up.kill()
                up.wait()
    processes = f"{len(pids)} process{'es' if len(pids) > 1 else ''}, nobody looks at a page"
    return [
        ("`runstream up`, idle", f"{100 * share:.1f} % of a core", f"{at_most(share, BAR_SHARE, '3 %')}; {processes}"),
        ("`runstream up`, memory", f"{memory:.0f} MiB", at_most(memory, BAR_MIB, "700 MiB")),
    ]


def await_points(sql_url: str, expected: str, *, longest_s: float = 60.0) -> None:
    until = time.monotonic() + longest_s
    while httpx.post(sql_url, content="SELECT count() FROM points", timeout=30).text.strip() != expected:
        if time.monotonic() > until:
            raise RuntimeError("the run did not arrive")
        time.sleep(0.1)


def descendants(pid: int) -> list[int]:
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found += [child, *descendants(child)]
    return found


def pss_mib(pid: int) -> float:
    """Resident memory; pages that processes share are divided among them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    for row in measure():
        print(*row, sep="  |  ")
