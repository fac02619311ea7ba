"""What of a writer's spool has been sent and not been acknowledged, in the spool's order."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from runstream.frames import Counted, Counts, Frame, add_counts
from runstream.spool import Position

COMPACT_EVERY = 256


@dataclass(slots=True, eq=False)
class Entry:
    """One message: the spool up to `end` is dealt with once it and all before it are acknowledged."""

    end: Position
    rows: dict[tuple[str, ...], Counted] = field(default_factory=dict)
    """Per set of metrics, not per metric: a frame of one row may have thousands."""
    done: bool = False

    def absorb(self, later: Entry) -> None:
        """Takes over what `later`, the next entry, stands for."""
        self.end = later.end
        for metrics, (rows, not_finite) in later.rows.items():
            have_rows, have = self.rows.get(metrics, (0, {}))
            merged = dict(have)
            for metric, (nan, inf) in not_finite.items():
                n_nan, n_inf = merged.get(metric, (0, 0))
                merged[metric] = (n_nan + nan, n_inf + inf)
            self.rows[metrics] = (have_rows + rows, merged)


class Ledger:
    """The acknowledged place of a spool moves over entries that are done, never past one that is not.

    Acknowledged entries behind one that waits (an artifact that uploads for an hour) are folded together, so memory
    is bounded by what is under way, not by what has passed it.
    """

    def __init__(self, position: Position, counts: Mapping[str, Counts]) -> None:
        self.position = position
        self.counts: dict[str, Counts] = dict(counts)
        """Of each metric, through `position`."""
        self._entries: deque[Entry] = deque()
        self._added = 0

    def __bool__(self) -> bool:
        """Whether something waits for its acknowledgement."""
        return bool(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def add_frame(self, frame: Frame) -> Entry:
        return self._add(Entry(frame.end, dict(frame.counted)))

    def add_event(self, end: Position) -> Entry:
        return self._add(Entry(end))

    def done(self, entry: Entry) -> None:
        """`entry` is acknowledged."""
        entry.done = True
        entries = self._entries
        while entries and entries[0].done:
            first = entries.popleft()
            self.position = first.end
            for metrics, (rows, not_finite) in first.rows.items():
                add_counts(self.counts, metrics, rows, not_finite)

    def read_up_to(self, position: Position) -> None:
        """The reader stands at `position` and nothing is left to send before it."""
        if not self._entries:
            self.position = position

    def _add(self, entry: Entry) -> Entry:
        self._entries.append(entry)
        self._added += 1
        if self._added % COMPACT_EVERY == 0:
            self._compact()
        return entry

    def _compact(self) -> None:
        kept: deque[Entry] = deque()
        for entry in self._entries:
            if kept and kept[-1].done and entry.done:
                kept[-1].absorb(entry)
            else:
                kept.append(entry)
        self._entries = kept
