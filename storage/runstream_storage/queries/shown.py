"""What runs show of text, histograms and media: rewinds hide values as they hide points, forks inherit them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from runstream_storage.execution import ask, rows, statement
from runstream_storage.queries.visible import HIGHEST, Source, sources

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Table = Literal["text_series", "histograms", "media"]
COLUMNS: dict[Table, str] = {
    "text_series": "ts_us, text, mime",
    "histograms": "ts_us, edges, counts, n_nan, n_inf",
    "media": "idx, ts_us, kind, sha256, size, mime, caption, metadata",
}
NEAREST = "QUALIFY depth = min(depth) OVER (PARTITION BY run_id, name, rank, step)"
LOWEST = -(2**63)


@dataclass(frozen=True, slots=True)
class SeriesName:
    """A series of texts or histograms: in how many runs and at how many steps it has a value, and between which."""

    name: str
    runs: int
    steps: int
    first_step: int
    last_step: int


class Shown:
    """The question for values of `run_ids` in a table. Deleted runs show nothing unless `include_deleted` says so."""

    def __init__(
        self, client: Client, project: str, run_ids: Sequence[str], table: Table, *, include_deleted: bool = False
    ) -> None:
        self._client = client
        self._project = project
        self._table = table
        wanted = list(dict.fromkeys(str(UUID(run_id)) for run_id in run_ids))
        careful = rows(client, "shown_runs", project=project, run_ids=wanted) if wanted else []
        gone = {run_id for run_id, _, deleted in careful if deleted and not include_deleted}
        moved = [run_id for run_id, is_moved, _ in careful if is_moved and run_id not in gone]
        known = sources(client, project, moved) if moved else {}
        self._links = [
            (run_id, source)
            for run_id in wanted
            if run_id not in gone
            for source in known.get(run_id, [Source(run_id, 0, HIGHEST)])
        ]

    @property
    def source_ids(self) -> list[str]:
        """The runs themselves and their ancestors: whose rows are shown."""
        return list(dict.fromkeys(source.run_id for _, source in self._links))

    def ask(
        self,
        question: str,
        *,
        names: Sequence[str] = (),
        window: tuple[int, int] = (LOWEST, HIGHEST),
        text: dict[str, str] | None = None,
        **parameters: object,
    ) -> Sequence[Sequence[Any]]:
        """The rows of `sql/<question>.sql`; `window` is first and last step, `text` fills other places of the query."""
        if not self._links:
            return []
        part = Template(statement("shown")).substitute(
            table=self._table,
            columns=COLUMNS[self._table],
            nearest=NEAREST if any(source.depth for _, source in self._links) else "",
        )
        sql = Template(statement(question)).substitute(text or {}, shown=part)
        scope = {
            "project": self._project,
            "names": list(names),
            "low_step": window[0],
            "high_step": window[1],
            "of_runs": [run_id for run_id, _ in self._links],
            "sources": [source.run_id for _, source in self._links],
            "depths": [source.depth for _, source in self._links],
            "uptos": [source.upto for _, source in self._links],
            "cuts": [list(source.cuts) for _, source in self._links],
        }
        found: Sequence[Sequence[Any]] = ask(self._client, sql, scope | parameters).result_rows
        return found

    def names(self) -> list[SeriesName]:
        return [SeriesName(*row) for row in self.ask("shown_names")]

    def steps(
        self, names: Sequence[str], *, rank: int | None = None, window: tuple[int, int] | None = None
    ) -> dict[str, list[int]]:
        """The steps that have a value, rising, for each of `names`; a name without any has an empty list."""
        found = self.ask("shown_steps", names=names, rank=any_rank(rank), window=window or (LOWEST, HIGHEST))
        known = {name: list(steps) for name, steps in found}
        return {name: known.get(name, []) for name in names}


def window_up_to(step: int | None, *, exact: bool) -> tuple[int, int]:
    """First and last step among which the value at `step` (None: the newest) is looked for; with `exact`, only it."""
    high = HIGHEST if step is None else step
    return (high if exact and step is not None else LOWEST, high)


def any_rank(rank: int | None) -> int:
    """`rank` as the questions have it: -1 for all."""
    return -1 if rank is None else rank
