"""Every question the pages ask, with what is remembered between two reruns of a script.

The only module that has a client or a cache. Answers live for seconds: long enough that a rerun for a click asks
nothing twice, short enough that a running job is followed. Functions raise `runstream_storage.errors.StorageError` and
`NoServer`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import numpy as np
import streamlit as st

from runstream_storage import queries
from runstream_storage.connection import connect
from runstream_storage.errors import StorageError
from runstream_storage.filters.columns import param_column
from runstream_storage.filters.completion import Completion
from runstream_storage.queries import Gap, History, MetricDefinitions, Pipeline, Stretches, results
from runstream_storage.queries.results import (
    ArtifactLink,
    AwaitedArtifact,
    Best,
    Group,
    Name,
    Project,
    RunHeader,
    RunRow,
    RunsPage,
    SqlResult,
    Summary,
    Value,
    View,
)
from runstream_ui import context
from runstream_ui.charts import Curve, XAxis
from runstream_ui.errors import NoServer

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


Goal = Literal["min", "max"]
_LIVE_S = 3
_LISTED_S = 10
_FINAL_S = 600
_NAMES = 2_000
_MARKS = 200
_SAMPLED_PARAMS = 24
_SAMPLED_RUNS = 100
_GAPS = 2_000
_LETTERS = 20
_MAX_AGAINST = 4_000_000
_IDS_OF_A_FILTER = 400

# Questions that wait for the database, not for the interpreter.
_asking = ThreadPoolExecutor(8, thread_name_prefix="runstream-ui-ask")


@dataclass(frozen=True)
class Names:
    """What a project has: params, metrics and tags, each with the number of runs that have it, most common first."""

    params: tuple[Name, ...]
    metrics: tuple[Name, ...]
    tags: tuple[Name, ...]


def client() -> Client:
    """The client of the configured server, or of the `runstream up` that runs now."""
    settings = context.settings()
    if settings.clickhouse is not None:
        return _connected(settings.clickhouse.get_secret_value())
    from runstream_storage.discovery import find_up

    up = find_up(settings.dir)
    if up is None:
        raise NoServer(directory=settings.dir)
    return _connected(up.sql_url)


@lru_cache(maxsize=8)
def _connected(url: str) -> Client:
    return connect(url)


@st.cache_data(ttl=_LISTED_S, show_spinner=False)
def projects() -> list[Project]:
    return queries.projects(client())


@st.cache_data(ttl=30, show_spinner=False, max_entries=64)
def names(project: str) -> Names:
    server = client()
    params, metrics, tags = (
        _asking.submit(ask, server, [project], limit=_NAMES)
        for ask in (queries.param_names, queries.metric_names, queries.tag_names)
    )
    return Names(params=tuple(params.result()), metrics=tuple(metrics.result()), tags=tuple(tags.result()))


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=256)
def runs(
    project: str,
    where: str,
    columns: tuple[str, ...],
    sort: str,
    descending: bool,
    limit: int,
    offset: int,
    best_of: tuple[str, Goal] | None = None,
    archived: bool = False,
) -> tuple[RunsPage, Best | None]:
    """A page of the runs table, and with `best_of` (a column and its better end) the best of all that match."""
    server = client()
    best = best_of and _asking.submit(
        queries.best, server, [project], best_of[0], goal=best_of[1], filter=where, archived=archived
    )
    page = queries.runs(
        server,
        [project],
        filter=where,
        columns=columns,
        sort=sort,
        descending=descending,
        limit=limit,
        offset=offset,
        archived=archived,
    )
    return page, best.result() if best else None


@st.cache_data(ttl=60, show_spinner=False, max_entries=64)
def varying_params(project: str) -> list[str]:
    """Params with more than one value among the newest runs, most common first."""
    known = {param_column(param.name): param.name for param in names(project).params[:_SAMPLED_PARAMS]}
    if not known:
        return []
    rows = queries.runs(client(), [project], columns=tuple(known), limit=_SAMPLED_RUNS).rows
    return [name for column, name in known.items() if len({repr(row.values.get(column)) for row in rows}) > 1]


@st.cache_data(ttl=30, show_spinner=False, max_entries=64)
def definitions(project: str, run_ids: tuple[str, ...] = ()) -> MetricDefinitions:
    """What these runs, or all runs of the project, said of their metrics with define_metric()."""
    return queries.metric_definitions(client(), project, run_ids)


@st.cache_data(ttl=_LISTED_S, show_spinner=False, max_entries=64)
def groups(project: str, where: str, by: str, columns: tuple[str, ...], limit: int) -> list[Group]:
    return queries.groups(client(), [project], by, columns=columns, filter=where, limit=limit)


@st.cache_data(ttl=30, show_spinner=False, max_entries=512)
def completions(project: str, text: str) -> Completion:
    return queries.completions(client(), [project], text, len(text))


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=256)
def find_run(project: str, text: str) -> str:
    """The id of the run that a link means by an id, its beginning, the user's own id or a name; empty: none."""
    if _is_uuid(text):
        return text.lower()
    found = queries.find_run(client(), text, project=project)
    return found.run_id if found else ""


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=256)
def run(project: str, run_id: str) -> RunHeader | None:
    return queries.run(client(), project, run_id)


