"""What the companion costs: processor and memory while idle, and what it adds to init() and finish()."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TIMED = """
import json, os, sys, time
import runstream
began = time.perf_counter()
run = runstream.init()
started = time.perf_counter()
run.finish()
print(json.dumps([1e3 * (started - began), 1e3 * (time.perf_counter() - started)]))
"""
IDLE = "import runstream, sys; run = runstream.init(); print('up', flush=True); sys.stdin.readline()"
PRINTS = """
import os, sys, time
import runstream
runstream.init()
began = time.perf_counter()
for _ in range(2000):
    os.write(1, b"x" * 65536)
sys.stderr.write(str(2000 * 65536 / 2**20 / (time.perf_counter() - began)))
"""
PAIRS = 9
WATCH_S = 40
ON = {"RUNSTREAM_CONSOLE": "1", "RUNSTREAM_SYSTEM": "1", "RUNSTREAM_CONSOLE_MAX_RATE": "0"}
OFF = {"RUNSTREAM_CONSOLE": "0", "RUNSTREAM_SYSTEM": "0"}


def measure() -> list[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as directory:
        begun, ended = _starts(Path(directory))
        core, private_mib, processes = _idle(Path(directory))
        with_it, without = (_printed(Path(directory), switch) for switch in (ON, OFF))
    return [
        ("added to init()", f"{begun:.1f} ms", f"median of {PAIRS} pairs, with and without, nothing captured"),
        ("added to finish()", f"{ended:.1f} ms", "until all that was printed is passed on"),
        ("processor, idle, sampling every 5 s", f"{core:.3f} % of a core", f"over {WATCH_S} s; bar 0.5 %"),
        ("memory of its own", f"{private_mib:.1f} MiB", f"{processes} processes, proportional set size"),
        ("printing to a file", f"{with_it:,.0f} MiB/s", f"{without:,.0f} MiB/s without it"),
    ]


def _starts(directory: Path) -> tuple[float, float]:
    differences = []
    for _ in range(PAIRS):
        on, off = (json.loads(_run(TIMED, directory, switch).stdout) for switch in (ON, OFF))
        differences.append((on[0] - off[0], on[1] - off[1]))
    return statistics.median(d[0] for d in differences), statistics.median(d[1] for d in differences)


def _idle(directory: Path) -> tuple[float, float, int]:
    with subprocess.Popen(
        [sys.executable, "-c", IDLE],
        env=_environment(directory / "idle", {**ON, "RUNSTREAM_SYSTEM_INTERVAL_S": "5"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(3)
        pids = _companions(directory / "idle")
        before = sum(map(_ticks, pids))
        time.sleep(WATCH_S)
        spent = (sum(map(_ticks, pids)) - before) / os.sysconf("SC_CLK_TCK")
        memory = sum(_proportional_kib(pid) for pid in pids) / 1024
        process.communicate(b"\n")
    return 100 * spent / WATCH_S, memory, len(pids)


def _printed(directory: Path, switch: dict[str, str]) -> float:
    with (directory / "out").open("wb") as out:
        return float(_run(PRINTS, directory, switch, stdout=out).stderr)


def _run(program: str, directory: Path, switch: dict[str, str], **options: object) -> subprocess.CompletedProcess[str]:
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    environment = _environment(directory / "runs", switch)
    return subprocess.run([sys.executable, "-c", program], env=environment, text=True, check=True, **given)  # type: ignore[call-overload, no-any-return]


def _environment(directory: Path, switch: dict[str, str]) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RUNSTREAM_")}
    ours = {"DIR": str(directory), "MODE": "offline", "QUIET": "1", "CAPTURE": "0"}
    return {**kept, **{f"RUNSTREAM_{name}": text for name, text in ours.items()}, **switch}


def _companions(directory: Path) -> list[int]:
    """Processes that hold a file of this data directory open and are no program of ours here."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and b"companion/__main__" in (process / "cmdline").read_bytes():
                opened = [str(fd.readlink()) for fd in (process / "fd").iterdir()]
                if any(path.startswith(str(directory)) for path in opened):
                    found.append(int(process.name))
        except OSError:
            continue
    return found


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def _proportional_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0
