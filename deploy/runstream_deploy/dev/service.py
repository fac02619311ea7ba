"""One service as one process: start, stop, kill, pause, restart, on the same data and the same ports."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from .cache import private_dir
from .errors import DevError, NotRunning, ServiceFailed
from .installs import Report
from .ports import free_ports, is_free
from .processes import Process, spawn

_START_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 20.0
_ATTEMPTS = 5


def _quiet(_: str) -> None:
    """Report nothing."""


class Service(ABC):
    """A service whose configuration, data, log and state lie in `directory`.

    Ports and credentials are chosen once and kept in `service.json`, so that a later process can take it over and a
    restart is invisible to clients. `tethered` services are killed with the process that started them.
    """

    kind: ClassVar[str]
    port_count: ClassVar[int]

    def __init__(
        self,
        directory: Path,
        *,
        name: str | None = None,
        tethered: bool = False,
        report: Report = _quiet,
        choose_ports: Callable[[int], list[int]] = free_ports,
    ) -> None:
        self.directory = directory.absolute()
        self.name = name or self.kind
        self.tethered = tethered
        self.ports: list[int] = []
        self.secret = secrets.token_urlsafe(18)
        self.process: Process | None = None
        self.is_paused = False
        self._report = report
        self._choose_ports = choose_ports
        self.reload()

    # -- what each kind of service defines

    @abstractmethod
    def install(self) -> None:
        """Fetch what it needs, unless it is there."""

    @abstractmethod
    def command(self) -> list[str]:
        """Write its configuration for the current ports and return the command that runs it."""

    @abstractmethod
    def probe(self) -> None:
        """Speak its protocol; raise OSError when it is not up, ValueError when another server answers."""

    def environment(self) -> dict[str, str]:
        """Variables of its process besides the caller's."""
        return {}

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect, with credentials."""

    # -- the life of the process

    @property
    def logs(self) -> Path:
        """The file with everything the process printed, over all its starts."""
        return self.directory / "service.log"

    @property
    def alive(self) -> bool:
        """Whether its process exists (paused counts)."""
        return self.process is not None and self.process.alive

    def healthy(self) -> bool:
        """Whether it answers in its own protocol now."""
        if not self.alive or self.is_paused:
            return False
        try:
            self.probe()
        except (OSError, ValueError):
            return False
        return True

    def start(self) -> None:
        """Install if needed, start, and return when it is healthy; nothing happens when it runs."""
        self.launch()
        self.await_healthy()

    def launch(self) -> None:
        """Start the process without waiting for it."""
        if self.alive:
            return
        private_dir(self.directory)
        self.install()
        self.assign_ports()
        env = {**os.environ, **self.environment()}
        self.process = spawn(self.command(), self.logs, env=env, cwd=self.directory, tethered=self.tethered)
        self.is_paused = False
        self._save()

    def assign_ports(self) -> None:
        """Choose its ports, unless it has them."""
        if not self.ports:
            self.ports = self._choose_ports(self.port_count)

    def await_healthy(self) -> None:
        """Wait for the launched process; when others took its ports before its first start, choose new ones."""
        for attempt in range(1, _ATTEMPTS + 1):
            reason = self._wait()
            if not reason:
                self._has_served = True
                self._save()
                return
            if self.alive:
                self.kill()
            taken = not all(is_free(port) for port in self.ports)
            if not taken or self._has_served or attempt == _ATTEMPTS:
                break
            self._report(f"{self.name}: a port of {self.ports} was taken meanwhile, choosing others")
            self.ports = []
            self.launch()
        if taken and self._has_served:
            reason = f"{reason}; another program now listens on one of its ports {self.ports}: stop that program"
        self._save()
        raise ServiceFailed(service=self.name, reason=reason, log=self.logs, tail=self.log_tail())

    def stop(self) -> None:
        """End it gently (SIGTERM, after 20 s SIGKILL); nothing happens when it does not run."""
        if self.process is not None and self.alive:
            self.process.signal(signal.SIGTERM)
            self.process.signal(signal.SIGCONT)  # a paused process sees no other signal
            if not self.process.wait(_STOP_TIMEOUT_S):
                self.kill()
        self._ended()

    def kill(self) -> None:
        """SIGKILL, and return when it is gone."""
        self._running().kill()
        self._ended()

    def restart(self) -> None:
        """Stop it if it runs, start it on the same data and ports."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: its sockets stay open and nobody answers."""
        self._running().signal(signal.SIGSTOP)
        self.is_paused = True
        self._save()

    def resume(self) -> None:
        """SIGCONT."""
        self._running().signal(signal.SIGCONT)
        self.is_paused = False
        self._save()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log; empty when there is none."""
        if not self.logs.exists():
            return ""
        with self.logs.open("rb") as handle:
            handle.seek(max(0, self.logs.stat().st_size - 200 * lines))
            return "\n".join(handle.read().decode(errors="replace").splitlines()[-lines:])

    def state(self) -> dict[str, Any]:
        """What a script would read: name, kind, url, ports, pid, status, directory, log."""
        if not self.alive:
            status = "stopped"
        elif self.is_paused:
            status = "paused"
        else:
            status = "healthy" if self.healthy() else "unhealthy"
        return {
            "name": self.name,
            "kind": self.kind,
            "status": status,
            "url": self.url if self.ports else None,
            "ports": self.ports,
            "pid": self.process.pid if self.process and self.alive else None,
            "directory": str(self.directory),
            "log": str(self.logs),
        }

    # -- inner parts

    def _wait(self) -> str:
        """Empty when it is healthy, else why it will not be."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        reason = "was not started"
        while time.monotonic() < deadline:
            if not self.alive:
                return "ended while it started"
            try:
                self.probe()
            except OSError as exc:
                reason = f"did not answer within {_START_TIMEOUT_S:.0f} s ({exc})"
                time.sleep(0.05)
            except ValueError as exc:
                return f"is not what answers on its port ({exc})"
            else:
                return ""
        return reason

    def _running(self) -> Process:
        if self.process is None or not self.process.alive:
            raise NotRunning(service=self.name, directory=self.directory)
        return self.process

    def _ended(self) -> None:
        self.process = None
        self.is_paused = False
        if self.directory.exists():
            self._save()

    @property
    def _state_file(self) -> Path:
        return self.directory / "service.json"

    def reload(self) -> None:
        """Take over what another process wrote about this service."""
        self._has_served = False
        if not self._state_file.exists():
            return
        try:
            state = json.loads(self._state_file.read_text())
            self.ports, self.secret, self._has_served = state["ports"], state["secret"], state["has_served"]
            self.is_paused = state["is_paused"]
            if state["pid"]:
                self.process = Process(pid=state["pid"], started=state["started"])
        except (ValueError, KeyError, TypeError) as exc:
            raise DevError(
                f"{self._state_file} cannot be read ({exc!r}). Remove {self.directory} and start anew."
            ) from exc

    def _save(self) -> None:
        process = self.process if self.alive else None
        state = {
            "ports": self.ports,
            "secret": self.secret,
            "has_served": self._has_served,
            "is_paused": self.is_paused,
            "pid": process.pid if process else None,
            "started": process.started if process else None,
        }
        partial = self._state_file.with_suffix(".partial")
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            json.dump(state, handle)
        partial.replace(self._state_file)
