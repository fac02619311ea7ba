"""Rollups computed again from the visible points and compared with the tables. Only differences come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from runstream_deploy.audit.report import Problem, Report, Scope

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

RUNS_AT_ONCE = 50
LEVELS = (10, 14)
RUNS = """
SELECT project, toString(run_id) AS run
FROM points
WHERE ({project:String} = '' OR project = {project:String})
  AND ({run:String} = '' OR run_id = toUUIDOrZero({run:String}))
GROUP BY project, run_id
ORDER BY project, run_id
"""
SUMMARIES = """
SELECT toString(run_id) AS run, metric, s.n, p.n, s.low, p.low, s.high, p.high
FROM
(
    SELECT run_id, toString(v.metric) AS metric, n, n_nan, n_inf, first_step,
           ifNull(min, nan) AS low, ifNull(max, nan) AS high
    FROM v_summary AS v
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)}
) AS s
FULL OUTER JOIN
(
    SELECT run_id, toString(v.metric) AS metric, count() AS n, countIf(isNaN(value)) AS n_nan,
           countIf(isInfinite(value)) AS n_inf, min(step) AS first_step,
           ifNull(minOrNullIf(value, NOT isNaN(value)), nan) AS low,
           ifNull(maxOrNullIf(value, NOT isNaN(value)), nan) AS high
    FROM v_points AS v
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)}
    GROUP BY run_id, metric
) AS p USING (run_id, metric)
WHERE s.n != p.n OR s.n_nan != p.n_nan OR s.n_inf != p.n_inf OR s.first_step != p.first_step
   OR (s.low != p.low AND NOT (isNaN(s.low) AND isNaN(p.low)))
   OR (s.high != p.high AND NOT (isNaN(s.high) AND isNaN(p.high)))
ORDER BY run, metric
"""
LAST = """
SELECT toString(s.run_id) AS run, s.metric, s.last_step
FROM
(
    SELECT run_id, toString(v.metric) AS metric, last, last_step
    FROM v_summary AS v
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)}
) AS s
LEFT JOIN
(
    SELECT run_id, toString(v.metric) AS metric, step, groupArray(reinterpretAsInt64(value)) AS bits
    FROM v_points AS v
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)}
      AND step IN (SELECT last_step FROM v_summary WHERE project = {project:String} AND run_id IN {runs:Array(UUID)})
    GROUP BY run_id, metric, step
) AS p ON p.run_id = s.run_id AND p.metric = s.metric AND p.step = s.last_step
WHERE NOT has(p.bits, reinterpretAsInt64(s.last))
ORDER BY run, s.metric
"""
# A tier may be wider than the points where a step was logged again: readers take raw points there. Never narrower.
CURVES = """
WITH rewritten AS
(
    SELECT run_id, toString(m.metric) AS metric
    FROM metric_summary AS m
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)}
    GROUP BY run_id, m.metric
    HAVING uniqExact(rank, writer) > uniqExact(rank) OR max(redo_hi) >= min(redo_lo)
)
SELECT toString(run_id) AS run, metric, count(), min(bucket)
FROM
(
    SELECT run_id, toString(v.metric) AS metric, rank, bitShiftRight(step, {lvl:UInt8}) AS bucket,
           min(step) AS s0, max(step) AS s1, minIf(value, isFinite(value)) AS low,
           maxIf(value, isFinite(value)) AS high, countIf(isFinite(value)) AS finite, 1 AS there
    FROM points AS v FINAL
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)}
    GROUP BY run_id, metric, rank, bucket
) AS p
FULL OUTER JOIN
(
    SELECT run_id, toString(v.metric) AS metric, rank, bucket, min(v.s0) AS s0, max(v.s1) AS s1,
           min(v.min) AS low, max(v.max) AS high, 1 AS there
    FROM curve AS v
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)} AND lvl = {lvl:UInt8}
    GROUP BY run_id, metric, rank, bucket
) AS c USING (run_id, metric, rank, bucket)
WHERE p.there != c.there OR c.s0 > p.s0 OR c.s1 < p.s1 OR (p.finite > 0 AND NOT (c.low <= p.low AND c.high >= p.high))
   OR ((c.s0 < p.s0 OR c.s1 > p.s1 OR (p.finite > 0 AND (c.low < p.low OR c.high > p.high)))
       AND (run_id, metric) NOT IN (SELECT run_id, metric FROM rewritten))
GROUP BY run, metric
ORDER BY run, metric
"""


def runs_of(client: Client, scope: Scope) -> Sequence[Sequence[str]]:
    """Project and id of each run of `scope` that has points."""
    found: Sequence[Sequence[str]] = client.query(
        RUNS, parameters={"project": scope.project, "run": scope.run_id}
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
    for run, metric, n, of, low, least, high, greatest in client.query(SUMMARIES, parameters=parameters).result_rows:
        text = f"{metric}: n {n}, min {low:g}, max {high:g}; its points say n {of}, min {least:g}, max {greatest:g}"
        yield Problem("wrong summary", text, project=project, run_id=run), metric
    for run, metric, step in client.query(LAST, parameters=parameters).result_rows:
        text = f"{metric}: last is not what step {step} has"
        yield Problem("wrong summary", text, project=project, run_id=run), metric
    for level in LEVELS:
        rows = client.query(CURVES, parameters={**parameters, "lvl": level}).result_rows
        for run, metric, count, bucket in rows:
            text = f"{metric}: {count:,} buckets of 2^{level} steps, the first from step {bucket << level}"
            yield Problem("wrong curve", text, count, project, run), metric
