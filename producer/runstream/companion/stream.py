"""One stream of output on its way: from the training process to where it would have gone, and into the outbox.

The bytes go in rounds. At each moment the kernel itself holds how far a round has come, in objects that all processes
of the companion share, so that one of them can be killed at any instruction and another goes on, without losing or
repeating a byte:

    source ──splice──▶ basin (memfd) ──copy──▶ outbox record of this round
                                     ──copy──▶ queue (pipe) ──splice──▶ target

The basin's file position says how many bytes the round has. Its record carries the round's number, so that who takes
over knows whether it is written. The queue is filled by one write that fits it, and says by FIONREAD what is left.
`phase` and `round` lie in memory that is shared. Where the kernel cannot splice (a file opened for appending), the size
of the file tells whether the last write was made, as long as nobody else appends to it at that instant.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import struct
import termios
import time
from typing import Protocol

CHUNK = 65536
UNSPLICED_CHUNK = 4096
"""What a pipe that polls as writable takes without blocking, also where it cannot be opened anew."""
NONBLOCK = 2  # SPLICE_F_NONBLOCK
FILL, RECORDED, QUEUED = 0, 1, 2
PHASE, ROUND, LEFT_OUT, APPENDING, APPENDS_AT = range(5)
"""The last two are of a write to a file that is appended to: its bytes, and the file's size before, plus 1."""
FIELDS = 5
"""Of a stream, in the shared memory: 64 bits each."""
WINDOW_EVERY_S = 0.25
STDOUT, STDERR, ASIDE = 1, 2, 3
"""ASIDE is recorded as stdout and goes nowhere else: output that never meets a descriptor, such as a notebook's."""


class Records(Protocol):
    """Where a round is written."""

    def record(self, stream: Stream, data: bytes) -> None:
        """Write `data` down as output of this stream's round, or count it as left out. Never raises."""

    def said(self, text: str) -> None:
        """Write down a remark. Never raises."""


