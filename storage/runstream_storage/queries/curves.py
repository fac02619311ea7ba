"""Curves: envelopes of as many stretches as a chart has pixels, for all its metrics and runs in one query.

A stretch keeps the smallest and the largest value, so that no spike is ever lost. Few points are read as they are; many
from the tiers that ingest keeps (2^10 and 2^12 steps a bucket), but for steps whose values were hidden or replaced: see
`visible`. An ordinary run pays nothing for those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from runstream_storage.execution import rows, statement, translate
from runstream_storage.queries import visible
from runstream_storage.queries.results import Curve, Curves

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Axis = Literal["step", "time", "relative"]

MAX_RAW_POINTS = 200_000  # of one curve: below, points are read as they are
MAX_RAW_TOTAL = 10_000_000  # of all curves of one call
TIERS = (12, 10)
SKIP = "AND (run_id, metric) NOT IN arrayZip({skip_runs:Array(UUID)}, {skip_metrics:Array(String)})"
NEWEST = {
    False: {"ts_us": "p.ts_us", "value": "p.value", "odd": "k.odd", "newest": ""},
    True: {
        "ts_us": "argMin((p.ts_us, p.value, k.odd) AS point, k.depth).1",
        "value": "argMin(point, k.depth).2",
        "odd": "argMin(point, k.depth).3",
        "newest": "GROUP BY k.run_id, p.metric, p.rank, p.step",
    },
}
INT64_MAX = 2**63 - 1
IN_WINDOW = (
    "AND step BETWEEN {from_step:Int64} AND {to_step:Int64} AND $x BETWEEN {from:Int64} AND {to:Int64}"  # of points
)
OF_BUCKETS = (
    "AND bucket BETWEEN bitShiftRight({from_step:Int64}, lvl) AND bitShiftRight({to_step:Int64}, lvl) "
    "AND $x1 >= {from:Int64} AND $x0 <= {to:Int64}"
)

OFFSET = "transform(run_id, {run_ids:Array(UUID)}, {starts:Array(Int64)}, toInt64(0))"
AXES = {
    "step": {"x": "step", "x0": "s0", "x1": "s1"},
    "time": {"x": "ts_us", "x0": "t0", "x1": "t1"},
    "relative": {"x": f"(ts_us - {OFFSET})", "x0": f"(t0 - {OFFSET})", "x1": f"(t1 - {OFFSET})"},
}
RUN_PLACE = "toUInt32(indexOf({run_ids:Array(UUID)}, run_id)) AS run_place"
METRIC_PLACE = "toUInt32(indexOf({metrics:Array(String)}, metric)) AS metric_place"
# Of one branch the rows are the answer; the stretches of several are put together.
ONE_CURVE = {"keys": "toUInt32(1) AS run_place, toUInt32(1) AS metric_place", "grouped": "stretch"}
ONE_BRANCH = {"keys": f"{RUN_PLACE}, {METRIC_PLACE}", "grouped": "run_id, metric, stretch"}
BRANCHES = {"keys": "run_id, metric", "grouped": "run_id, metric, stretch"}
OF_ONE = {
    "level": "{level:UInt8}",
    "first": "{first:Int64}",
    "width": "{width:Int64}",
    "of_level": "lvl = {level:UInt8}",
    **dict.fromkeys(("of_raw", "of_tiers", "of_odd"), "= {metric:String}"),
}
OF_MANY = {
    "of_raw": "IN {raw:Array(String)}",
    "of_tiers": "IN {tiers:Array(String)}",
    "of_odd": "IN {odd:Array(String)}",
    "of_level": "lvl = $level AND lvl IN {levels:Array(UInt8)}",
    "level": "transform(metric, {metrics:Array(String)}, {levels:Array(UInt8)}, toUInt8(0))",
    "first": "transform(metric, {metrics:Array(String)}, {firsts:Array(Int64)}, toInt64(0))",
    "width": "transform(metric, {metrics:Array(String)}, {widths:Array(Int64)}, toInt64(1))",
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
    gives the logged values. Values that a rewind took back or a later one replaced are not among them; a fork
    has its ancestors' too.
    """
    run_ids, metrics = list(dict.fromkeys(run_ids)), list(dict.fromkeys(metrics))
    if not run_ids or not metrics:
        return Curves({})
    starts = run_starts(client, project, run_ids) if x == "relative" else [0] * len(run_ids)
    canonical = [str(UUID(run_id)) for run_id in run_ids]
    spans, maybe_moved = visible.logged(client, project, run_ids, metrics)
    moved = visible.sources(client, project, run_ids) if maybe_moved else {}
    if moved:
        spans |= visible.inherited(client, project, metrics, moved, spans)
    found = extents(spans, x=x, starts=dict(zip(canonical, starts, strict=True)))
    plans = plan(found, metrics, len(run_ids), window=window, width_px=max(1, width_px))
    if not plans:
        return Curves({})
    wanted = visible.Visible()
    for (run_id, metric), of_pair in spans.items():
        # Few points of a run without rewinds are read right as they are.
        if metric in plans and (run_id in moved or (plans[metric].level and visible.unclear(of_pair))):
            visible.add(wanted, run_id, metric, of_pair, plans[metric].level, odd=plans[metric].odd)
    low, high = window or (-INT64_MAX, INT64_MAX)
    metrics = list(plans)
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
        "starts": starts,
    }
    if rank is not None:
        parameters["rank"] = rank
    return read(client, *question(x, parameters, wanted), run_ids, plans)


