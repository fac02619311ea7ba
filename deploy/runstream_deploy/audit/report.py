"""What an audit found."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

MOST_PROBLEMS = 1_000
"""Problems that are listed; all are counted."""

Kind = Literal[
    "gap",
    "missing points",
    "different points",
    "not in coverage",
    "unread letter",
    "dead letter",
    "removed unread",
    "damaged spool",
    "wrong summary",
    "wrong curve",
    "lost file",
    "missing object",
    "damaged object",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Scope:
    """What is compared: one run, one project, or everything. `topic`: only what lies in this topic."""

    project: str = ""
    run_id: str = ""
    topic: str = ""

    @property
    def name(self) -> str:
        """For people: the narrowest of what is meant."""
        return f"run {self.run_id}" if self.run_id else f"project {self.project!r}" if self.project else "all projects"

    def holds(self, project: str, run_id: str) -> bool:
        return (not self.project or project == self.project) and (not self.run_id or run_id == self.run_id)


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. Fields that do not apply are empty, 0, or -1 for `first` and `last`."""

    kind: Kind
    what: str
    """For people."""
    rows: int = 0
    """Sequence numbers for a gap, points for points, files for files."""
    project: str = ""
    run_id: str = ""
    writer: int = 0
    stream: str = ""
    first: int = -1
    last: int = -1
    """Sequence numbers, both included."""
    source: str = ""
    """`topic/partition@offset` of the message."""


@dataclasses.dataclass(slots=True)
class Report:
    """What was compared, what is wrong, what is still under way, and what could not be looked at."""

    spools: int = 0
    messages: int = 0
    """Durable messages read from Kafka and looked up."""
    points: int = 0
    """Points in them."""
    superseded: int = 0
    """Of these, points whose step was logged again later: the newer one is in the database, as it must be."""
    compared: int = 0
    """Points whose value was compared bit by bit."""
    runs: int = 0
    """Runs whose rollups were computed again."""
    on_the_way_rows: int = 0
    """Rows in a spool or in Kafka that ingest has not come to yet."""
    on_the_way_messages: int = 0
    on_the_way_files: int = 0
    """Of artifacts and media, that wait for the object store."""
    objects: int = 0
    """Contents that the object store was asked for."""
    dropped_letters: int = 0
    """Messages that an operator let go with `runstream dlq drop`."""
    problems: list[Problem] = dataclasses.field(default_factory=list)
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    """Problems by kind, also those above MOST_PROBLEMS."""
    notes: list[str] = dataclasses.field(default_factory=list)
    """What could not be checked, and why."""

    @property
    def is_empty(self) -> bool:
        """Nothing of the scope was met: not a message, not a spool."""
        return not (self.spools or self.messages or self.on_the_way_messages)

    @property
    def ok(self) -> bool:
        return not self.counts

    def add(self, problem: Problem) -> None:
        self.counts[problem.kind] = self.counts.get(problem.kind, 0) + 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def as_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, **dataclasses.asdict(self)}
