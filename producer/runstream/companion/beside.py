"""Starting and ending the companion of a run, from the training process: no thread, and nothing that can block it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runstream.companion import tee as tees
from runstream.companion.detached import spawn
from runstream.companion.tee import Tee
from runstream.identity import host_name
from runstream.notices import Once
from runstream.settings import Settings

START_S = 10.0
DRAIN_S = 5.0
"""How long the end of a run waits until what was printed has been passed on; then the companion goes on alone."""
ASK_AGAIN_S = 1.0
PASS_ON_S = 1.0
"""How long the last of several runs waits for the companion of one that ended before: it ends when all has passed."""
_READY, _FINISH, _DRAINED = b"R", b"E", b"D"
_CONTROL, _REPLIES, _FIRST_STREAM = 3, 4, 5
_once = Once()
_passing_on: list[Companion] = []
"""Of runs that have ended, while a later run's output still passes through them."""


class Companion:
    """The process beside this one. Made by `start`; `attach` tells it where to write and leads output through it."""

    def __init__(self, control: int, replies: int, tee: Tee | None, streams: list[tuple[int, int, int]]) -> None:
        self._control = control
        self._replies = replies
        self._tee = tee
        self._streams = streams
        self._directory = Path()

    def attach(self, settings: Settings, directory: Path, *, run_id: str) -> bool:
        """Whether it runs. `directory`: the writer's. Never raises."""
        self._directory = directory
        given: dict[str, Any] = {
            "directory": str(directory),
            "streams": self._streams,
            "max_bytes": settings.console_max_bytes,
            "max_rate": settings.console_max_rate,
            "sample": settings.system,
            "interval_s": settings.system_interval_s,
            "run_id": run_id,
            "rank": settings.rank,
            "node": host_name(),
            "pid": os.getpid(),
            "disk": str(settings.dir),
            "path": [path for path in sys.path if path],
            "log": str(settings.logs_dir / "companion.log"),
        }
        try:
            os.write(self._control, json.dumps(given).encode() + b"\n")
            self._wait_until_ready()
            if self._tee is not None:
                self._tee.put_in_place()
                self._tee.note_pipes(directory)
        except Exception as error:  # noqa: BLE001 - a job must train without it
            _once.warn("start", f"console and machine are not recorded: {type(error).__name__}: {error}")
            self.end()
            return False
        return True

    def end(self) -> None:
        """Lead the output back, and wait (at most DRAIN_S) until all that was printed has been passed on.

        A second call does nothing.
        """
        if self._control < 0 or self in _passing_on:
            return
        try:
            if self._tee is not None:
                if self._tee.streams:
                    self._tee.let_go()
                else:
                    self._tee.take_away()
            deadline = time.monotonic() + DRAIN_S
            while time.monotonic() < deadline:
                self._wake_up()
                os.write(self._control, _FINISH)
                if self._heard(_DRAINED, ASK_AGAIN_S):
                    break
        except (OSError, KeyboardInterrupt):
            pass  # it is gone, or the user does not want to wait for it
        finally:
            self._leave()

    def _leave(self) -> None:
        """The way of the output that later runs do not need any more is taken down, once what is on it has passed."""
        if self._tee is not None and tees.is_in_place(self._tee):
            _passing_on.append(self)
            return
        self._close()
        freed = tees.restore_ended()
        for companion in [one for one in _passing_on if one._tee in freed]:
            _passing_on.remove(companion)
            companion._wait_until_gone()
            companion._close()

    def _wait_until_gone(self) -> None:
        try:
            self._heard(b"anything else", PASS_ON_S)
        except (OSError, KeyboardInterrupt):
            return  # as expected, or the user does not want to wait for it

    def _wake_up(self) -> None:
        """A keeper that somebody has stopped is told to go on: it is our own process, and would hold up the end."""
        import signal

        from runstream.companion.outbox import LOCK

        try:
            pid = int((self._directory / LOCK).read_bytes())
            process = Path("/proc", str(pid))
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
            if state == "T" and b"companion/__main__" in (process / "cmdline").read_bytes():
                os.kill(pid, signal.SIGCONT)
        except (OSError, ValueError, IndexError):
            return  # it has just ended, or has not begun

    def forked(self) -> None:
        """In a forked child: its output is its parent's, and the companion, too."""
        self._close()
        if self._tee is not None:
            self._tee.let_go()
            self._tee = None

    def _wait_until_ready(self) -> None:
        if not self._heard(_READY, START_S):
            raise TimeoutError(f"it has not answered within {START_S:.0f} s")

    def _heard(self, what: bytes, timeout_s: float) -> bool:
        """Raises OSError when the companion is gone."""
        import select

        poll = select.poll()
        poll.register(self._replies, select.POLLIN)
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            if poll.poll(left * 1000):
                said = os.read(self._replies, 64)
                if not said:
                    raise ConnectionResetError("the companion process is gone; see logs/companion.log")
                if what in said:
                    return True
        return False

    def _close(self) -> None:
        for fd in (self._control, self._replies):
            if fd >= 0:
                os.close(fd)
        self._control = self._replies = -1


def start(settings: Settings, env: Mapping[str, str], *, run_directory: Path | None = None) -> Companion | None:
    """Start the companion that these settings ask for; None when they ask for none. Never raises.

    It waits for `attach`, so that its start and the rest of `init()` go side by side. `run_directory`: where the run's
    writers have their spools, if it has others.
    """
    if settings.mode == "disabled" or not sys.platform.startswith("linux"):
        return None
    console = _records_console(settings, run_directory)
    system = settings.system and settings.agent != "thread"
    if not (console or system):
        return None
    try:
        return _start(env, console=console)
    except Exception as error:  # noqa: BLE001 - a job must train without it
        _once.warn("start", f"console and machine are not recorded: {type(error).__name__}: {error}")
        return None


def _records_console(settings: Settings, run_directory: Path | None) -> bool:
    if settings.console == "0":
        return False
    if tees.depth() >= tees.MOST_TEES:
        _once.warn("depth", f"{tees.MOST_TEES} open runs record this process's output; finish() some to record more")
        return False
    if run_directory is not None and tees.is_recorded(run_directory):
        return False
    if settings.console == "1":
        return True
    # Children are forbidden; somebody types at a prompt.
    prompt = (hasattr(sys, "ps1") or sys.flags.interactive) and "ipykernel" not in sys.modules
    return settings.agent != "thread" and not prompt


def _start(env: Mapping[str, str], *, console: bool) -> Companion:
    tee = Tee() if console else None
    streams = list(tee.streams) if tee is not None else []
    ours: list[int] = []
    try:
        control_in, control = map(tees.moved_up, os.pipe())
        ours += [control_in, control]
        replies, replies_out = map(tees.moved_up, os.pipe())
        ours += [replies, replies_out]
        passed, numbered = [(control_in, _CONTROL), (replies_out, _REPLIES)], []
        following = _FIRST_STREAM
        for number, source, target in streams:
            passed.append((source, following))
            numbered.append((number, following, following + 1 if target >= 0 else -1))
            if target >= 0:
                passed.append((target, following + 1))
            following += 2
        script = str(Path(__file__).with_name("__main__.py"))
        spawn(script, [str(_CONTROL), str(_REPLIES)], env, passed)
    except BaseException:
        for fd in ours:
            os.close(fd)
        if tee is not None:
            tee.let_go()
        raise
    os.close(control_in)
    os.close(replies_out)
    return Companion(control, replies, tee, numbered)
