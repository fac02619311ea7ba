"""The processes of a storm: workers, trainers and agents, each tied to this process's life."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

import runstream_deploy.dev.processes as dev_processes

_TETHER = Path(dev_processes.__file__).with_name("tether.py")
NURSERY = Path(__file__).with_name("nursery.py")
TRAINER = Path(__file__).with_name("trainer.py")


class Child(ABC):
    """A process whose output goes to `log`; the kernel kills it when this process ends."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log

    @property
    @abstractmethod
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""

    @property
    def alive(self) -> bool:
        return self.code is None

    def signal(self, number: signal.Signals) -> None:
        if self.alive:
            signal_pid(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and return when it is gone."""
        self.signal(signal.SIGKILL)
        self.wait(30)

    def wait(self, timeout_s: float) -> int:
        """The exit code. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while (code := self.code) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.log.name} still runs after {timeout_s:.0f} s\n{self.tail()}")
            time.sleep(0.02)
        return code

    def end(self) -> None:
        """SIGTERM, and SIGKILL when that takes more than 30 s."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.wait(30)
        except TimeoutError:
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


class Started(Child):
    """Started here, by its command."""

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_tethered(log.parent), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=clean_environment(environment),
                start_new_session=True,
            )
        super().__init__(self._process.pid, log)

    @property
    def code(self) -> int | None:
        return self._process.poll()


class Worker(Child):
    """An ingest worker, out of the nursery."""

    def __init__(self, pid: int, log: Path, codes: Mapping[int, int]) -> None:
        super().__init__(pid, log)
        self._codes = codes

    @property
    def code(self) -> int | None:
        return self._codes.get(self.pid)


class Nursery:
    """Makes ingest workers in milliseconds; see nursery.py. They end with it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [*_tethered(Path.cwd()), sys.executable, str(NURSERY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=clean_environment({}),
            start_new_session=True,
        )
        self._codes: dict[int, int] = {}
        self._born: queue.Queue[int] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def worker(self, log: Path, environment: Mapping[str, str], **settings: Any) -> Worker:
        """`settings` are RUNSTREAM_INGEST_* in lower case; an empty one is left out."""
        variables = {f"RUNSTREAM_INGEST_{name.upper()}": str(value) for name, value in settings.items() if value}
        whole = clean_environment({**environment, "RUNSTREAM_INGEST_PORT": "0", **variables})
        log.touch()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"log": str(log), "environment": whole}).encode() + b"\n")
        self._process.stdin.flush()
        return Worker(self._born.get(timeout=60), log, self._codes)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            for line in said:
                what, *numbers = line.split()
                if what == b"pid":
                    self._born.put(int(numbers[0]))
                else:
                    self._codes[int(numbers[0])] = os.waitstatus_to_exitcode(int(numbers[1]))


def _tethered(directory: Path) -> list[str]:
    return [sys.executable, "-I", str(_TETHER), str(os.getpid()), str(directory)]


def clean_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without any RUNSTREAM_*, and with `variables`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RUNSTREAM_")}
    return {**kept, **variables}


def start_agent(directory: Path, log: Path, environment: Mapping[str, str], *, stay: bool) -> Child:
    command = [sys.executable, "-m", "runstream.agent", "--dir", str(directory), *(["--stay"] if stay else [])]
    return Started(command, log, environment)


def signal_pid(pid: int | None, number: signal.Signals) -> None:
    """To a process that is nobody's child here, such as an agent that a trainer started."""
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
