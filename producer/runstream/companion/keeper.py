"""The half of the companion that stays: it starts the reading half and the sampling one, and starts them again.

It holds every descriptor that the reader needs, so that nobody ever writes into a pipe without a reader. When it is
killed itself, the reader becomes the keeper and forks a reader.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import time
import traceback
from typing import Any

from runstream.companion.outbox import LOCK
from runstream.companion.reader import BROKEN, DRAINED, FINISH, ORPHANED, Reader
from runstream.companion.stream import FIELDS, Stream

READY = b"R"
RESTART_AT_MOST_EVERY_S = 0.05
SAMPLER_DEATHS = 5
"""So often a sampler is started again; a driver that kills it once a sample will do so for ever."""
IGNORED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2", "SIGALRM")
"""Meant for the job: the companion ends by itself once the job's output has ended."""


class Child:
    """A forked half: its pid and the pipes to and from it."""

    def __init__(self) -> None:
        self.orders_in, self.orders = os.pipe()
        self.answers, self.answers_out = os.pipe()
        self.pid = 0
        self.started = time.monotonic()

    def as_child(self) -> None:
        os.close(self.orders)
        os.close(self.answers)
        self.orders = self.answers = -1

    def as_parent(self, pid: int) -> None:
        os.close(self.orders_in)
        os.close(self.answers_out)
        self.orders_in = self.answers_out = -1
        self.pid = pid

    def order(self, what: bytes) -> None:
        try:
            os.write(self.orders, what)
        except BrokenPipeError:
            return  # it has just died; who follows it is told

    def close(self) -> None:
        for fd in (self.orders_in, self.orders, self.answers, self.answers_out):
            if fd >= 0:
                os.close(fd)