class Stream:
    """`source` is a pipe or the master of a pseudo terminal; `target` what the output went to before, or -1.

    Made before the companion forks; then exactly one process calls `advance`. `state`: FIELDS numbers of shared memory.
    """

    def __init__(self, number: int, source: int, target: int, state: memoryview) -> None:
        self.number = number
        self.source = source
        self.target = target
        self._state = state
        self.is_terminal = target >= 0 and os.isatty(source)
        self._basin = os.memfd_create(f"runstream-{number}", os.MFD_CLOEXEC)
        os.set_blocking(source, False)
        self.waits_for_room = False
        self.at_end = False
        self.passed = 0
        """Bytes taken from the source by this process."""
        self._window_at = 0.0
        self._relay = os.pipe() if self.is_terminal else (-1, -1)
        """Takes what comes from a terminal, which cannot be spliced to a file directly."""
        self._queue = (-1, -1)
        self._chunk = CHUNK
        self._splices = True
        self._appends = False
        self.pollable = False
        """Whether the target can be waited for, and tells when nobody reads it any more."""
        if target >= 0:
            self._queue = os.pipe()
            # 64 KiB, or less for a user who has very many pipes.
            self._chunk = min(CHUNK, fcntl.fcntl(self._queue[1], 1032))  # F_GETPIPE_SZ
            self._prepare_target()

    def _prepare_target(self) -> None:
        mode = os.fstat(self.target).st_mode
        self.pollable = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(self.target)
        flags = fcntl.fcntl(self.target, fcntl.F_GETFL)
        if stat.S_ISREG(mode):
            self._appends = bool(flags & os.O_APPEND)
            self._splices = not self._appends
        elif self.pollable:
            # A description of our own: whether it blocks is nobody else's business.
            try:
                path = f"/proc/self/fd/{self.target}"
                own = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
                self._splices = stat.S_ISFIFO(mode)
                self._chunk = min(self._chunk, UNSPLICED_CHUNK)
            else:
                os.close(self.target)
                self.target = own

    # -- a round

    def advance(self, records: Records) -> bool:
        """Do what can be done without waiting; whether a chunk came in. Raises BrokenPipeError: nobody reads on."""
        state = self._state
        self.waits_for_room = False
        came = False
        if self.at_end and self.idle:
            return False
        if state[PHASE] == FILL:
            size = self._fill()
            if not size:
                return False
            came = True
            records.record(self, os.pread(self._basin, size, 0))
            state[PHASE] = RECORDED
        if state[PHASE] == RECORDED and self.target >= 0:
            if not self._queued():
                os.write(self._queue[1], os.pread(self._basin, self._filled(), 0))
            state[PHASE] = QUEUED
        if state[PHASE] == QUEUED and not self._drain(records):
            self.waits_for_room = True
            return came
        os.lseek(self._basin, 0, os.SEEK_SET)
        state[ROUND] += 1
        state[PHASE] = FILL
        return came

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return bool(self._state[PHASE] == FILL and not self._filled())

    @property
    def round(self) -> int:
        return int(self._state[ROUND])

    @property
    def left_out(self) -> int:
        """Bytes that were not recorded and of which the outbox does not tell yet."""
        return int(self._state[LEFT_OUT])

    @left_out.setter
    def left_out(self, count: int) -> None:
        self._state[LEFT_OUT] = count

    def stop_passing_on(self) -> None:
        """Nobody reads the target any more: what is under way to it is let go."""
        if self.target >= 0:
            os.close(self.target)
            self.target = -1
            self.pollable = False
            self._empty_queue()

    def close_source(self) -> None:
        """From now on a writer gets EPIPE, once every process of the companion has done this."""
        if self.source >= 0:
            os.close(self.source)
            self.source = -1
        self.at_end = True

    def close_all(self) -> None:
        """In a process that has nothing to do with this stream."""
        for fd in (self.source, self.target, self._basin, *self._relay, *self._queue):
            if fd >= 0:
                os.close(fd)

    def _filled(self) -> int:
        return os.lseek(self._basin, 0, os.SEEK_CUR)

    def _fill(self) -> int:
        """How many bytes the basin has now; 0 when nothing came."""
        size = self._filled()
        if size or self.source < 0:
            return size
        try:
            if self.is_terminal:
                if not _readable_bytes(self._relay[0]):
                    self._take(self.source, self._relay[1])
                if _readable_bytes(self._relay[0]):
                    self._take(self._relay[0], self._basin)
            elif not self._take(self.source, self._basin):
                self.at_end = True
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno != errno.EIO:  # a terminal that nobody has open any more
                raise
            self.at_end = True
        size = self._filled()
        self.passed += size
        return size

    def _take(self, source: int, into: int) -> int:
        try:
            return os.splice(source, into, self._chunk, flags=NONBLOCK)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
        return os.write(into, os.read(source, min(self._chunk, UNSPLICED_CHUNK)))

    # -- to the target

    def _queued(self) -> int:
        return _readable_bytes(self._queue[0]) if self.target >= 0 else 0

    def _drain(self, records: Records) -> bool:
        """Whether the queue is empty."""
        self._follow_window()
        while left := self._queued():
            try:
                if self._splices:
                    os.splice(self._queue[0], self.target, left, flags=NONBLOCK)
                else:
                    self._write_out(left)
            except BlockingIOError:
                return False
            except BrokenPipeError:
                raise
            except OSError as error:
                if self._splices and error.errno in (errno.EINVAL, errno.ENOSYS):
                    self._splices = False
                    continue
                records.said(f"{left:,} bytes of output could not be passed on: {error.strerror}")
                if error.errno in (errno.EIO, errno.ENXIO, errno.ECONNRESET):
                    self.stop_passing_on()  # a terminal that was hung up
                else:
                    self._empty_queue()
        self._state[APPENDS_AT] = 0
        return True

    def _write_out(self, left: int) -> None:
        size = self._filled()
        if self.pollable:
            if not _is_writable(self.target):
                raise BlockingIOError
            left = min(left, self._chunk, UNSPLICED_CHUNK)
        start = size - self._queued()
        if not (self._appends and self._was_appended(left)):
            left = os.write(self.target, os.pread(self._basin, left, start))
        os.read(self._queue[0], left)

    def _was_appended(self, size: int) -> bool:
        """Whether who was killed here has written these bytes; else it is noted that they are written now."""
        state, length = self._state, os.fstat(self.target).st_size
        if state[APPENDS_AT] and state[APPENDING] == size and length == state[APPENDS_AT] - 1 + size:
            return True
        state[APPENDS_AT] = 0
        state[APPENDING] = size
        state[APPENDS_AT] = length + 1
        return False

    def _empty_queue(self) -> None:
        while left := _readable_bytes(self._queue[0]):
            os.read(self._queue[0], left)

    def _follow_window(self) -> None:
        now = time.monotonic()
        if not self.is_terminal or self.target < 0 or now < self._window_at:
            return
        self._window_at = now + WINDOW_EVERY_S
        try:
            size = fcntl.ioctl(self.target, termios.TIOCGWINSZ, bytes(8))
            if size != fcntl.ioctl(self.source, termios.TIOCGWINSZ, bytes(8)):
                fcntl.ioctl(self.source, termios.TIOCSWINSZ, size)
        except OSError:
            return  # hung up


def _readable_bytes(fd: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0])


def _is_writable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    events = poll.poll(0)
    if events and events[0][1] & select.POLLERR:
        raise BrokenPipeError
    return bool(events)