def newest_run(project: str) -> str:
    """The id of the run that started last; empty while there is none."""
    rows = runs(project, "", (), "created", True, 1, 0)[0].rows
    return rows[0].run_id if rows else ""


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def chosen_runs(project: str, run_ids: tuple[str, ...], columns: tuple[str, ...] = ()) -> list[RunRow]:
    """The runs that exist, in the order asked for; a query for some hundreds of them: filters are not endless."""
    known = [run_id.lower() for run_id in run_ids if _is_uuid(run_id)]
    server = client()

    def some(ids: Sequence[str]) -> Sequence[RunRow]:
        quoted = ", ".join(f'"{run_id}"' for run_id in ids)
        where = f"id in ({quoted})"
        return queries.runs(server, [project], filter=where, columns=columns, limit=len(ids), archived=True).rows

    parts = [known[start : start + _IDS_OF_A_FILTER] for start in range(0, len(known), _IDS_OF_A_FILTER)]
    rows = some(known) if len(parts) == 1 else [row for found in _asking.map(some, parts) for row in found]
    found = {row.run_id: row for row in rows}
    return [found[run_id] for run_id in known if run_id in found]


def run_now(run: RunRow) -> RunRow:
    """The run as it is at this moment, never remembered; as it was known while the database cannot tell."""
    try:
        rows = queries.runs(client(), [run.project], filter=f'id in ("{run.run_id}")', limit=1, archived=True).rows
    except (StorageError, NoServer):
        return run
    return rows[0] if rows else run


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def params(project: str, run_ids: tuple[str, ...]) -> dict[str, dict[str, Value]]:
    return queries.params(client(), project, run_ids)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def summary_values(project: str, run_ids: tuple[str, ...]) -> dict[str, dict[str, Value]]:
    return queries.summary_values(client(), project, run_ids)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def summaries(project: str, run_ids: tuple[str, ...]) -> list[Summary]:
    return queries.summaries(client(), project, run_ids)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def run_artifacts(project: str, run_id: str) -> list[ArtifactLink]:
    return queries.run_artifacts(client(), project, run_id)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def run_awaited(project: str, run_id: str) -> list[AwaitedArtifact]:
    return queries.run_awaited(client(), project, run_id)


@st.cache_data(ttl=300, show_spinner=False)
def views() -> list[View]:
    return queries.views(client())


def sql(text: str, *, max_rows: int, max_seconds: float) -> SqlResult:
    """Never remembered: a person who runs a query again wants it run again."""
    return queries.sql(client(), text, max_rows=max_rows, max_seconds=max_seconds)


