"""What of a writer's spool has been sent and not been acknowledged, in the spool's order."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from runstream.frames import Counted, Counts, Frame, add_counts
from runstream.messages import Place
from runstream.spool import Position

COMPACT_EVERY = 256
MAX_STEPS = 1024
"""Of the queryable place that are known beforehand; where there would be more, it moves in longer ones."""


@dataclass(slots=True, eq=False)
class Entry:
    """One message: the spool up to `end` is dealt with once it and all before it are acknowledged."""

    end: Position
    rows: dict[tuple[str, ...], Counted] = field(default_factory=dict)
    """Per set of metrics, not per metric: a frame of one row may have thousands."""
    done: bool = False
    waits: int = 1
    """For so many things: its acknowledgement; of media the upload and the word of it, too."""
    sent: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Topic to the partition and offset of its message, once that is known."""

    def absorb(self, later: Entry) -> None:
        """Takes over what `later`, the next entry, stands for."""
        self.end = later.end
        self.sent.update(later.sent)
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

    The queryable place follows the acknowledged one, as far as the database has come; it is kept up from `track()` on.
    `sent`: topic to the partition and offset of the last message before `position`. All messages of a writer and topic
    lie in one partition.
    """

    def __init__(
        self,
        position: Position,
        counts: Mapping[str, Counts],
        queryable: Position | None = None,
        sent: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self.position = position
        self.queryable = queryable or Position()
        self.sent: dict[str, tuple[int, int]] = dict(sent or {})
        self._tracks = False
        self._steps: deque[tuple[Position, tuple[tuple[str, tuple[int, int]], ...]]] = deque()
        """Places that become queryable, and what has to be in the database for it; the last is where `position` is."""
        self._stride = self._since = 1
        """Messages of a step, and those in the last one so far."""
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

    def done(self, entry: Entry, place: Place | None = None) -> None:
        """`entry` is acknowledged, and lies at `place` (None: nowhere that it would have to be read from).

        Of an entry that waits for several things this is one of them.
        """
        if place is not None:
            entry.sent[place.topic] = (place.partition, place.offset)
        entry.waits -= 1
        if entry.waits > 0:
            return
        entry.done = True
        entries = self._entries
        while entries and entries[0].done:
            first = entries.popleft()
            self.sent.update(first.sent)
            self._move_to(first.end)
            for metrics, (rows, not_finite) in first.rows.items():
                add_counts(self.counts, metrics, rows, not_finite)

    def read_up_to(self, position: Position) -> None:
        """The reader stands at `position` and nothing is left to send before it."""
        if not self._entries and position != self.position:
            self._move_to(position)

    def track(self) -> None:
        """Keep up the queryable place from now on."""
        if not self._tracks:
            self._tracks = True
            self._move_to(self.position)

    @property
    def waits_for_queries(self) -> bool:
        """Whether something acknowledged is not known to be queryable."""
        return bool(self._steps)

    def passed(self, committed: Mapping[tuple[str, int], int]) -> None:
        """Everything before these offsets, by topic and partition, is in the database."""
        steps = self._steps
        while steps and all(offset < committed.get((topic, n), 0) for topic, (n, offset) in steps[0][1]):
            self.queryable = steps.popleft()[0]

    def _move_to(self, position: Position) -> None:
        self.position = position
        if self._tracks:
            if not self._steps:
                self._stride = self._since = 1
            if self._since < self._stride:
                self._steps.pop()  # the last step goes on to here
                self._since += 1
            else:
                self._since = 1
            self._steps.append((position, tuple(self.sent.items())))
            if len(self._steps) == MAX_STEPS:
                self._steps = deque(list(self._steps)[1::2])
                self._stride *= 2

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
