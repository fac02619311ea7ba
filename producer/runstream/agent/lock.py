"""One agent a data directory: a file lock that goes with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from runstream.errors import AgentRunning
from runstream.identity import lock_is_held
from runstream.spool import VERSION

_LOOKERS_LEAVE_S = 0.5


class AgentLock:
    """Context manager that holds `path` by flock, with the pid of the holder and the newest spool it reads as content.

    Entering raises AgentRunning when another agent, or `runstream up`, has it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> AgentLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        give_up_at = time.monotonic() + _LOOKERS_LEAVE_S
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Who only looks whether the lock is held holds it for an instant.
                if time.monotonic() > give_up_at:
                    os.close(self._fd)
                    raise AgentRunning(path=self._path, pid=_pid_in(self._path)) from None
                time.sleep(0.02)
            else:
                break
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\nspool version {VERSION}\n".encode(), 0)
        return self

    @property
    def is_lost(self) -> bool:
        """Whether the file was removed or replaced: others do not find this lock, and may take one of their own."""
        try:
            found, ours = self._path.stat(), os.fstat(self._fd)
        except FileNotFoundError:
            return True
        except OSError:
            return False  # a directory that cannot be looked into now
        return (found.st_dev, found.st_ino) != (ours.st_dev, ours.st_ino)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)


def holder(path: Path) -> int | None:
    """The pid of the process that serves this data directory now, 0 when it has not said so yet; None: nobody does."""
    return _pid_in(path) if lock_is_held(path) else None


def _pid_in(path: Path) -> int:
    try:
        return int(path.read_text().split("\n")[0])
    except (OSError, ValueError):
        return 0
