"""Room for a spool: how large the next segment is, the cap on all of them, and what happens when there is none."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from runstream.notices import warn
from runstream.spool import segment_numbers, segment_path
from runstream.spool_shedding import give_up_rows

RETRY_AFTER_S = 1.0
SMALLEST_SEGMENT = 1 << 16
CAP_SEGMENTS = 8
"""With a cap on the spool a segment is at most this part of it, so that what is sent, or given up, makes room soon."""
FULL = (errno.ENOSPC, errno.EDQUOT)
BLOCK_POLL_S = 0.05
LOOK_WHILE_BLOCKED_S = 15.0


class NoRoom(OSError):
    """There is no room for a segment: disk full, directory not writable, or the cap is reached."""


class OnFull(NamedTuple):
    """What to do with rows when the cap is reached or the disk is full."""

    policy: str = "spill"
    """`spill`: leave new rows out; `block`: wait for room first; `drop_oldest`: give up the oldest unsent rows."""
    block_timeout_s: float = 60.0
    """How long one shortage may hold up the process in all."""


SPILL = OnFull()


class Room:
    """The room that the segments of one writer may take, and the present shortage; not thread-safe, as its writer."""

    def __init__(
        self,
        directory: Path,
        *,
        segment_bytes: int,
        segment_max_bytes: int,
        max_bytes: int,
        on_full: OnFull,
        look_after: Callable[[], None] | None,
    ) -> None:
        part = max(SMALLEST_SEGMENT, max_bytes // CAP_SEGMENTS) if max_bytes else segment_max_bytes
        self.next_bytes = min(segment_bytes, part)
        """Size of the next segment."""
        self._directory = directory
        self._first_bytes = self.next_bytes
        self._segment_max_bytes = min(segment_max_bytes, part)
        self._max_bytes = max_bytes
        self._on_full = on_full
        self._look_after = look_after
        self._blocked_s = 0.0
        """How long the present shortage has held up the process."""
        self._shed: set[int] = set()
        """Segments whose rows were given up."""
        self._retry_at = 0.0
        self._shortage: tuple[int, str] | None = None

    @property
    def doubled_bytes(self) -> int:
        """Size of the segment after the next."""
        return min(2 * self.next_bytes, self._segment_max_bytes)

    # -- a shortage: at most once a second the disk is asked again

    def refuse_until_retry(self, now: float) -> None:
        """Raises NoRoom while it is too early to ask the disk again."""
        if self._shortage is not None and now < self._retry_at:
            raise self.refusal()

    def retry_now(self) -> None:
        self._retry_at = 0.0

    def denied(self, error: OSError, now: float) -> NoRoom:
        """What to raise for `error`, and again for a second."""
        self._shortage = (error.errno or errno.EIO, error.strerror or str(error))
        self._retry_at = now + RETRY_AFTER_S
        return self.refusal()

    def granted(self) -> None:
        self._shortage = None
        self._blocked_s = 0.0

    def refusal(self) -> NoRoom:
        """A new exception each time: one that is raised again and again collects every traceback."""
        return NoRoom(*(self._shortage or (errno.ENOSPC, os.strerror(errno.ENOSPC))))

    # -- policies

    def wait_for(self, rotate: Callable[[], None]) -> None:
        """`rotate`, which raises NoRoom; by the policy `block` it is repeated until there is room, once a shortage."""
        try:
            rotate()
        except NoRoom as error:
            left_s = self._on_full.block_timeout_s - self._blocked_s
            if self._on_full.policy != "block" or error.errno not in FULL or left_s <= 0:
                raise
            warn(f"{self._directory} is full ({error}); log() waits for room, at most {left_s:.0f} s")
        else:
            return
        began, looked_at = time.monotonic() - self._blocked_s, 0.0
        while True:
            now = time.monotonic()
            if self._look_after is not None and now - looked_at >= LOOK_WHILE_BLOCKED_S:
                looked_at = now
                self._look_after()  # nobody makes room when the agent has died
            self._retry_at = 0.0
            try:
                rotate()
            except NoRoom:
                self._blocked_s = now - began
                if self._blocked_s >= self._on_full.block_timeout_s:
                    raise
            else:
                return
            time.sleep(BLOCK_POLL_S)

    def stage(self, make: Callable[[], None], give_up: Callable[[OSError], bool]) -> None:
        """`make` a segment; where there is no room for it, a smaller one, or with the oldest rows given up."""
        while True:
            try:
                make()
            except OSError as error:
                if error.errno not in FULL:
                    raise
                if self.next_bytes > self._first_bytes:
                    self.next_bytes = max(self._first_bytes, self.next_bytes // 2)
                elif self._on_full.policy != "drop_oldest" or not give_up(error):
                    raise
            else:
                return

    def give_up_oldest(self, below: int) -> tuple[int, int] | None:
        """Give up the rows of the oldest segment before segment `below`: first and end sequence of what was not sent.

        None: there is no such segment.
        """
        for number in segment_numbers(self._directory):
            if number >= below:
                break
            if number in self._shed:
                continue
            self._shed.add(number)
            return give_up_rows(self._directory, number)
        return None

    def refuse_above_cap(self, size: int) -> None:
        """Raises OSError (EDQUOT) where `size` more bytes are above the cap."""
        if not self._max_bytes:
            return
        held = 0
        for number in segment_numbers(self._directory):
            with contextlib.suppress(FileNotFoundError):  # the agent has just removed it
                held += segment_path(self._directory, number).stat().st_size
        if held + size > self._max_bytes:
            raise OSError(errno.EDQUOT, f"{held} unsent bytes; RUNSTREAM_SPOOL_MAX_BYTES={self._max_bytes} is reached")
