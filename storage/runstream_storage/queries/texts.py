"""Series of texts that runs logged, by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runstream_storage.execution import moment
from runstream_storage.queries.shown import LOWEST, SeriesName, Shown, any_rank, window_up_to
from runstream_storage.queries.visible import HIGHEST

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True, slots=True)
class TextValue:
    """One text; `mime` is text/plain or text/markdown."""

    run_id: str
    name: str
    rank: int
    step: int
    at: datetime
    text: str
    mime: str


def text_names(
    client: Client, project: str, run_ids: Sequence[str], *, include_deleted: bool = False
) -> list[SeriesName]:
    """The series of texts of the runs, by name."""
    return Shown(client, project, run_ids, "text_series", include_deleted=include_deleted).names()


def text_steps(
    client: Client,
    project: str,
    run_ids: Sequence[str],
    names: Sequence[str],
    *,
    rank: int | None = None,
    include_deleted: bool = False,
) -> dict[str, list[int]]:
    """The steps at which one of the runs has a text, rising, for each of `names`."""
    return Shown(client, project, run_ids, "text_series", include_deleted=include_deleted).steps(names, rank=rank)


def texts(
    client: Client,
    project: str,
    run_ids: Sequence[str],
    names: Sequence[str],
    *,
    step: int | None = None,
    exact: bool = False,
    rank: int | None = None,
    limit: int = 200,
    include_deleted: bool = False,
) -> list[TextValue]:
    """What each run and rank has at `step`, or at its last step before it (None: the newest); in order of name and run.

    With `exact`, a run without a text at that very step shows none. Empty `names`: all.
    """
    shown = Shown(client, project, run_ids, "text_series", include_deleted=include_deleted)
    found = shown.ask("texts", names=names, window=window_up_to(step, exact=exact), rank=any_rank(rank), limit=limit)
    return [_text(row) for row in found]


def text_page(
    client: Client,
    project: str,
    run_id: str,
    name: str,
    *,
    window: tuple[int, int] | None = None,
    contains: str = "",
    rank: int | None = None,
    newest_first: bool = False,
    limit: int = 50,
    offset: int = 0,
    include_deleted: bool = False,
) -> list[TextValue]:
    """A page of one series, in order of step; fewer than `limit` when it is the last one.

    `window` is first and last step, both included; `contains` finds texts with that in them, in any case.
    """
    found = Shown(client, project, [run_id], "text_series", include_deleted=include_deleted).ask(
        "text_page",
        names=[name],
        window=window or (LOWEST, HIGHEST),
        text={"direction": "DESC" if newest_first else "ASC"},
        contains=contains,
        rank=any_rank(rank),
        limit=limit,
        offset=offset,
    )
    return [_text(row) for row in found]


def _text(row: Sequence[Any]) -> TextValue:
    run_id, name, rank, step, ts_us, text, mime = row
    return TextValue(run_id, name, rank, step, moment(ts_us), text, mime)
