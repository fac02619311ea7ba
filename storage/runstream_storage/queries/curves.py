"""Curves: envelopes of as many stretches as a chart has pixels, for all its metrics and runs in one query.

A stretch keeps the smallest and the largest value, so that no spike is ever lost. Few points are read as they are; many
from the tiers that ingest keeps (2^10 and 2^14 steps a bucket).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from runstream_storage.execution import rows, statement, translate
from runstream_storage.queries.results import Curve, Curves

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Axis = Literal["step", "time", "relative"]

MAX_RAW_POINTS = 200_000  # of one curve: below, points are read as they are
MAX_RAW_TOTAL = 10_000_000  # of all curves of one call
TIERS = (14, 10)
BRANCHES = ("raw", "tiers", "odd")
INT64_MAX = 2**63 - 1

OFFSET = "transform(run_id, {run_ids:Array(UUID)}, {starts:Array(Int64)}, toInt64(0))"
AXES = {
    "step": {"x": "step", "x0": "s0", "x1": "s1"},
    "time": {"x": "ts_us", "x0": "t0", "x1": "t1"},
    "relative": {"x": f"(ts_us - {OFFSET})", "x0": f"(t0 - {OFFSET})", "x1": f"(t1 - {OFFSET})"},
}


@dataclass(frozen=True)
class Plan:
    """How one metric is read: from points (level 0) or a tier, on a grid of `width` units of x from `first`."""

    level: int
    first: int
    width: int
    odd: bool


def curves(
    client: Client,
    project: str,
    run_ids: Sequence[str],
    metrics: Sequence[str],
    *,
    width_px: int = 1000,
    x: Axis = "step",
    window: tuple[int, int] | None = None,
    rank: int | None = None,
) -> Curves:
    """The curves of `metrics` for `run_ids`, at most `width_px` stretches each (one more at the edges of a tier).

    x: step; time, in microseconds since 1970; or relative, in microseconds since the run's start. `window` is first and
    last x, both included. All ranks of a run make one envelope unless `rank` names one. A window that holds few points
    gives the logged values themselves; the tiers also hold values that a resumed run wrote anew.
    """
    run_ids, metrics = list(dict.fromkeys(run_ids)), list(dict.fromkeys(metrics))
    if not run_ids or not metrics:
        return Curves({})
    starts = run_starts(client, project, run_ids) if x == "relative" else [0] * len(run_ids)
    plans = plan(client, project, run_ids, metrics, x=x, window=window, width_px=max(1, width_px), starts=starts)
    if not plans:
        return Curves({})
    metrics = list(plans)
    low, high = window or (-INT64_MAX, INT64_MAX)
    parameters: dict[str, object] = {
        "project": project,
        "run_ids": run_ids,
        "metrics": metrics,
        "raw": [metric for metric in metrics if not plans[metric].level],
        "tiers": [metric for metric in metrics if plans[metric].level],
        "odd": [metric for metric in metrics if plans[metric].level and plans[metric].odd],
        "levels": [plans[metric].level for metric in metrics],
        "firsts": [plans[metric].first for metric in metrics],
        "widths": [plans[metric].width for metric in metrics],
        "from": low,
        "to": high,
        "from_step": low if x == "step" else -INT64_MAX,
        "to_step": high if x == "step" else INT64_MAX,
        "rank": -1 if rank is None else rank,
        "starts": starts,
    }
    return read(client, question(x, [name for name in BRANCHES if parameters[name]]), parameters, run_ids, plans)


def question(x: Axis, branches: Sequence[str]) -> str:
    """curves.sql with the branches that are needed; a comment between them ends with its line."""
    parts = [Template(statement(f"curve_{branch}")).substitute(AXES[x]) for branch in branches]
    return Template(statement("curves")).substitute(AXES[x], branches="UNION ALL\n".join(parts))


def plan(
    client: Client,
    project: str,
    run_ids: Sequence[str],
    metrics: Sequence[str],
    *,
    x: Axis,
    window: tuple[int, int] | None,
    width_px: int,
    starts: Sequence[int],
) -> dict[str, Plan]:
    """How to read each metric that has points in the window; the other metrics are absent.

    The number of points in a window is estimated from the whole curve's, as if they lay evenly.
    """
    extents = rows(client, "curve_extents", project=project, run_ids=run_ids, metrics=metrics, x=x, starts=list(starts))
    result: dict[str, Plan] = {}
    budget = MAX_RAW_TOTAL
    for metric, most, first_x, last_x, has_odd in sorted(extents, key=lambda row: int(row[1])):
        first, last = (first_x, last_x) if window is None else (max(first_x, window[0]), min(last_x, window[1]))
        if last < first:
            continue
        share = (last - first + 1) / (last_x - first_x + 1)
        points = int(most * share) + 1
        level = 0 if points <= MAX_RAW_POINTS else tier(points, width_px)
        if not level and points * len(run_ids) > budget:
            level = TIERS[-1] if points > width_px else 0
        budget -= 0 if level else points * len(run_ids)
        width = 1 if not level and points <= 2 * width_px else max(1, -(-(last - first + 1) // width_px))
        result[metric] = Plan(level, first, width, bool(has_odd))
    return {metric: result[metric] for metric in metrics if metric in result}


def tier(points: int, width_px: int) -> int:
    """The coarsest tier with two buckets for each pixel; the finest while it has one; else 0: points."""
    for level in TIERS:
        if points >> level >= 2 * width_px:
            return level
    return TIERS[-1] if points >> TIERS[-1] >= width_px or points > MAX_RAW_POINTS * 10 else 0


def run_starts(client: Client, project: str, run_ids: Sequence[str]) -> list[int]:
    found = rows(client, "run_starts", project=project, run_ids=list(run_ids))
    known: dict[str, int] = {row[0]: row[1] for row in found}
    return [known.get(str(UUID(run_id)), 0) for run_id in run_ids]


def read(
    client: Client, sql: str, parameters: dict[str, object], run_ids: Sequence[str], plans: dict[str, Plan]
) -> Curves:
    import numpy as np

    try:
        table = client.query_arrow(sql, parameters=parameters)
    except Exception as error:
        raise translate(error) from error
    run_place, metric_place, x0, x1, lo, hi, n_nan, n_pos, n_neg = (column.to_numpy() for column in table.columns)
    if not len(run_place):
        return Curves({})
    pairs = metric_place.astype(np.int64) * (len(run_ids) + 1) + run_place
    cuts = np.flatnonzero(np.diff(pairs)) + 1
    begins, ends = [0, *cuts.tolist()], [*cuts.tolist(), len(pairs)]
    metrics = list(plans)
    found = {}
    for begin, end in zip(begins, ends, strict=True):
        run_id, metric = run_ids[int(run_place[begin]) - 1], metrics[int(metric_place[begin]) - 1]
        part = slice(begin, end)
        columns = [column[part] for column in (x0, x1, lo, hi, n_nan, n_pos, n_neg)]
        exact = plans[metric].level == 0 and plans[metric].width == 1
        found[run_id, metric] = Curve(run_id, metric, *columns, exact)  # type: ignore[call-arg]  # seven columns
    return Curves(found)
