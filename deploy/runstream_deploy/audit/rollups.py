"""Rollups computed again from the visible points and compared with the tables. Only differences come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from runstream_deploy.audit.report import Problem, Report, Scope
from runstream_storage.execution import statement

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

RUNS_AT_ONCE = 50
LEVELS = (10, 12)


def runs_of(client: Client, scope: Scope) -> Sequence[Sequence[str]]:
    """Project and id of each run of `scope` that has points."""
    found: Sequence[Sequence[str]] = client.query(
        statement("audit_runs"), parameters={"project": scope.project, "run": scope.run_id}
    ).result_rows
    return found


def compare(client: Client, scope: Scope, report: Report, progress: Callable[[int, int], None] | None = None) -> None:
    """Adds each summary and curve of the scope's runs that its points do not bear out."""
    found = runs_of(client, scope)
    done = 0
    for project, runs in batches(found):
        report.runs += len(runs)
        waiting = outdated(client, project, runs)
        if waiting:
            report.note(
                f"{project}: {len(waiting):,} summaries wait for ingest, which computes those of re-logged, rewound or "
                "forked runs within seconds; `runstream rebuild` does it now."
            )
        for problem, metric in _problems(client, project, runs):
            if problem.kind != "wrong summary" or (problem.run_id, metric) not in waiting:
                report.add(problem)
        done += len(runs)
        if progress is not None:
            progress(done, len(found))


def batches(found: Sequence[Sequence[str]]) -> Iterator[tuple[str, list[str]]]:
    """Runs of one project, so many at once."""
    held: list[str] = []
    of = ""
    for project, run in found:
        if held and (project != of or len(held) == RUNS_AT_ONCE):
            yield of, held
            held = []
        of = project
        held.append(run)
    if held:
        yield of, held


def outdated(client: Client, project: str, runs: Sequence[str]) -> set[tuple[str, str]]:
    """Run and metric of the summaries that cannot be added up and were not computed yet."""
    from runstream_storage import corrections

    found = corrections.candidates(client, project=project, run_ids=runs)
    return {(pair.run.run_id, pair.metric) for pair in corrections.outdated(client, project, found)} if found else set()


def _problems(client: Client, project: str, runs: Sequence[str]) -> Iterator[tuple[Problem, str]]:
    """Each with its metric."""
    parameters: dict[str, Any] = {"project": project, "runs": [UUID(run) for run in runs]}
    for run, metric, n, of, low, least, high, greatest in client.query(
        statement("audit_summaries"), parameters=parameters
    ).result_rows:
        text = f"{metric}: n {n}, min {low:g}, max {high:g}; its points say n {of}, min {least:g}, max {greatest:g}"
        yield Problem("wrong summary", text, project=project, run_id=run), metric
    for run, metric, step in client.query(statement("audit_last_values"), parameters=parameters).result_rows:
        text = f"{metric}: last is not what step {step} has"
        yield Problem("wrong summary", text, project=project, run_id=run), metric
    for level in LEVELS:
        rows = client.query(statement("audit_curves"), parameters={**parameters, "lvl": level}).result_rows
        for run, metric, count, bucket in rows:
            text = f"{metric}: {count:,} buckets of 2^{level} steps, the first from step {bucket << level}"
            yield Problem("wrong curve", text, count, project, run), metric
