"""What the SDK says to people: through logging where the program set it up, else on standard error."""

from __future__ import annotations

import contextlib
import sys

INFO, WARNING = 20, 30
"""The levels of `logging`, which is not loaded for our sake: where nobody did, nobody set it up either."""

_quiet = False


def set_quiet(quiet: bool) -> None:
    """Whether notes (not warnings) are left out."""
    global _quiet
    _quiet = quiet


def note(text: str) -> None:
    """Something to know: where the run is seen, what is left to send."""
    _tell(INFO, text)


def warn(text: str) -> None:
    """Something to act on. Never raises, also where warnings are errors."""
    _tell(WARNING, text)


def _tell(level: int, text: str) -> None:
    with contextlib.suppress(Exception):
        logging = sys.modules.get("logging")
        logger = logging.getLogger("runstream") if logging is not None else None
        if logger is not None and logger.hasHandlers():
            logger.log(level, text)
        elif sys.stderr is not None and (level > INFO or not _quiet):
            sys.stderr.write(f"runstream: {text}\n")


class Once:
    """Warnings that are given once per key, and no more once there were `limit` of them."""

    def __init__(self, limit: int = 100) -> None:
        self._seen: set[str] = set()
        self._limit = limit

    def warn(self, key: str, text: str) -> None:
        if key in self._seen or len(self._seen) > self._limit:
            return
        self._seen.add(key)
        if len(self._seen) > self._limit:
            text = "more values were refused; further warnings of this kind are left out"
        warn(text)

    def forget(self, key: str) -> None:
        """Let the warning be given again, for a trouble that had gone."""
        self._seen.discard(key)
