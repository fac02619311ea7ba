"""Which runs the Runs page lists: what its address says, and the one question to the database that follows from it.

The page asks it when it is drawn, and the server already when a browser asks for the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from runstream_storage.queries import Best
from runstream_storage.queries.results import RunsPage
from runstream_ui import columns, data, urls
from runstream_ui.columns import Described, described

PAGE_SIZES = (25, 50, 100, 200)
DEFAULT_SIZE = 50
_NEWEST_FIRST = "-created"


@dataclass(frozen=True)
class Listing:
    """`sort` is a column, behind a minus when the largest come first; pages count from 1; `goal` is the column of
    which the best run is told, the first that has a better end."""

    project: str
    where: str
    columns: tuple[str, ...]
    sort: str
    size: int
    number: int
    archived: bool
    goal: Described | None

    @classmethod
    def of_link(cls, project: str, link: Mapping[str, str]) -> Listing:
        """What an address asks for; it may say anything, as anybody can write one."""
        chosen = tuple(columns.of_link(project, link.get("cols", "")))
        sort = link.get("sort") or _NEWEST_FIRST
        definitions = data.definitions(project)
        described_first = (described(text, definitions) for text in (sort.removeprefix("-"), *chosen))
        return cls(
            project,
            link.get("filter", "").strip(),
            chosen,
            sort,
            urls.bounded(link.get("size", ""), DEFAULT_SIZE, 1, PAGE_SIZES[-1]),
            urls.bounded(link.get("page", ""), 1, 1, 1_000_000),
            link.get("archived") == "true",
            next((column for column in described_first if column.goal), None),
        )

    def filtered(self, where: str) -> Listing:
        return replace(self, where=where)

    def answer(self) -> tuple[RunsPage, Best | None]:
        """Raises FilterError."""
        best_of = (self.goal.text, self.goal.goal) if self.goal and self.goal.goal else None
        return data.runs(
            self.project,
            self.where,
            self.columns,
            self.sort.removeprefix("-"),
            self.sort.startswith("-"),
            self.size,
            (self.number - 1) * self.size,
            best_of,
            self.archived,
        )
