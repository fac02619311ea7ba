"""Summaries that sums cannot get right, computed from the visible points; and rollups made anew.

metric_summary is incremental: right while no logged value is hidden or replaced later. It is not for runs that were
rewound or forked, for writers of one rank whose steps overlap, and for steps that one logged again or out of order.
All of that is known from small tables, so the pairs of run and metric that it touches are found without reading points.
Their rows in summary_exact stand in place of the sums in every view and query.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING
from uuid import UUID

from runstream_storage.connection import AS_OFTEN_AS_SENT
from runstream_storage.execution import rows, statement, translate

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

RUNS_A_BATCH = 100
PAIRS_A_BATCH = 1_000
POINTS_A_BATCH = 20_000_000
OF_RUNS = "project = {project:String} AND run_id IN {run_ids:Array(UUID)}"


@dataclass(frozen=True)
class Candidate:
    """A run whose sums may be wrong. `sources` are the runs whose points it shows, itself first."""

    project: str
    run_id: str
    sources: tuple[str, ...]
    moved: bool
    """It was rewound or forked."""


@dataclass(frozen=True)
class Pair:
    """A metric of a run whose row is older than its points."""

    run: Candidate
    metric: str
    ver: int
    points: int


def refresh(client: Client, *, project: str = "", run_ids: Sequence[str] = ()) -> int:
    """Bring summary_exact up to what is durable, and return how many pairs of run and metric were computed.

    `run_ids` are runs that changed, and those forked from them are looked at, too; without it, all runs (of `project`).
    0 means that nothing had changed. Any number of processes may call it at once, and again after a failure: a row is a
    function of the points, and the one that has seen most wins. Call it after the rows are durable: what arrives
    while it runs is for the next call. Raises QueryError and Unreachable.
    """
    complete_ancestry(client, project=project)
    if not (found := candidates(client, project=project, run_ids=run_ids)):
        return 0
    by_project: defaultdict[str, list[Candidate]] = defaultdict(list)
    for run in found:
        by_project[run.project].append(run)
    done = 0
    for of_project, runs in by_project.items():
        for start in range(0, len(runs), RUNS_A_BATCH):
            pairs = outdated(client, of_project, runs[start : start + RUNS_A_BATCH])
            for batch in batches(pairs):
                write(client, of_project, batch)
                done += len(batch)
    return done


def complete_ancestry(client: Client, *, project: str = "") -> int:
    """Add the ancestors of forks whose parents became known later than they; how many there were.

    One round adds what a run's parent has, so a chain that arrived from its end needs a round for each link.
    """
    columns = ("project", "run_id", "depth", "source", "upto", "ver")
    done = 0
    while missing := rows(client, "ancestry_missing", project=project):
        try:
            client.insert("ancestry", missing, column_names=columns, settings=AS_OFTEN_AS_SENT)
        except Exception as error:
            raise translate(error) from error
        done += len(missing)
    return done


def candidates(client: Client, *, project: str = "", run_ids: Sequence[str] = ()) -> list[Candidate]:
    """The runs whose summaries may need correction; few, and found without reading points."""
    found = rows(client, "corrections_runs", project=project, run_ids=[str(UUID(run_id)) for run_id in run_ids])
    return [Candidate(of, run, tuple(sources), bool(moved)) for of, run, sources, _, moved in found]


def outdated(client: Client, project: str, runs: Sequence[Candidate]) -> list[Pair]:
    """The pairs of `runs` whose points changed since they were computed last."""
    links = [(run, source) for run in runs for source in run.sources]
    found = rows(
        client,
        "corrections_pairs",
        project=project,
        run_ids=[run.run_id for run, _ in links],
        sources=[source for _, source in links],
        moved=[int(run.moved) for run, _ in links],
    )
    by_id = {run.run_id: run for run in runs}
    return [Pair(by_id[run_id], metric, ver, points) for run_id, metric, ver, points in found]


def batches(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Of one kind each, and small enough for one statement."""
    for moved in (False, True):
        batch: list[Pair] = []
        points = 0
        for pair in pairs:
            if pair.run.moved != moved:
                continue
            if batch and (len(batch) >= PAIRS_A_BATCH or points + pair.points > POINTS_A_BATCH):
                yield batch
                batch, points = [], 0
            batch.append(pair)
            points += pair.points
        if batch:
            yield batch


def write(client: Client, project: str, pairs: Sequence[Pair]) -> None:
    """Compute and insert the rows of `pairs`, which are all of runs that were moved, or all of runs that were not."""
    part = statement("corrections_moved" if pairs[0].run.moved else "corrections_plain")
    parameters: dict[str, object] = {
        "project": project,
        "run_ids": [pair.run.run_id for pair in pairs],
        "metrics": [pair.metric for pair in pairs],
        "vers": [pair.ver for pair in pairs],
        "sources": sorted({source for pair in pairs for source in pair.run.sources}),
    }
    change(client, Template(statement("corrections_write")).substitute(points=part), parameters)


def rebuild(client: Client, *, project: str = "", run_ids: Sequence[str] = ()) -> int:
    """Compute all rollups anew from the points, of `run_ids`, of a project, or of everything; the number of runs.

    While a run is rebuilt, its summaries and curves may be short of values for some seconds. It may be written
    meanwhile: what becomes durable before the end is in. Begun again after an error, it ends the same. Raises
    QueryError and Unreachable.
    """
    done = 0
    for of_project, batch in rows(client, "rebuild_runs", project=project, run_ids=[str(UUID(run)) for run in run_ids]):
        _rebuild(client, of_project, batch)
        done += len(batch)
    return done


def _rebuild(client: Client, project: str, run_ids: Sequence[str]) -> None:
    scope: dict[str, object] = {"project": project, "run_ids": list(run_ids)}
    redo = list(zip(*rows(client, "rebuild_redo", **scope), strict=True)) or [()] * 6
    names = ("of_runs", "of_metrics", "ranks", "writers", "los", "his")
    parameters = scope | {name: list(column) for name, column in zip(names, redo, strict=True)}
    # They only ever merge towards more extreme values, so what is too much has to go first.
    for table in ("metric_summary", "run_summary", "curve", "summary_exact"):
        change(client, f"DELETE FROM {table} WHERE {OF_RUNS}", scope)  # noqa: S608 - a name of ours
    covered = None
    while covered != (covered := rows(client, "covered_rows", **scope)[0][0]):
        change(client, statement("rebuild_summary"), parameters)
        change(client, statement("rebuild_curve"), scope)
    refresh(client, project=project, run_ids=run_ids)


def change(client: Client, sql: str, parameters: dict[str, object]) -> None:
    try:
        client.command(sql, parameters, settings=AS_OFTEN_AS_SENT)
    except Exception as error:
        raise translate(error) from error
