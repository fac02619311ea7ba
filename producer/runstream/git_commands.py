"""Questions to git that run beside this process, each with an output of bounded size and no thread to wait for it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping

POLL_S = 0.002
QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
_BLOCK = 512
"""What `ulimit -f` of a POSIX shell counts in."""


class GitCommand:
    """One git command, started at once.

    Started by `posix_spawn`, because a fork of a large training process is slow. `done` tells whether it has ended,
    `wait` waits for that, `kill` ends it. `text()` is what it said; `failed` and `too_large` say why it may be short.
    Raises OSError when git cannot be started.
    """

    def __init__(self, directory: str, *arguments: str, env: Mapping[str, str], max_bytes: int = 1 << 20) -> None:
        self._max_bytes = max_bytes
        self._code: int | None = None
        self._output, self._status = anonymous_file(), anonymous_file()
        self._open = True
        limit = str(max_bytes // _BLOCK + 2)
        # The shell sets the limit, for a diff of a terabyte must not fill the memory, and notes how it ended, for
        # those who cannot ask the kernel.
        script = 'ulimit -f "$1"; shift; "$@" 3>&-; code=$?; echo $code >&3; exit $code'
        command = ["sh", "-c", script, "sh", limit, "git", "-C", directory, *arguments]
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        actions = [
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, self._output, 1),
            (os.POSIX_SPAWN_DUP2, null, 2),
            (os.POSIX_SPAWN_DUP2, self._status, 3),
        ]
        try:
            self._pid = os.posix_spawnp(
                "sh",
                command,
                {**env, **QUIET},
                file_actions=actions,
                setpgroup=0,  # Ctrl-C is not meant for it
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT],
            )
        except OSError:
            self._close()
            raise
        finally:
            os.close(null)

    @classmethod
    def taken_over(cls, pid: int, output: int, status: int, max_bytes: int) -> GitCommand:
        """One that another process has started: the descriptors are those of its `handed_over`."""
        command = cls.__new__(cls)
        command._max_bytes, command._code, command._open = max_bytes, None, True
        command._pid, command._output, command._status = pid, output, status
        return command

    def handed_over(self) -> tuple[int, int, int]:
        """Its pid, and the descriptors of its output and of how it ended."""
        return self._pid, self._output, self._status

    @property
    def done(self) -> bool:
        if self._code is None:
            try:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:  # somebody else took it, or SIGCHLD is ignored: what it wrote has to do
                told = os.pread(self._status, 16, 0)
                if told.endswith(b"\n"):
                    self._code = int(told)
                elif not _lives(self._pid):
                    self._code = -signal.SIGKILL
            else:
                self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code is not None

    def wait(self, deadline: float) -> bool:
        """Wait until it has ended, at most until `time.monotonic()` is `deadline`; whether it has."""
        while not self.done:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)
        return True

    @property
    def failed(self) -> bool:
        return self.done and self._code != 0

    @property
    def too_large(self) -> bool:
        """Whether there was more to say than `max_bytes`."""
        return self._code == 128 + signal.SIGXFSZ or self._size() > self._max_bytes

    def text(self) -> str:
        """What it said, bytes that are no UTF-8 as lone surrogates."""
        size, data = min(self._size(), self._max_bytes), b""
        while len(data) < size and (part := os.pread(self._output, size - len(data), len(data))):
            data += part
        return data.decode("utf-8", "surrogateescape")

    def kill(self) -> None:
        """End it, and give up its output."""
        if not self.done:
            with contextlib.suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.waitpid(self._pid, 0)
        self.forget()

    def forget(self) -> None:
        """Let go of it without ending it: in a forked child it is somebody else's."""
        self._code = -1 if self._code is None else self._code
        self._close()

    def _size(self) -> int:
        return os.fstat(self._output).st_size

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._output)
            os.close(self._status)

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self._close()


def anonymous_file() -> int:
    """A descriptor of a file without a name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("runstream-git")
    import tempfile

    descriptor, path = tempfile.mkstemp()
    os.unlink(path)  # noqa: PTH108 - no Path wanted
    return descriptor


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
