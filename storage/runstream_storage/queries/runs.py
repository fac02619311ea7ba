"""The runs table: filter, sort and page in the database, two phases.

First the ids of the page, from the columns that the filter and the sort key name; then the columns to show, for those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from runstream_storage.execution import ask, moment, rows
from runstream_storage.filters.compiler import compile_filter
from runstream_storage.filters.parser import parse_column
from runstream_storage.filters.relation import Selection
from runstream_storage.filters.terms import Subject
from runstream_storage.queries import run_rows
from runstream_storage.queries.results import Best, Project, RunsPage, Scalar

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def projects(client: Client) -> list[Project]:
    """All projects that have runs, the most recently active first."""
    return [Project(name, runs, running, moment(last_us)) for name, runs, running, last_us in rows(client, "projects")]


def runs(
    client: Client,
    projects: Sequence[str],
    *,
    filter: str = "",
    sort: str = "created",
    descending: bool = True,
    limit: int = 50,
    offset: int = 0,
    columns: Sequence[str] = (),
    archived: bool = False,
) -> RunsPage:
    """One page of the runs of `projects` that pass `filter`, in order of the column `sort`.

    Runs without a value of `sort` come last in both directions, NaN right before them; ties are broken by start, newest
    first. `columns` are columns of the filter language to have in `RunRow.values`; attributes are in the row anyway.
    `archived` includes runs that people put away. Raises FilterError, also for `sort` and `columns`, and QueryError.
    """
    subjects = {text: parse_column(text) for text in columns}
    selection = Selection(projects, archived=archived)
    where = compile_filter(filter, selection, now=datetime.now(UTC))
    order = order_by(parse_column(sort), selection, descending=descending)

    page = ask(
        client,
        f"SELECT toString(r.run_id) AS run, count() OVER () AS matched\n{filtered(selection, where)}\n"
        f"ORDER BY {order}\nLIMIT {selection.bind(limit, 'UInt32')} OFFSET {selection.bind(offset, 'UInt64')}",
        selection.parameters,
    ).result_rows
    matched = page[0][1] if page else (count(client, projects, filter=filter, archived=archived) if offset else 0)
    total = count(client, projects, archived=archived) if filter.strip() else matched
    run_ids = [row[0] for row in page]
    found = run_rows.fetch(client, projects, run_ids)
    values = column_values(client, projects, run_ids, subjects)
    return RunsPage(
        rows=[run_rows.run_row(found[run], values.get(run, {})) for run in run_ids if run in found],
        matched=matched,
        total=total,
    )


def count(client: Client, projects: Sequence[str], *, filter: str = "", archived: bool = False) -> int:
    """How many runs of `projects` pass `filter`."""
    selection = Selection(projects, archived=archived)
    where = compile_filter(filter, selection, now=datetime.now(UTC))
    answer = ask(client, f"SELECT count()\n{filtered(selection, where)}", selection.parameters).result_rows
    return int(answer[0][0])


def best(
    client: Client,
    projects: Sequence[str],
    column: str,
    *,
    goal: Literal["min", "max"],
    filter: str = "",
    archived: bool = False,
) -> Best | None:
    """The run whose `column` is smallest or largest; None when no run that passes `filter` has a number there."""
    selection = Selection(projects, archived=archived)
    where = compile_filter(filter, selection, now=datetime.now(UTC))
    reference = selection.column(parse_column(column))
    name = selection.column(Subject("attribute", ("name",), "name")).text
    if not reference.number:
        return None
    direction = "ASC" if goal == "min" else "DESC"
    numeric = number_test(reference.kind, reference.present)
    answer = ask(
        client,
        f"SELECT toString(r.run_id) AS run, {name} AS run_name, toFloat64({reference.number}) AS value\n"
        f"{filtered(selection, where)} AND {numeric} AND NOT isNaN({reference.number})\n"
        f"ORDER BY value {direction}, r.created_us DESC LIMIT 1",
        selection.parameters,
    ).result_rows
    return Best(*answer[0]) if answer else None


def filtered(selection: Selection, where: str) -> str:
    return selection.sources() + (f"\nAND {where}" if where else "")


def number_test(kind: str, present: str) -> str:
    return f"{kind} IN ('int', 'float', 'bool')" if kind else present


def order_by(subject: Subject, selection: Selection, *, descending: bool) -> str:
    """ORDER BY of the column: numbers before NaN before texts before nothing."""
    reference = selection.column(subject)
    direction = "DESC" if descending else "ASC"
    keys = []
    if reference.number:
        has_number = number_test(reference.kind, reference.present)
        number = f"if({has_number}, toFloat64({reference.number}), 0)"
        keys += [f"NOT ({has_number})", f"isNaN({number})", f"{number} {direction}"]
    if reference.text:
        keys += [f"NOT ({reference.present})", f"{reference.text} {direction}"]
    return ", ".join([*keys, "r.created_us DESC", "r.run_id DESC"])


def column_values(
    client: Client, projects: Sequence[str], run_ids: Sequence[str], subjects: dict[str, Subject]
) -> dict[str, dict[str, Scalar]]:
    """The values of params, summary values and metrics for `run_ids`, every asked-for text present in each run."""
    wanted = {text: subject for text, subject in subjects.items() if subject.kind != "attribute"}
    result: dict[str, dict[str, Scalar]] = {run: dict.fromkeys(wanted) for run in run_ids}
    if not wanted or not run_ids:
        return result
    for kind, question in (("config", "params"), ("summary", "summary_values")):
        of_kind = {text: subject for text, subject in wanted.items() if subject.kind == kind}
        if of_kind:
            stored = stored_values(client, question, projects, run_ids, of_kind.values())
            for text, subject in of_kind.items():
                for run, values in stored.items():
                    result[run][text] = next((values[name] for name in subject.names if name in values), None)
    metrics = {text: subject for text, subject in wanted.items() if subject.kind == "metric"}
    if metrics:
        numbers = metric_numbers(client, projects, run_ids, metrics.values())
        for run, values in result.items():
            found = numbers.get(run, {})
            values.update((text, found.get((subject.name, subject.aggregate))) for text, subject in metrics.items())
    return result


def metric_numbers(
    client: Client, projects: Sequence[str], run_ids: Sequence[str], subjects: Iterable[Subject]
) -> dict[str, dict[tuple[str, str], Scalar]]:
    """By run, then by metric and aggregate; counts are asked for only where one is wanted."""
    found: dict[str, dict[tuple[str, str], Scalar]] = {}
    wanted = list(subjects)
    scope = {"projects": list(projects), "run_ids": list(run_ids)}
    names = sorted({subject.name for subject in wanted if subject.aggregate != "count"})
    if names:
        for run, metric, last, first, low, high in rows(client, "metric_values", **scope, metrics=names):
            values = found.setdefault(run, {})
            values[metric, "last"], values[metric, "first"] = last, first
            values[metric, "min"] = None if low != low else low
            values[metric, "max"] = None if high != high else high
    counted = sorted({subject.name for subject in wanted if subject.aggregate == "count"})
    if counted:
        for run, metric, n in rows(client, "metric_counts", **scope, metrics=counted):
            found.setdefault(run, {})[metric, "count"] = n
    return found


def stored_values(
    client: Client, question: str, projects: Sequence[str], run_ids: Sequence[str], subjects: Iterable[Subject]
) -> dict[str, dict[str, Scalar]]:
    names = sorted({name for subject in subjects for name in subject.names})
    found: dict[str, dict[str, Scalar]] = {}
    for project in projects:
        for run, name, kind, text, number in rows(
            client, question, project=project, run_ids=list(run_ids), names=names
        ):
            found.setdefault(run, {})[name] = run_rows.scalar(run_rows.value_of(name, kind, text, number))
    return found
