"""What must be there afterwards, computed from the journals alone, and what the database has of the uncertain rest."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from storm.journal import Story, Writer, value_of

Place = tuple[str, int, int]
"""Metric, rank, step."""


@dataclass
class ExpectedRun:
    """One run over all its processes."""

    run_id: str
    writers: list[Writer] = field(default_factory=list)
    visible: dict[Place, int] = field(default_factory=dict)
    """To the bits of the value that every view must show."""
    rewinds: list[tuple[int, int, int]] = field(default_factory=list)
    """(rank, new attempt, last step kept)."""
    ends: dict[int, set[str]] = field(default_factory=dict)
    """Rank to the states in which its newest process may have ended."""

    @property
    def logged(self) -> int:
        """Values, those that were replaced or rewound included."""
        return sum(len(call.values) for writer in self.writers for call in writer.calls)

    @property
    def states(self) -> set[str]:
        """The states that the run may be in: those of its ranks, which may differ."""
        return set().union(*self.ends.values())


def expected_runs(
    stories: Iterable[Story], rows_of_writer: dict[int, int], rewinds: set[tuple[str, int, int]]
) -> dict[str, ExpectedRun]:
    """The runs of these processes.

    A process that was killed in a call leaves one question open, which only the database answers: whether the row was
    written (`rows_of_writer`, from coverage), or the rewind ((run, rank, attempt) in `rewinds`). The answer must then
    hold in every table and view alike.
    """
    runs: dict[str, ExpectedRun] = {}
    for story in sorted(stories, key=lambda story: story.attempt):
        run = runs.setdefault(story.run_id, ExpectedRun(story.run_id))
        for writer in story.writers:
            if writer.maybe is not None and rows_of_writer.get(writer.writer_id, 0) == len(writer.calls) + 1:
                writer.calls.append(writer.maybe)
                writer.maybe = None
            run.writers.append(writer)
        run.rewinds += [(story.rank, attempt, kept) for attempt, kept in story.rewinds]
        if story.maybe_rewind is not None and (story.run_id, story.rank, story.maybe_rewind[0]) in rewinds:
            run.rewinds.append((story.rank, *story.maybe_rewind))
        earlier = run.ends.get(story.rank, {"absent"})
        # The end of an earlier process says nothing about the run once a later one began.
        run.ends[story.rank] = {"finished"} if story.ended else {"killed"}
        if story.maybe_ended:
            run.ends[story.rank] = {"finished", "killed"}
        if not story.writers:  # killed before init() returned: it may have begun or not
            run.ends[story.rank] = {"killed", *earlier}
    for run in runs.values():
        run.visible = _visible(run)
    return runs


def _visible(run: ExpectedRun) -> dict[Place, int]:
    """Of each metric, rank and step the value of the newest attempt, there the last one; without what was rewound."""
    by_attempt: dict[Place, list[tuple[int, int]]] = defaultdict(list)
    for writer in sorted(run.writers, key=lambda writer: writer.attempt):
        for call in writer.calls:
            for metric, pattern in call.values.items():
                by_attempt[metric, writer.rank, call.step].append((writer.attempt, pattern))
    shown = {}
    for place, versions in by_attempt.items():
        kept = [version for version in versions if not _is_hidden(run, place, version[0])]
        if kept:
            shown[place] = kept[-1][1]
    return shown


def _is_hidden(run: ExpectedRun, place: Place, attempt: int) -> bool:
    _, rank, step = place
    return any(rank == of and attempt < new and step > kept for of, new, kept in run.rewinds)


@dataclass
class Aggregate:
    """What a summary says of one metric."""

    n: int = 0
    n_nan: int = 0
    n_inf: int = 0
    smallest: float = math.nan
    largest: float = math.nan

    def add(self, value: float) -> None:
        self.n += 1
        if math.isnan(value):
            self.n_nan += 1
            return
        self.n_inf += math.isinf(value)
        self.smallest = value if math.isnan(self.smallest) else min(self.smallest, value)
        self.largest = value if math.isnan(self.largest) else max(self.largest, value)

    def as_row(self) -> tuple[int, int, int, float | None, float | None]:
        """As `v_summary` has it: NULL where no value is a number."""
        ends = (None if math.isnan(end) else end for end in (self.smallest, self.largest))
        smallest, largest = ends
        return self.n, self.n_nan, self.n_inf, smallest, largest


def summaries(run: ExpectedRun) -> dict[str, Aggregate]:
    """Metric to what `v_summary` must say: over the visible points of all ranks."""
    found: dict[str, Aggregate] = defaultdict(Aggregate)
    for (metric, _, _), pattern in run.visible.items():
        found[metric].add(value_of(pattern))
    return dict(found)


def logged_by(writer: Writer) -> dict[str, int]:
    """Metric to the number of values that one writer logged."""
    found: dict[str, int] = defaultdict(int)
    for call in writer.calls:
        for metric in call.values:
            found[metric] += 1
    return dict(found)