def curves(
    project: str,
    run_ids: tuple[str, ...],
    metrics: tuple[str, ...],
    *,
    x_axis: XAxis,
    pixels: int,
    live: bool,
    window: tuple[float, float] | None = None,
) -> dict[str, list[Curve]]:
    """Curves by metric, each in the order of `run_ids`; `window` in the units of the chart, inclusive.

    Curves of runs that have ended stay in the cache; those of live ones are asked for again every few seconds.
    """
    moment = int(time.monotonic() // _LIVE_S) if live else 0
    return _curves(project, run_ids, metrics, x_axis, pixels, window, moment)


@st.cache_data(ttl=_FINAL_S, show_spinner=False, max_entries=256)
def _curves(
    project: str,
    run_ids: tuple[str, ...],
    metrics: tuple[str, ...],
    x_axis: XAxis,
    pixels: int,
    window: tuple[float, float] | None,
    moment: int,
) -> dict[str, list[Curve]]:
    """`moment` only makes a live answer's key differ from the one before."""
    unit, asked = _units(x_axis, window)
    found = queries.curves(client(), project, run_ids, metrics, width_px=pixels, x=x_axis, window=asked)
    return {metric: [_drawn(curve, unit) for curve in found.of_metric(metric)] for metric in metrics}


def _units(x_axis: XAxis, window: tuple[float, float] | None) -> tuple[float, tuple[int, int] | None]:
    """Microseconds in a chart's unit (milliseconds for a time axis, seconds for a relative one); the window in them."""
    unit = {"step": 1.0, "time": 1e3, "relative": 1e6}[x_axis]
    return unit, None if window is None else (int(np.floor(window[0] * unit)), int(np.ceil(window[1] * unit)))


def _drawn(curve: results.Curve | Stretches, unit: float, *, attempt: int = -1) -> Curve:
    x = (curve.x0 / 2 + curve.x1 / 2) / unit
    extent = (float(curve.x0[0]) / unit, float(curve.x1[-1]) / unit) if len(curve) else (0.0, 0.0)
    marks = _marks(curve, x)
    return Curve(run_id=curve.run_id, x=x, low=curve.lo, high=curve.hi, extent=extent, marks=marks, attempt=attempt)


def _marks(curve: results.Curve | Stretches, x: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[tuple[float, str], ...]:
    """Where values that are not finite lie, thinned to what can be told apart."""
    marks: list[tuple[float, str]] = []
    for counts, kind in ((curve.n_nan, "NaN"), (curve.n_pos, "inf"), (curve.n_neg, "-inf")):
        places = np.flatnonzero(counts)
        for place in places[:: max(1, -(-places.size // _MARKS))]:
            marks.append((float(x[place]), kind))
    return tuple(marks)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def hidden_curves(
    project: str,
    run_id: str,
    metrics: tuple[str, ...],
    *,
    x_axis: XAxis,
    pixels: int,
    window: tuple[float, float] | None = None,
) -> dict[str, list[Curve]]:
    """What earlier attempts of a run logged and `curves` leaves out, by metric; `window` as in `curves`."""
    unit, asked = _units(x_axis, window)
    found: dict[str, list[Curve]] = {}
    for curve in queries.hidden_curves(client(), project, run_id, metrics, width_px=pixels, x=x_axis, window=asked):
        found.setdefault(curve.metric, []).append(_drawn(curve, unit, attempt=curve.attempt))
    return found


def curves_against(
    project: str,
    run_ids: tuple[str, ...],
    metrics: tuple[str, ...],
    against: str,
    *,
    pixels: int,
    live: bool,
    window: tuple[float, float] | None = None,
) -> dict[str, list[Curve]]:
    """As `curves`, over the values of the metric `against`; curves too long for that are absent."""
    points = {(entry.run_id, entry.metric): entry.n for entry in summaries(project, run_ids)}
    short = tuple(name for name in metrics if sum(points.get((run, name), 0) for run in run_ids) <= _MAX_AGAINST)
    moment = int(time.monotonic() // _LIVE_S) if live else 0
    return _curves_against(project, run_ids, short, against, pixels, window, moment)


@st.cache_data(ttl=_FINAL_S, show_spinner=False, max_entries=256)
def _curves_against(
    project: str,
    run_ids: tuple[str, ...],
    metrics: tuple[str, ...],
    against: str,
    pixels: int,
    window: tuple[float, float] | None,
    moment: int,
) -> dict[str, list[Curve]]:
    found: dict[str, list[Curve]] = {}
    for curve in queries.curves_against(client(), project, run_ids, metrics, against, width_px=pixels, window=window):
        found.setdefault(curve.metric, []).append(_drawn(curve, 1.0))
    return found


@st.cache_data(ttl=10, show_spinner=False, max_entries=64)
def history(project: str, run_id: str) -> History:
    """Forks and rewinds of a run."""
    return queries.history(client(), project, run_id)


@st.cache_data(ttl=_LIVE_S, show_spinner=False, max_entries=64)
def gaps(project: str, run_ids: tuple[str, ...]) -> list[Gap]:
    """What is missing of these runs."""
    return queries.gaps(client(), project, run_ids) if run_ids else []


@st.cache_data(ttl=_LISTED_S, show_spinner=False, max_entries=16)
def all_gaps(project: str) -> list[Gap]:
    """What is missing of all runs of the project, the newest run first."""
    return queries.gaps(client(), project, limit=_GAPS)


@st.cache_data(ttl=_LIVE_S, show_spinner=False)
def pipeline() -> Pipeline:
    return queries.pipeline(client(), letters=_LETTERS)


def is_live(runs: Sequence[RunRow]) -> bool:
    return any(run.state in {"running", "stale"} for run in runs)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
