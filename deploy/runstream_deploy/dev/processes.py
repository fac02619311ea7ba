"""Processes that outlive the one that started them, and are known by pid *and* start time."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TETHER = Path(__file__).with_name("tether.py")


@dataclass(frozen=True)
class Process:
    """A process; `started` (clock ticks since boot) tells it from a later one that was given the same pid."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        _reap(self.pid)
        return _start_time(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone."""
        if self.alive:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and return when it is gone."""
        self.signal(signal.SIGKILL)
        self.wait(20.0)

    def wait(self, timeout_s: float) -> bool:
        """Whether it is gone before `timeout_s` passed."""
        deadline = time.monotonic() + timeout_s
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def spawn(command: Sequence[str], log: Path, *, env: Mapping[str, str], cwd: Path, tethered: bool) -> Process:
    """Start `command` in a session of its own with its output appended to `log`.

    A tethered process is killed by the kernel when the calling thread's process ends, however it ends.
    """
    program = shutil.which(command[0], path=env.get("PATH")) or command[0]
    prefix = [sys.executable, "-I", str(_TETHER), str(os.getpid() if tethered else 0), str(cwd)]
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    argv = [*prefix, program, *command[1:]]
    pid = os.posix_spawn(sys.executable, argv, dict(env), file_actions=actions, setsid=True)
    return Process(pid=pid, started=_start_time(pid) or 0)


def _start_time(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat (proc(5)); None when there is no such process or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()  # the name may hold spaces and brackets
    return None if fields[0] in "ZX" else int(fields[19])


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # another process started it
        return
