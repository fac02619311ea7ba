"""The runs table: filter, sort and page in the database, two phases.

First the ids of the page, from the columns that the filter and the sort key name; then the columns to show, for those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from string import Template
from typing import TYPE_CHECKING, Any, Literal

from runstream_storage.execution import ask, at_once, moment, rows, statement
from runstream_storage.filters.compiler import compile_filter
from runstream_storage.filters.parser import parse_column
from runstream_storage.filters.relation import ALWAYS, METRIC, Selection
from runstream_storage.filters.terms import Subject
from runstream_storage.queries import run_rows
from runstream_storage.queries.assumed import Assumed, with_assumed
from runstream_storage.queries.results import Best, Project, RunRow, RunsPage, Scalar

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# Aggregate: what it reads of a row of run_summary, how that makes one value, and the value in summary_exact.
EXACT = {"last": "e.last.value", "first": "e.first.value", "min": "e.min", "max": "e.max"}
METRIC_VALUES = {name: (parts, form.format("", ""), EXACT[name]) for name, (parts, form) in METRIC.items()}


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

    filtering = bool(filter.strip())
    shown_metrics = {subject.name for subject in subjects.values() if subject.kind == "metric"}
    # Sorting by a window of all rows takes longer than a second, short question beside this one.
    matched_too = "count() OVER ()" if filtering else "0"

    def matching(assumed: Assumed) -> Sequence[Sequence[Any]]:
        selection.exact, selection.hidden = assumed.exact, assumed.hidden
        found: Sequence[Sequence[Any]] = ask(
            client,
            f"SELECT toString(r.run_id) AS run, r.ver AS ver, {matched_too} AS matched\n{filtered(selection, where)}\n"
            f"ORDER BY {order}\nLIMIT {selection.bind(limit, 'UInt32')} OFFSET {selection.bind(offset, 'UInt64')}",
            selection.parameters,
        ).result_rows
        return found

    def table(assumed: Assumed) -> tuple[Sequence[Sequence[Any]], list[RunRow]]:
        page = matching(assumed)
        run_ids = [row[0] for row in page]
        found, values = at_once(
            lambda: run_rows.fetch(client, projects, run_ids, versions={row[0]: row[1] for row in page}),
            lambda: column_values(client, projects, run_ids, subjects, exact=assumed.exact),
        )
        return page, [replace(found[run].row, values=values[run]) for run in run_ids if run in found]

    def everything(assumed: Assumed) -> list[Any]:
        return at_once(lambda: table(assumed), lambda: all_runs(client, projects, assumed, archived=archived))

    (page, lines), total = with_assumed(
        client, projects, selection.metrics | shown_metrics, selection.hiding, everything
    )
    if not filtering:
        matched = total
    elif page:
        matched = page[0][2]
    else:
        matched = count(client, projects, filter=filter, archived=archived) if offset else 0
    return RunsPage(rows=lines, matched=matched, total=total)


def count(client: Client, projects: Sequence[str], *, filter: str = "", archived: bool = False) -> int:
    """How many runs of `projects` pass `filter`."""
    selection = Selection(projects, archived=archived)
    where = compile_filter(filter, selection, now=datetime.now(UTC))
    answer = asked(client, selection, lambda: f"SELECT count()\n{filtered(selection, where)}")
    return int(answer[0][0])


def all_runs(client: Client, projects: Sequence[str], assumed: Assumed, *, archived: bool) -> int:
    """How many runs there are that are not hidden."""
    selection = Selection(projects, archived=archived, hidden=assumed.hidden)
    return int(ask(client, f"SELECT count()\n{filtered(selection, '')}", selection.parameters).result_rows[0][0])


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
    answer = asked(
        client,
        selection,
        lambda: (
            f"SELECT toString(r.run_id) AS run, {name} AS run_name, toFloat64({reference.number}) AS value\n"
            f"{filtered(selection, where)} AND {numeric} AND NOT isNaN({reference.number})\n"
            f"ORDER BY value {direction}, r.created_us DESC LIMIT 1"
        ),
    )
    return Best(*answer[0]) if answer else None


def asked(client: Client, selection: Selection, sql: Callable[[], str]) -> Sequence[Sequence[Any]]:
    """The rows of the query `sql`, which is written of `selection` each time it is asked."""

    def question(assumed: Assumed) -> Sequence[Sequence[Any]]:
        selection.exact, selection.hidden = assumed.exact, assumed.hidden
        text = sql()
        found: Sequence[Sequence[Any]] = ask(client, text, selection.parameters).result_rows
        return found

    return with_assumed(client, selection.projects, selection.metrics, selection.hiding, question)


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
        number = reference.number
        if not reference.zero_if_absent:
            number = f"if({has_number}, toFloat64({number}), 0)"
        if has_number != ALWAYS:
            keys += [f"NOT ({has_number})", f"isNaN({number})"]
        keys.append(f"{number} {direction}")
    if reference.text:
        keys += [f"NOT ({reference.present})", f"{reference.text} {direction}"]
    return ", ".join([*keys, "r.created_us DESC", "r.run_id DESC"])


def column_values(
    client: Client, projects: Sequence[str], run_ids: Sequence[str], subjects: dict[str, Subject], *, exact: bool = True
) -> dict[str, dict[str, Scalar]]:
    """The values of params, summary values and metrics for `run_ids`, every asked-for text present in each run.

    Without `exact`, no metric among them may have rows in summary_exact.
    """
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
    counts = {text: subject.name for text, subject in metrics.items() if subject.aggregate == "count"}
    if len(counts) < len(metrics):
        others = {text: one for text, one in metrics.items() if text not in counts}
        add_metric_values(client, projects, run_ids, others, result, exact=exact)
    if counts:
        names = sorted(set(counts.values()))
        found = rows(client, "metric_counts", projects=list(projects), run_ids=list(run_ids), metrics=names)
        numbers = {(run, metric): n for run, metric, n in found}
        for run, values in result.items():
            values.update((text, numbers.get((run, metric))) for text, metric in counts.items())
    return result


def add_metric_values(
    client: Client,
    projects: Sequence[str],
    run_ids: Sequence[str],
    subjects: dict[str, Subject],
    result: dict[str, dict[str, Scalar]],
    *,
    exact: bool,
) -> None:
    """Put the aggregates that `subjects` name, by the texts they were asked with, into `result` of each run."""
    metrics = sorted({subject.name for subject in subjects.values()})
    aggregates = sorted({subject.aggregate for subject in subjects.values()})
    texts: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for text, subject in subjects.items():
        texts[subject.name].append((text, aggregates.index(subject.aggregate)))
    by_metric = [texts[metric] for metric in metrics]
    by_run = [result[run] for run in run_ids]
    chosen = [METRIC_VALUES[aggregate] for aggregate in aggregates]
    sql = Template(statement("metric_values")).substitute(
        names=", ".join(aggregates),
        parts=", ".join(parts for parts, _, _ in chosen),
        sums=", ".join(f"{sums} AS of_{name}" for name, (_, sums, _) in zip(aggregates, chosen, strict=True)),
        exact=Template(statement("metric_values_exact")).substitute(values=", ".join(one for _, _, one in chosen))
        if exact
        else "",
    )
    parameters = {"projects": list(projects), "run_ids": list(run_ids), "metrics": metrics}
    table = ask(client, sql, parameters)
    columns = [column.tolist() if hasattr(column, "tolist") else column for column in table.result_columns]
    if not columns:
        return
    for position, aggregate in enumerate(aggregates):
        if aggregate in {"min", "max"}:
            columns[4 + position] = [None if value != value else value for value in columns[4 + position]]
    some = 1 in columns[2]
    order = sorted(range(len(columns[0])), key=columns[2].__getitem__) if some else range(len(columns[0]))
    for row in order:  # exact ones last, because they take the place of the others
        values = by_run[columns[0][row] - 1]
        shown = columns[3][row]
        for text, position in by_metric[columns[1][row] - 1]:
            values[text] = columns[4 + position][row] if shown else None


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
