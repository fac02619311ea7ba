"""The lines of a runs table: what a run started as, what people made of it, and how it is doing."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from runstream_storage.execution import at_once, moment, rows
from runstream_storage.queries.results import RunRow, Scalar, Value
from runstream_storage.queries.run_states import RunState, Sign, is_open, run_state

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A line of a runs table, and what only the run's own page shows."""

    row: RunRow
    external_id: str
    parent_run: str
    attempts: int
    exit_code: int
    reason: str


def fetch(
    client: Client, projects: Sequence[str], run_ids: Sequence[str], *, versions: Mapping[str, int] | None = None
) -> dict[str, FoundRun]:
    """The runs of `run_ids` that exist and are not deleted, by run id; `versions` are those of their rows, if known."""
    if not run_ids:
        return {}
    scope = {"projects": list(projects), "run_ids": list(run_ids)}
    started, signs, edits = at_once(
        lambda: starts(client, projects, run_ids, versions or {}),
        lambda: rows(client, "run_signs", **scope),
        lambda: rows(client, "run_edits", **scope),
    )
    signs_of: defaultdict[str, list[Sign]] = defaultdict(list)
    for run, *sign in signs:
        signs_of[run].append(Sign(*sign))
    edits_of: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for run, key, value in edits:
        edits_of[run][key] = value
    newest_us = newest_time(client) if any(is_open(of_run) for of_run in signs_of.values()) else 0
    return {
        row[0]: found_run(row, run_state(signs_of[row[0]], newest_us), edits_of[row[0]])
        for row in started
        if "deleted" not in edits_of[row[0]]
    }


_STARTS: WeakKeyDictionary[Client, dict[tuple[str, int], Sequence[Any]]] = WeakKeyDictionary()
_MAX_STARTS = 5_000  # of a client: some MB


def starts(
    client: Client, projects: Sequence[str], run_ids: Sequence[str], versions: Mapping[str, int]
) -> list[Sequence[Any]]:
    """The rows of run_rows.sql. A row of one version never changes, so those that were seen are not asked again."""
    known = _STARTS.setdefault(client, {})
    found = [row for run_id in run_ids if (row := known.get((run_id, versions.get(run_id, -1)))) is not None]
    seen = {row[0] for row in found}
    if missing := [run_id for run_id in run_ids if run_id not in seen]:
        asked = rows(client, "run_rows", projects=list(projects), run_ids=missing)
        if len(known) > _MAX_STARTS:
            known.clear()
        known.update({(row[0], row[-1]): row for row in asked})
        found += asked
    return found


def newest_time(client: Client) -> int:
    """Up to when what runs do has been ingested, in microseconds since 1970, as in the view run_states."""
    marked_us, now_us = rows(client, "newest_mark")[0]
    return int(min(marked_us or rows(client, "newest_sign")[0][0], now_us))


def found_run(started: Sequence[Any], state: RunState, edits: Mapping[str, str]) -> FoundRun:
    """The same rules as v_runs."""
    run_id, project, created_us, name, group, job_type, user, host, notes, external_id, parent_run, _ = started
    row = RunRow(
        project=project,
        run_id=run_id,
        name=edits.get("name") or name,
        state=state.state,
        created_at=moment(created_us),
        ended_at=moment(state.ended_us) if state.ended_us else None,
        last_at=moment(max(state.seen_us, state.ended_us, created_us)),
        duration_s=max((state.ended_us or state.seen_us) - created_us, 0) / 1e6,
        group=edits.get("group", group),
        job_type=edits.get("job_type", job_type),
        user=user,
        host=host,
        tags=tuple(sorted(key.removeprefix("tag:") for key in edits if key.startswith("tag:"))),
        notes=edits.get("notes", notes),
        archived="archived" in edits,
        starred="starred" in edits,
    )
    return FoundRun(row, external_id, parent_run, state.attempt + 1, state.exit_code, state.reason)


def value_of(name: str, kind: str, text: str, number: float) -> Value:
    """A stored value as Python would hold it; text that cannot be read as its kind stays text."""
    result: Any = text
    if kind == "null":
        result = None
    elif kind == "bool":
        result = text.lower() == "true" if math.isnan(number) else number != 0
    elif kind == "float":
        result = number
    elif kind == "int":
        try:
            result = int(text)
        except ValueError:
            result = number
    elif kind == "json":
        try:
            result = json.loads(text)
        except ValueError:
            result = text
    return Value(name, kind, text, result)  # type: ignore[arg-type]  # kind is one of Kind by the event schema


def scalar(value: Value) -> Scalar:
    """A value for a table's cell: JSON stays text."""
    return value.text if value.kind == "json" else value.value


def ids(run_ids: Iterable[object]) -> list[str]:
    return [str(run_id) for run_id in run_ids]
