"""What a training loop pays: `log()` of 10 scalars beside an empty call and a list append, import and `init()`.

Each number comes from a process of its own. Every call is timed by itself, the timer included (the first row says what
that is). With a broker the agent runs beside the loop and ships what it logs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CALLS = 300_000
STARTS = 15
LOOP = f"""
import json, sys, time
import runstream
clock = time.perf_counter_ns
run = runstream.init(project="log-cost", settings={{"finish_timeout_s": 120.0}})
row = {{f"metric/{{i}}": i / 7 for i in range(10)}}
kept = []
def nothing(row): pass
calls = {{"nothing": nothing, "append": kept.append, "log": run.log}}
for _ in range(20_000):
    run.log(row)
found = {{}}
for name, call in calls.items():
    took = []
    for _ in range({CALLS}):
        before = clock()
        call(row)
        took.append(clock() - before)
    took.sort()
    found[name] = [took[len(took) // 2], took[len(took) * 99 // 100], took[len(took) * 999 // 1000], took[-1]]
print(json.dumps(found))
sys.stdout.flush()
if run.settings.kafka:
    run.finish()
"""
STARTED = """
import time
{before}
wall, cpu = time.perf_counter(), time.process_time()
{timed}
print(time.perf_counter() - wall, time.process_time() - cpu)
"""
IMPORT = STARTED.format(before="", timed="import runstream")
INIT = STARTED.format(before="import runstream", timed="runstream.init()")


def measure(kafka_bootstrap: str | None = None) -> list[tuple[str, str, str]]:
    """The rows of the report; with a broker also what `log()` costs while the agent ships to it."""
    rows: list[tuple[str, str, str]] = []
    alone = _loop({})
    rows.append(_row("an empty call", alone["nothing"], "the floor: what the timer and a call cost"))
    rows.append(_row("list.append of the dict", alone["append"], ""))
    rows.append(_row("log() of 10 scalars", alone["log"], "spool only"))
    if kafka_bootstrap is not None:
        prefix = f"log_cost_{os.getpid()}"
        shipped = _loop({"RUNSTREAM_KAFKA": kafka_bootstrap, "RUNSTREAM_TOPIC_PREFIX": prefix})
        rows.append(_row("log() of 10 scalars, agent and broker at work", shipped["log"], "same machine"))
    bare, captured = {"RUNSTREAM_CAPTURE": "0"}, {"RUNSTREAM_CAPTURE": "1"}
    rows.append(_start_row("import runstream", IMPORT, bare, f"median of {STARTS} processes"))
    rows.append(_start_row("init() without capture", INIT, bare, "directory, first segment, start event"))
    rows.append(_start_row("init() with capture", INIT, captured, "git, packages, machine, environment"))
    return rows


def _row(what: str, took: list[int], note: str) -> tuple[str, str, str]:
    p50, p99, p999, longest = (nanoseconds / 1000 for nanoseconds in took)
    tail = f"p99.9 {p999:.1f} us, longest {longest / 1000:.1f} ms"
    return what, f"p50 {p50:.2f} us, p99 {p99:.1f} us", f"{note}; {tail}" if note else tail


def _loop(environment: dict[str, str]) -> dict[str, list[int]]:
    with _directory() as directory:
        found: dict[str, list[int]] = json.loads(_run(LOOP, directory, {"RUNSTREAM_CAPTURE": "0", **environment}))
        if environment:
            _agent_gone(Path(directory))
    return found


def _start_row(what: str, program: str, environment: dict[str, str], note: str) -> tuple[str, str, str]:
    with _directory() as directory:
        took = [_run(program, directory, environment).split() for _ in range(STARTS + 1)]
    # The first one writes the byte code.
    wall, cpu = (statistics.median(float(one[column]) for one in took[1:]) * 1000 for column in (0, 1))
    return what, f"{wall:.1f} ms", f"{note}; {cpu:.1f} ms of CPU"


def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="runstream-log-cost-", ignore_cleanup_errors=True)


def _run(program: str, directory: str, environment: dict[str, str]) -> str:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RUNSTREAM_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    kept.update(environment, RUNSTREAM_DIR=directory, RUNSTREAM_QUIET="1", PYTHONPYCACHEPREFIX=f"{directory}/pyc")
    return subprocess.run([sys.executable, "-c", program], env=kept, check=True, capture_output=True, text=True).stdout


def _agent_gone(directory: Path) -> None:
    """The agent leaves when all is sent; its directory may go then."""
    from runstream.identity import lock_is_held

    deadline = time.monotonic() + 60
    while lock_is_held(directory / "agent.lock") and time.monotonic() < deadline:
        time.sleep(0.1)


if __name__ == "__main__":
    for what, value, note in measure(os.environ.get("RUNSTREAM_KAFKA")):
        print(f"{what:<48} {value:<32} {note}")