def question(x: Axis, parameters: dict[str, object], wanted: visible.Visible) -> tuple[str, dict[str, object]]:
    """curves.sql with the branches that are needed, or a single one as it is; and the parameters."""
    of_axis = AXES[x] | (OF_MANY if len(parameters["metrics"]) > 1 else OF_ONE)  # type: ignore[arg-type]
    if len(parameters["metrics"]) == 1:  # type: ignore[arg-type]
        parameters |= {one: parameters[f"{one}s"][0] for one in ("metric", "level", "first", "width")}  # type: ignore[index]
    parameters["run_id"] = parameters["run_ids"][0]  # type: ignore[index]
    one_run = len(parameters["run_ids"]) == 1  # type: ignore[arg-type]
    of_axis["of_runs"] = "= {run_id:UUID}" if one_run else "IN {run_ids:Array(UUID)}"
    of_axis["of_rank"] = "AND rank = {rank:Int64}" if "rank" in parameters else ""
    everything = (parameters["from"], parameters["to"]) == (-INT64_MAX, INT64_MAX)
    of_axis["in_window"] = "" if everything else IN_WINDOW
    of_axis["of_buckets"] = "" if everything else OF_BUCKETS
    skip = SKIP if wanted.pairs else ""
    parts = [statement(f"curve_{branch}") for branch in ("raw", "tiers", "odd") if parameters[branch]]
    if wanted.pairs:
        parameters |= {
            "skip_runs": [pair[0] for pair in wanted.pairs],
            "skip_metrics": [pair[1] for pair in wanted.pairs],
        }
    for forked, columns in ((False, wanted.points), (True, wanted.forked)):
        if columns:
            parts.append(renamed(Template(statement("curve_visible")).safe_substitute(NEWEST[forked]), forked))
            columns = {**columns, "low_step": min(columns["los"]), "high_step": max(columns["his"])}
            parameters |= {f"f_{name}" if forked else name: values for name, values in columns.items()}
    if wanted.parts:
        parts.append(statement("curve_parts"))
        parameters |= wanted.parts
    form, order = BRANCHES, "metric_place, run_place, x0"
    if len(parts) == 1:
        one = one_run and len(parameters["metrics"]) == 1  # type: ignore[arg-type]
        form, order = (ONE_CURVE, "x0") if one else (ONE_BRANCH, order)
    for _ in range(2):  # what stands for a condition may name the axis
        parts = [Template(part).safe_substitute(of_axis, skip=skip, **form) for part in parts]
    if len(parts) == 1:
        return f"{parts[0]}ORDER BY {order}", parameters
    return Template(statement("curves")).substitute(branches="UNION ALL\n".join(parts)), parameters


def renamed(branch: str, forked: bool) -> str:
    """curve_visible.sql with parameters of its own where it stands a second time."""
    names = "of_runs|of_metrics|sources|depths|los|his|odds|cuts|low_step|high_step"
    return re.sub(rf"\{{({names}):", r"{f_\1:", branch) if forked else branch


@dataclass(frozen=True)
class Extent:
    """How long a metric is: points of the longest run, first and last x over the runs, and if any is not finite."""

    metric: str
    points: int
    first: int
    last: int
    odd: bool


def extents(spans: visible.Spans, *, x: Axis, starts: Mapping[str, int]) -> list[Extent]:
    """One for each metric that the runs show."""
    found: dict[str, Extent] = {}
    for (run_id, metric), of_pair in spans.items():
        points = sum(span.points for _, span in of_pair)
        odd = any(span.odd for _, span in of_pair)
        if x == "step":
            first = min(span.first for _, span in of_pair)
            last = max(min(span.last, source.upto) for source, span in of_pair)
        else:
            start = starts[run_id] if x == "relative" else 0
            first = min(span.first_us for _, span in of_pair) - start
            last = max(span.last_us for _, span in of_pair) - start
        if (one := found.get(metric)) is not None:
            points, odd = max(points, one.points), odd or one.odd
            first, last = min(first, one.first), max(last, one.last)
        found[metric] = Extent(metric, points, first, last, odd)
    return list(found.values())


def plan(
    found: Sequence[Extent], metrics: Sequence[str], runs: int, *, window: tuple[int, int] | None, width_px: int
) -> dict[str, Plan]:
    """How to read each metric that has points in the window; the other metrics are absent.

    The number of points in a window is estimated from the whole curve's, as if they lay evenly.
    """
    result: dict[str, Plan] = {}
    budget = MAX_RAW_TOTAL
    for extent in sorted(found, key=lambda one: one.points):
        first, last = extent.first, extent.last
        if window is not None:
            first, last = max(first, window[0]), min(last, window[1])
        if last < first:
            continue
        share = (last - first + 1) / (extent.last - extent.first + 1)
        points = int(extent.points * share) + 1
        level = 0 if points <= MAX_RAW_POINTS else tier(points, width_px)
        if not level and points * runs > budget:
            level = TIERS[-1] if points > width_px else 0
        budget -= 0 if level else points * runs
        width = 1 if not level and points <= 2 * width_px else max(1, -(-(last - first + 1) // width_px))
        result[extent.metric] = Plan(level, first, width, extent.odd)
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
    columns = [
        column.to_numpy() for name, column in zip(table.column_names, table.columns, strict=True) if name != "stretch"
    ]
    run_place, metric_place, x0, x1, lo, hi, n_nan, n_pos, n_neg = columns
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
