"""What became of the bytes of media, told in few events."""

from __future__ import annotations

from typing import Any

from runstream.agent.ledger import Entry

TELL_EVERY_S = 0.2
MAX_TOLD = 1000
"""Contents of one event; each has 66 bytes."""


class Arrivals:
    """Collects contents that are in the object store now, or never will be, and the entries that wait for the word."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._entries: list[Entry] = []
        self._told_at = 0.0

    def add(self, sha256: str, entry: Entry, *, lost: bool) -> None:
        """A content that came there with one file is stored, whatever became of its other files."""
        if not lost or sha256 not in self._states:
            self._states[sha256] = "lost" if lost else "stored"
        self._entries.append(entry)

    def due(self, now: float) -> bool:
        return bool(self._entries) and (now - self._told_at >= TELL_EVERY_S or len(self._states) >= MAX_TOLD)

    def take(self, now: float) -> tuple[dict[str, Any], list[Entry]]:
        """The fields of a MediaStored event, and the entries that are done with its acknowledgement."""
        told = {state: [sha256 for sha256, one in self._states.items() if one == state] for state in ("stored", "lost")}
        entries = self._entries
        self._states, self._entries, self._told_at = {}, [], now
        return told, entries
