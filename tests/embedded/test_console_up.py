"""What a run printed and how its machine was, from the process to SQL, with nothing but `runstream up`."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

TRAIN = """
import subprocess, sys, time
import runstream
run = runstream.init(project="digits")
print("epoch 1", flush=True)
subprocess.run(["sh", "-c", "echo child"])
for i in range(1, 6):
    sys.stderr.write(f"\\r{i}/5"); sys.stderr.flush()
sys.stderr.write("\\n")
print("\\x1b[1mtoken\\x1b[0m hf_\\x1b[31m" + "a" * 34 + "\\x1b[0m")
run.finish()
print("not of the run")
"""


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[str]:
    """The address of the SQL endpoint of a `runstream up` on `tmp_path / "data"`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "runstream_deploy.cli", "up", "--ui-port", "0", "--sql-port", "0", "--json"],
        env={**os.environ, "RUNSTREAM_DIR": str(tmp_path / "data")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["sql_url"]
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.stdout.close()


def test_console_and_samples_of_a_run_are_in_the_views(sql: str, tmp_path: Path) -> None:
    def ask(query: str) -> str:
        answer = httpx.post(sql, content=query, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.text

    wanted = {
        "RUNSTREAM_CONSOLE": "1",
        "RUNSTREAM_SYSTEM": "1",
        "RUNSTREAM_QUIET": "1",
        "RUNSTREAM_DIR": str(tmp_path / "data"),
    }
    done = subprocess.run([sys.executable, "-c", TRAIN], env={**os.environ, **wanted}, capture_output=True, check=True)
    assert done.stdout.endswith(b"a\x1b[0m\nnot of the run\n")
    lines = ""
    give_up_at = time.monotonic() + 90
    while lines.count("\n") < 4 or not int(ask("SELECT count() FROM v_system WHERE metric = 'memory.used_bytes'")):
        assert time.monotonic() < give_up_at, lines
        lines = ask("SELECT stream, text FROM v_console ORDER BY stream, line")
        time.sleep(0.1)
    assert lines == "stderr\t5/5\nstdout\tepoch 1\nstdout\tchild\nstdout\ttoken ***\n"
    assert ask("SELECT styles FROM console FINAL WHERE text = 'token ***'") == "0:1 5:\n"
