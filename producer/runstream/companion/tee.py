"""The training process's side of the console: its standard output and error led through the companion, and back."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from pathlib import Path
from typing import Any

from runstream.companion.stream import ASIDE, STDERR, STDOUT

MOST_TEES = 8
"""At once in a process, one in front of the other: so many runs are open side by side."""
PIPES = "console.pipes"
"""A file of the writer's directory that names the pipes its run's output goes through."""
_FIRST_FD = 64
"""Ours lie above this, so that a program which has closed descriptor 1 does not find one of ours there."""

_stack: list[Tee] = []


class Tee:
    """Pipes (a pseudo terminal where it was a terminal) to put in the place of the descriptors 1 and 2.

    Both are led through one pipe where they are one file or terminal: then their order is kept exactly, and all of it
    counts as stdout. A descriptor that is closed stays so. Nothing is changed before `put_in_place`.
    """

    def __init__(self) -> None:
        self.streams: list[tuple[int, int, int]] = []
        """(number, source, target) as the companion gets them."""
        self.ended = False
        self._writers: dict[int, int] = {}
        """Descriptor to what is to take its place."""
        self._saved: dict[int, int] = {}
        self._identities: dict[int, tuple[int, int, int]] = {}
        self._aside = -1
        self._patched: list[tuple[Any, Echo]] = []
        try:
            self._make()
        except BaseException:
            self.let_go()
            raise

    def _make(self) -> None:
        # A notebook's kernel reads the descriptors itself, and shows that as it shows what cells print.
        notebook = any(_is_notebook(stream) for stream in (sys.stdout, sys.stderr))
        open_fds = [fd for fd in (1, 2) if is_open(fd) and not notebook]
        together = len(open_fds) == 2 and _are_one(1, 2)
        for fd in open_fds[:1] if together else open_fds:
            source, writer = _pair(fd)
            self.streams.append((STDOUT if fd == 1 else STDERR, source, moved_up(os.dup(fd))))
            self._writers[fd] = writer
        if together:
            self._writers[2] = moved_up(os.dup(self._writers[1]))
        if notebook:
            source, self._aside = map(moved_up, os.pipe())
            self.streams.append((ASIDE, source, -1))

    def put_in_place(self) -> None:
        """From here on output goes through the companion."""
        flush()
        for fd, writer in self._writers.items():
            self._saved[fd] = moved_up(os.dup(fd))
            os.dup2(writer, fd)
            self._identities[fd] = identity(fd)
            os.close(writer)
        self._writers = {}
        self._close_given()
        _stack.append(self)
        if self._aside >= 0:
            for stream in (sys.stdout, sys.stderr):
                if _is_notebook(stream):
                    self._patch(stream)

    def note_pipes(self, directory: Path) -> None:
        """So that processes of the same run which inherit these pipes know that their output is recorded. OSError."""
        lines = [":".join(map(str, one)) for one in self._identities.values()]
        (directory / PIPES).write_text("\n".join(lines) + "\n")

    def take_away(self) -> None:
        """Output goes where it went before; under a later tee, once that is taken away: see `restore_ended`."""
        flush()
        for stream, echo in self._patched:
            if stream.echo is echo:
                stream.echo = echo.before
        self._patched = []
        self.ended = True
        if _stack and _stack[-1] is self:
            _stack.pop()._restore()

    def let_go(self) -> None:
        """In a forked child, or where the companion did not start: close what is ours and change nothing."""
        self._close_given()
        for fd in (*self._writers.values(), *self._saved.values(), self._aside):
            if fd >= 0:
                os.close(fd)
        self._writers, self._saved, self._aside = {}, {}, -1
        if self in _stack:
            _stack.remove(self)

    def _restore(self) -> None:
        for fd, saved in self._saved.items():
            # Who has put something else there since keeps it.
            if is_open(fd) and identity(fd) == self._identities[fd]:
                os.dup2(saved, fd)
        self.let_go()

    def _close_given(self) -> None:
        for _, source, target in self.streams:
            os.close(source)
            if target >= 0:
                os.close(target)
        self.streams = []

    def _patch(self, stream: Any) -> None:
        """Have what a notebook's stream shows recorded, too; it never meets a descriptor."""
        self._patched.append((stream, Echo(stream.echo, self._aside)))
        stream.echo = self._patched[-1][1]


class Echo:
    """What a notebook's stream repeats its output to, in the kernel's own thread."""

    def __init__(self, before: Any, aside: int) -> None:
        self.before = before
        self._aside = aside

    def write(self, text: str) -> None:
        if self.before is not None:
            self.before.write(text)
        try:
            os.write(self._aside, text.encode("utf-8", "replace"))
        except OSError:
            pass  # the companion is gone; the notebook has it

    def flush(self) -> None:
        if self.before is not None:
            self.before.flush()


def is_in_place(tee: Tee) -> bool:
    """Whether output still goes through it."""
    return tee in _stack


def restore_ended() -> list[Tee]:
    """Take away the tees on top that have ended before one that was above them; which ones."""
    freed = []
    while _stack and _stack[-1].ended:
        flush()
        freed.append(_stack.pop())
        freed[-1]._restore()
    return freed


def depth() -> int:
    return len(_stack)


def is_recorded(run_directory: Path) -> bool:
    """Whether descriptor 1 or 2 is a pipe that another process of this run has put there."""
    mine = {":".join(map(str, identity(fd))) for fd in (1, 2) if is_open(fd)}
    for file in run_directory.glob(f"*/{PIPES}"):
        try:
            if mine.intersection(file.read_text().split()):
                return True
        except OSError:
            continue  # it has just been sent
    return False


def identity(fd: int) -> tuple[int, int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino, found.st_rdev


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001, S112 - None, closed, a disk that is full: not ours to tell
            continue


def _are_one(one: int, other: int) -> bool:
    """Whether both lead to one terminal, pipe or place in a file, so that the order between them can be seen."""
    first, second = os.fstat(one), os.fstat(other)
    if identity(one) != identity(other):
        return False
    if stat.S_ISREG(first.st_mode):
        same_place = os.lseek(one, 0, os.SEEK_CUR) == os.lseek(other, 0, os.SEEK_CUR)
        return same_place and fcntl.fcntl(one, fcntl.F_GETFL) == fcntl.fcntl(other, fcntl.F_GETFL)
    return not stat.S_ISCHR(second.st_mode) or os.isatty(one)


def _pair(fd: int) -> tuple[int, int]:
    """What to read from and what to put in the place of `fd`."""
    if not os.isatty(fd):
        source, writer = os.pipe()
        return moved_up(source), moved_up(writer)
    import termios

    source, writer = map(moved_up, os.openpty())
    modes = termios.tcgetattr(fd)
    modes[1] &= ~termios.OPOST  # the real terminal does that
    modes[3] &= ~(termios.ECHO | termios.ECHONL)
    termios.tcsetattr(writer, termios.TCSANOW, modes)
    fcntl.ioctl(writer, termios.TIOCSWINSZ, fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    return source, writer


def moved_up(fd: int) -> int:
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FD)
    finally:
        os.close(fd)


def _is_notebook(stream: object) -> bool:
    return type(stream).__module__.startswith("ipykernel.") and hasattr(stream, "echo")
