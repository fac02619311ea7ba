"""The lines of a runs table, from the rows of run_rows.sql."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from runstream_storage.execution import moment, rows
from runstream_storage.queries.results import RunRow, Scalar, Value

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# Places of run_rows.sql that only a run's own page shows.
EXTERNAL_ID, PARENT_RUN, ATTEMPTS, EXIT_CODE, REASON = range(15, 20)


def fetch(client: Client, projects: Sequence[str], run_ids: Sequence[str]) -> dict[str, Sequence[Any]]:
    """The rows of run_rows.sql by run id."""
    if not run_ids:
        return {}
    found = rows(client, "run_rows", projects=list(projects), run_ids=list(run_ids))
    return {row[1]: row for row in found}


def run_row(row: Sequence[Any], values: dict[str, Scalar] | None = None) -> RunRow:
    project, run_id, name, state, created_us, ended_us, last_us, duration_s, group, job_type, user, host = row[:12]
    tags, notes, archived = row[12:15]
    return RunRow(
        project=project,
        run_id=run_id,
        name=name,
        state=state,
        created_at=moment(created_us),
        ended_at=moment(ended_us) if ended_us else None,
        last_at=moment(last_us),
        duration_s=duration_s,
        group=group,
        job_type=job_type,
        user=user,
        host=host,
        tags=tuple(tags),
        notes=notes,
        archived=bool(archived),
        values=values or {},
    )


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
