"""The processes of a storm: workers, trainers and agents, each tied to this process's life."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

import runstream_deploy.dev.processes as dev_processes

_TETHER = Path(dev_processes.__file__).with_name("tether.py")
TRAINER = Path(__file__).with_name("trainer.py")


class Child:
    """A process whose output goes to `log`; the kernel kills it when the thread that started it ends."""

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        tether = [sys.executable, "-I", str(_TETHER), str(os.getpid()), str(log.parent)]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*tether, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=clean_environment(environment),
                start_new_session=True,
            )
        self.pid = self._process.pid
        self.is_stopped = False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        if self.alive:
            self._process.send_signal(number)
            self.is_stopped = number == signal.SIGSTOP or (self.is_stopped and number != signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and return when it is gone."""
        self.signal(signal.SIGKILL)
        self._process.wait(30)

    def wait(self, timeout_s: float) -> int:
        """The exit code; raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout_s)

    def end(self) -> None:
        """SIGTERM, and SIGKILL when that takes more than 30 s."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def rss_mib(self) -> float:
        with suppress(psutil.Error):
            return float(psutil.Process(self.pid).memory_info().rss) / 2**20
        return 0.0

    def lines(self) -> list[dict[str, Any]]:
        """Its log, when it logs JSON; what is not JSON is left out."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            with suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return [line for line in found if isinstance(line, dict)]

    def tail(self, lines: int = 15) -> str:
        return "\n".join(line[:400] for line in self.log.read_text(errors="replace").splitlines()[-lines:])


def clean_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without any RUNSTREAM_*, and with `variables`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RUNSTREAM_")}
    return {**kept, **variables}


def start_worker(log: Path, environment: Mapping[str, str], **settings: Any) -> Child:
    """An ingest worker; `settings` are RUNSTREAM_INGEST_* in lower case."""
    variables = {f"RUNSTREAM_INGEST_{name.upper()}": str(value) for name, value in settings.items() if value}
    command = [sys.executable, "-m", "runstream_ingest"]
    return Child(command, log, {**environment, "RUNSTREAM_INGEST_PORT": "0", **variables})


def start_agent(directory: Path, log: Path, environment: Mapping[str, str], *, stay: bool) -> Child:
    command = [sys.executable, "-m", "runstream.agent", "--dir", str(directory), *(["--stay"] if stay else [])]
    return Child(command, log, environment)


def signal_pid(pid: int | None, number: signal.Signals) -> None:
    """To a process that is nobody's child here, such as an agent that a trainer started."""
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
