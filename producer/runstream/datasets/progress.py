"""How far a long fingerprint is, for who waits at a terminal."""

from __future__ import annotations

import sys
import time

AFTER_S = 2.0
EVERY_S = 0.2


class Progress:
    """Counts bytes; writes a line to a terminal's stderr, again and again, once it takes longer than AFTER_S."""

    def __init__(self, what: str) -> None:
        self._what = what[:60]
        self._began = self._next = time.monotonic()
        self._next += AFTER_S
        self._shown = False
        self.total = 0
        """Bytes to come, as far as known."""
        self.done = 0

    def add(self, size: int) -> None:
        self.done += size
        now = time.monotonic()
        if now >= self._next:
            self._next = now + EVERY_S
            self._show(now)

    def end(self) -> None:
        """Leave the terminal's line clean."""
        if self._shown and sys.stderr is not None:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _show(self, now: float) -> None:
        error = sys.stderr
        try:
            if error is None or not error.isatty():
                return
            rate = self.done / max(now - self._began, 1e-9)
            part = f"{100 * self.done / self.total:.0f} % of {self.total / 1e9:.1f} GB" if self.total else ""
            text = part or f"{self.done / 1e9:.1f} GB"
            error.write(f"\r\x1b[Krunstream: fingerprint of {self._what}: {text}, {rate / 1e6:.0f} MB/s")
            error.flush()
            self._shown = True
        except (OSError, ValueError):  # closed, or not ours to write to
            return
