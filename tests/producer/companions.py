"""Programs beside which a companion runs, and what it recorded of them."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runstream.companion.outbox import (
    CONSOLE,
    KEYS,
    LOCK,
    NOTE,
    OUTPUT,
    OUTPUT_HEAD,
    SAMPLE,
    SYSTEM,
    TIME,
    OutboxReader,
)
from runstream.identity import lock_is_held
from runstream.spool import read_header

WITHIN_S = 60.0


@dataclass
class Recorded:
    """What a console outbox holds: bytes of each stream (1 stdout, 2 stderr, 3 a notebook's), and remarks."""

    streams: dict[int, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def out(self) -> bytes:
        return self.streams.get(1, b"")

    @property
    def err(self) -> bytes:
        return self.streams.get(2, b"")


def recorded(directory: Path) -> Recorded:
    """Once nothing is added any more."""
    wait_until(lambda: not lock_is_held(directory / LOCK), f"{directory} is still recorded to")
    found = Recorded()
    reader = OutboxReader(str(directory), CONSOLE)
    while records := reader.read():
        for record in records:
            if record.kind == OUTPUT:
                before = found.streams.get(record.argument, b"")
                found.streams[record.argument] = before + bytes(record.body[OUTPUT_HEAD.size :])
            elif record.kind == NOTE:
                found.notes.append(bytes(record.body[TIME.size :]).decode())
    reader.close()
    return found


def samples(directory: Path) -> list[dict[tuple[str, str], float]]:
    """Each sample of a system outbox: (metric, device) to value."""
    reader, keys, found = OutboxReader(str(directory), SYSTEM), [], []
    while records := reader.read():
        for record in records:
            if record.kind == KEYS:
                described = json.loads(bytes(record.body))
                assert described["node"] == os.uname().nodename
                keys = [tuple(key) for key in described["keys"]]
            elif record.kind == SAMPLE:
                values = struct.unpack_from(f"<{len(keys)}d", record.body, TIME.size)
                found.append(dict(zip(keys, values, strict=True)))
    reader.close()
    return found


def wait_until(condition: Callable[[], Any], otherwise: str) -> None:
    give_up_at = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < give_up_at, otherwise
        time.sleep(0.01)


def writers(data_dir: Path) -> list[Path]:
    """The writers' directories, the first first."""
    found = (data_dir / "spool").glob("*/*/00000001.seg")
    return [segment.parent for segment in sorted(found, key=lambda path: read_header(path)[0].created_us)]


def companions(directory: Path) -> dict[int, int]:
    """Pid to parent's pid of the companion processes that hold files of `directory` open."""
    found = {}
    for process in Path("/proc").iterdir():
        try:
            if not process.name.isdecimal() or b"companion/__main__" not in (process / "cmdline").read_bytes():
                continue
            opened = [str(fd.readlink()) for fd in (process / "fd").iterdir()]
            if any(path.startswith(str(directory)) for path in opened):
                stat = (process / "stat").read_text().rsplit(")", 1)[1].split()
                if stat[0] != "Z":
                    found[int(process.name)] = int(stat[1])
        except OSError:
            continue  # it has just ended
    return found


def halves(directory: Path) -> tuple[int, int]:
    """Pids of the keeper and the reader."""
    found: dict[int, int] = {}

    def both() -> bool:
        found.clear()
        found.update(companions(directory))
        return len(found) == 2 and any(parent in found for parent in found.values())

    wait_until(both, "there are no two halves")
    reader = next(pid for pid, parent in found.items() if parent in found)
    return found[reader], reader


class Programs:
    """Starts programs with a console that is recorded; all of them are gone at the end."""

    def __init__(self, tmp_path: Path, environment: dict[str, str]) -> None:
        self._tmp_path = tmp_path
        self._environment = {
            **environment,
            "RUNSTREAM_CONSOLE": "1",
            "RUNSTREAM_MODE": "offline",
            "RUNSTREAM_QUIET": "1",
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, program: str, *, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
        script = self._tmp_path / f"program{len(self._started)}.py"
        script.write_text("import os, signal, subprocess, sys, time\nimport runstream\n" + textwrap.dedent(program))
        process = subprocess.Popen(
            [sys.executable, str(script)], env={**self._environment, **(env or {})}, cwd=self._tmp_path, **options
        )
        self._started.append(process)
        return process

    def run(
        self, program: str, *, env: dict[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        process = self.start(program, env=env, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options)
        out, err = process.communicate(timeout=WITHIN_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def programs_in(tmp_path: Path) -> Iterator[Programs]:
    started = Programs(tmp_path, dict(os.environ))
    yield started
    started.end()
    wait_until(lambda: not companions(tmp_path), "a companion is left")
