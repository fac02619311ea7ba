"""The half of the companion that reads the output, passes it on and records it."""

from __future__ import annotations

import errno
import os
import select
import time

from runstream.companion.outbox import CONSOLE, NOTE, OUTPUT, OUTPUT_HEAD, TIME, OutboxWriter, pack
from runstream.companion.stream import Stream

BURST_BYTES = 64 << 20
GRACE_S = 10.0
"""How long output of children is recorded that outlive their parent's sudden death; passed on it is for ever."""
QUIET_S = 0.02
"""A terminal's bytes arrive by way of a kernel thread: it is empty when it stays so for this long."""
AFTER_BROKEN_BYTES = 1 << 20
PIPE_BYTES = 1 << 20
"""No pipe holds more: what was asked to be drained has passed when so much came since."""
FINISH, ORPHANED = b"E", b"K"
"""From the keeper: the run ends, or its process is gone."""
DRAINED, BROKEN = b"D", b"P"
"""To the keeper: all is passed on and recorded; nobody reads the target of the stream that follows."""


class Reader:
    """Runs until every source has ended; see `stream` for how it can be killed at any moment."""

    def __init__(self, streams: list[Stream], directory: str, *, max_bytes: int, max_rate: int) -> None:
        self._streams = streams
        self._outbox: OutboxWriter | None = None
        self._open_at = 0.0
        self._directory = directory
        self._max_bytes = max_bytes
        self._max_rate = max_rate
        self._allowance = float(BURST_BYTES)
        self._allowed_at = time.monotonic()
        self._why = ""
        self.over = False
        """Nothing is recorded any more."""

    # -- recording

    def record(self, stream: Stream, data: bytes) -> None:
        """See `stream.Records`."""
        if self.over:
            return
        try:
            outbox = self._opened()
            if outbox.last_rounds.get(stream.number) == stream.round:
                return  # by who was killed before it could say so
            self._count(len(data))
            head = OUTPUT_HEAD.pack(_now_us(), stream.round)
            outbox.append(self._told_left_out(stream) + pack(OUTPUT, stream.number, head, data))
            stream.left_out = 0
        except OSError as error:
            stream.left_out += len(data)
            self._why = error.strerror or str(error)

    def said(self, text: str) -> None:
        """See `stream.Records`."""
        if self.over:
            return
        try:
            self._opened().append(pack(NOTE, 2, TIME.pack(_now_us()), text.encode()))
        except OSError:
            return  # the disk is full; what is left out is counted

    def _opened(self) -> OutboxWriter:
        if self._outbox is None:
            now = time.monotonic()
            if now < self._open_at:
                raise OSError(errno.EAGAIN, self._why)
            self._open_at = now + 1.0
            self._outbox = OutboxWriter(self._directory, CONSOLE, max_bytes=self._max_bytes)
        return self._outbox

    def _count(self, size: int) -> None:
        if not self._max_rate:
            return
        now = time.monotonic()
        self._allowance += (now - self._allowed_at) * self._max_rate
        self._allowance = min(self._allowance, float(BURST_BYTES))
        self._allowed_at = now
        if self._allowance < size:
            raise OSError(errno.EDQUOT, f"more than {self._max_rate:,} bytes a second")
        self._allowance -= size

    def _told_left_out(self, stream: Stream) -> bytes:
        """A remark on what is missing since the last record; empty when nothing is."""
        if not stream.left_out:
            return b""
        text = f"{stream.left_out:,} bytes of output are left out here: {self._why or 'no room'}"
        return pack(NOTE, stream.number, TIME.pack(_now_us()), text.encode())

    def end_recording(self) -> None:
        """Close the outbox. Never raises."""
        if self.over:
            return
        try:
            for stream in self._streams:
                if stream.left_out:
                    self._opened().append(self._told_left_out(stream), beyond_max=True)
            if self._outbox is not None:
                self._outbox.close()
        except OSError:
            pass  # a full disk: the outbox just ends
        self.over = True

    # -- reading

    def run(self, orders: int, answers: int, lock: int, order: bytes = b"") -> bytes | None:
        """Reads until every source has ended and the run, too; then None. The keeper's last order when that is gone.

        `orders` and `answers`: the pipes from and to the keeper. `lock` is closed when the recording ends. `order`:
        what was ordered before.
        """
        since, deadline, passed_on = self._marks(), time.monotonic() + GRACE_S, set[Stream]()
        while True:
            came = False
            for stream in self._streams:
                more = self._advance(stream, answers)
                came = came or more
                if stream.idle and (not more or stream.passed - since[stream] > PIPE_BYTES):
                    passed_on.add(stream)
            ended = all(stream.at_end and stream.idle for stream in self._streams)
            if order and not self.over:
                drained = order == FINISH and len(passed_on) == len(self._streams) and not self._more_comes()
                if ended or drained or (order == ORPHANED and time.monotonic() >= deadline):
                    self.end_recording()
                    os.close(lock)
                    _tell(answers, DRAINED)
            if self.over and ended:
                return None
            timeout_ms: float | None = 0 if came else None
            if order == ORPHANED and not (came or self.over):
                timeout_ms = max(0.0, deadline - time.monotonic()) * 1000 + 1
            given = self._wait(orders, answers, timeout_ms)
            if given is None:
                return order
            if given and not order:
                order, since, deadline = given, self._marks(), time.monotonic() + GRACE_S
                passed_on.clear()

    def _marks(self) -> dict[Stream, int]:
        return {stream: stream.passed for stream in self._streams}

    def _advance(self, stream: Stream, answers: int) -> bool:
        try:
            return stream.advance(self)
        except BrokenPipeError:
            self._broken(stream, answers)
            return False

    def _broken(self, stream: Stream, answers: int) -> None:
        """Nobody reads the target any more: whoever writes is to learn it as it would have without us."""
        stream.stop_passing_on()
        most = stream.passed + AFTER_BROKEN_BYTES
        while stream.advance(self) and stream.passed < most:
            continue
        stream.close_source()
        _tell(answers, BROKEN + bytes([stream.number]))

    def _more_comes(self) -> bool:
        terminals = [stream.source for stream in self._streams if stream.is_terminal and not stream.at_end]
        if not terminals:
            return False
        poll = select.poll()
        for fd in terminals:
            poll.register(fd, select.POLLIN)
        return any(event & select.POLLIN for _, event in poll.poll(QUIET_S * 1000))

    def _wait(self, orders: int, answers: int, timeout_ms: float | None) -> bytes | None:
        """An order of the keeper, empty when there is none; None when it is gone."""
        poll = select.poll()
        poll.register(orders, select.POLLIN)
        for stream in self._streams:
            if stream.waits_for_room:
                poll.register(stream.target, select.POLLOUT)
            else:
                if not stream.at_end:
                    poll.register(stream.source, select.POLLIN)
                if stream.pollable:
                    poll.register(stream.target, 0)  # only whether it is broken
        targets = {stream.target: stream for stream in self._streams if stream.pollable}
        given: bytes | None = b""
        for fd, event in poll.poll(timeout_ms):
            if fd == orders:
                given = os.read(orders, 1) or None
            elif fd in targets and event & (select.POLLERR | select.POLLHUP):
                stream = targets[fd]
                if stream.is_terminal:
                    self.said("the terminal was hung up; output is recorded, and shown nowhere")
                    stream.stop_passing_on()
                else:
                    self._broken(stream, answers)
        return given


def _now_us() -> int:
    return time.time_ns() // 1000


def _tell(answers: int, what: bytes) -> None:
    try:
        os.write(answers, what)
    except BrokenPipeError:
        return  # the keeper is gone, which the next look at its orders shows