class Keeper:
    """`control` and `replies`: the pipes from and to the training process. `given`: see `Companion.attach`."""

    def __init__(self, control: int, replies: int, given: dict[str, Any]) -> None:
        self._control = control
        self._replies = replies
        self._given = given
        self._directory: str = given["directory"]
        self._log_path: str = given["log"]
        self._lock = _hold_lock(self._directory)
        shared = mmap.mmap(-1, mmap.PAGESIZE)
        state = memoryview(shared).cast("q")
        self._streams = [
            Stream(number, source, target, state[FIELDS * i : FIELDS * (i + 1)])
            for i, (number, source, target) in enumerate(given["streams"])
        ]
        self._reading: Reader | None = self._new_reader() if self._streams else None
        self._reader: Child | None = None
        self._sampler: Child | None = None
        self._sampler_deaths = 0
        self._order = b""
        self._job = _pidfd(given["pid"])
        self._wake = (-1, -1)

    def _new_reader(self) -> Reader:
        given = self._given
        return Reader(self._streams, self._directory, max_bytes=given["max_bytes"], max_rate=given["max_rate"])

    def run(self) -> None:
        """Until the output and the run have ended."""
        self._watch_children()
        self._start_reader()
        self._start_sampler()
        os.write(self._replies, READY)
        self._keep()

    # -- the halves

    def _start_reader(self) -> None:
        reading = self._reading
        if reading is None:
            return
        child = Child()
        pid = os.fork()
        if pid:
            child.as_parent(pid)
            self._reader = child
            return
        if self._reader is not None:
            self._reader.close()
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None
        self._unwatch_children()
        child.as_child()
        self._read(reading, child)

    def _read(self, reading: Reader, child: Child) -> None:
        """What the reading half does; returns never."""
        try:
            lock = self._lock if not reading.over else -1
            left = reading.run(child.orders_in, child.answers_out, lock, self._order)
        except BaseException:  # noqa: BLE001 - written down; another one is started
            self._write_down(traceback.format_exc())
            os._exit(1)
        if left is None:
            os._exit(0)
        try:
            child.close()
            self._order = left
            if reading.over:
                self._lock = -1
            _sign(self._lock)
            self._reader = None
            self._watch_children()
            self._start_reader()
            if not self._order:
                self._start_sampler()
            self._keep()
        except BaseException:  # noqa: BLE001
            self._write_down(traceback.format_exc())
            os._exit(1)
        os._exit(0)

    def _start_sampler(self) -> None:
        if not self._given["sample"]:
            return
        child = Child()
        pid = os.fork()
        if pid:
            child.as_parent(pid)
            self._sampler = child
            return
        try:
            if self._reader is not None:
                self._reader.close()
            if self._sampler is not None:
                self._sampler.close()
            self._unwatch_children()
            child.as_child()
            for stream in self._streams:
                stream.close_all()
            from runstream.companion.sampling import sample_until_told

            sample_until_told(self._given, child.orders_in)
        except BaseException:  # noqa: BLE001
            self._write_down(traceback.format_exc())
            os._exit(1)
        os._exit(0)

    def _watch_children(self) -> None:
        self._wake = os.pipe()
        for fd in self._wake:
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)

    def _unwatch_children(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for fd in self._wake:
            os.close(fd)
        self._wake = (-1, -1)

    # -- the loop

    def _keep(self) -> None:
        while self._reader is not None or (not self._order and self._sampler is not None):
            poll = select.poll()
            poll.register(self._wake[0], select.POLLIN)
            if self._order != FINISH and self._control >= 0:
                poll.register(self._control, select.POLLIN)
            if not self._order and self._job >= 0:
                poll.register(self._job, select.POLLIN)
            if self._reader is not None:
                poll.register(self._reader.answers, select.POLLIN)
            # One at a time: what is done about it may give the number of the next one to another descriptor.
            fd, _ = poll.poll()[0]
            if fd == self._wake[0]:
                os.read(fd, 4096)
                self._look_after_children()
            elif fd == self._control:
                self._told(os.read(fd, 64))
            elif fd == self._job:
                self._give_order(ORPHANED)
            elif self._reader is not None:
                self._answered(os.read(fd, 64))
        if self._reading is None or self._order:
            self._reply_drained()

    def _told(self, what: bytes) -> None:
        if FINISH in what:
            self._give_order(FINISH)
        elif not what:
            os.close(self._control)
            self._control = -1
            if not self._order:
                self._give_order(ORPHANED)

    def _give_order(self, order: bytes) -> None:
        if not self._order:
            self._order = order
            for child in (self._reader, self._sampler):
                if child is not None:
                    child.order(order)
        if self._reading is None or self._reading.over:
            self._reply_drained()

    def _answered(self, answers: bytes) -> None:
        if BROKEN[0] in answers:
            for stream in self._streams:
                if stream.number in answers:
                    stream.stop_passing_on()
                    stream.close_source()
        if DRAINED in answers and self._reading is not None:
            self._reading.over = True
            self._reply_drained()

    def _reply_drained(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        try:
            os.write(self._replies, DRAINED)
        except BrokenPipeError:
            return  # the process did not wait for it

    def _look_after_children(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                os.kill(pid, signal.SIGCONT)  # who stops the job does not mean us, and a full pipe would stop it, too
            elif self._reader is not None and pid == self._reader.pid:
                self._reader_ended(self._reader, status)
            elif self._sampler is not None and pid == self._sampler.pid:
                self._sampler_ended(self._sampler, status)

    def _reader_ended(self, child: Child, status: int) -> None:
        os.set_blocking(child.answers, False)
        try:
            self._answered(os.read(child.answers, 4096))
        except BlockingIOError:
            pass
        child.close()
        self._reader = None
        if status == 0:
            return
        if time.monotonic() - child.started < RESTART_AT_MOST_EVERY_S:
            time.sleep(RESTART_AT_MOST_EVERY_S)
        was_over = self._reading is not None and self._reading.over
        self._reading = self._new_reader()
        self._reading.over = was_over
        self._start_reader()

    def _sampler_ended(self, child: Child, status: int) -> None:
        child.close()
        self._sampler = None
        self._sampler_deaths += 1
        if status != 0 and not self._order and self._sampler_deaths < SAMPLER_DEATHS:
            self._start_sampler()

    def _write_down(self, text: str) -> None:
        """What went wrong here, for people; the output itself is no place for it."""
        try:
            os.makedirs(os.path.dirname(self._log_path), exist_ok=True)
            with open(self._log_path, "a") as log:
                log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {self._directory}\n{text}\n")
        except OSError:
            return


def _hold_lock(directory: str) -> int:
    import fcntl

    fd = os.open(os.path.join(directory, LOCK), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    fcntl.flock(fd, fcntl.LOCK_EX)  # who only looks whether it is held holds it for an instant
    _sign(fd)
    return fd


def _sign(lock: int) -> None:
    """Write into the lock which process is the keeper: the process it serves tells a stopped one to go on."""
    if lock >= 0:
        os.pwrite(lock, b"%-20d" % os.getpid(), 0)


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1  # an older kernel: then the end of the control pipe tells


def ignore_signals() -> None:
    for name in IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
