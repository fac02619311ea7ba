"""Where a run comes from and what it took back: forks, rewinds, and the points that a rewind or a resume hid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runstream_storage.execution import moment, rows, statement, translate
from runstream_storage.queries.curves import INT64_MAX, Axis, run_starts

if TYPE_CHECKING:
    import numpy as np
    from clickhouse_connect.driver.client import Client

_MAX_FORKS = 200


@dataclass(frozen=True, slots=True)
class Rewind:
    """A rank went back to `step`, the last one kept of its earlier attempts, and went on as `attempt`."""

    rank: int
    attempt: int
    step: int
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class Fork:
    """A run at the other end of a fork; `step` is the last one taken over. `run_name` is empty when it is not known."""

    run_id: str
    run_name: str
    step: int


@dataclass(frozen=True, slots=True)
class History:
    """`rewinds` and `children` are the newest first; `parent` is the run that this one was forked from."""

    parent: Fork | None
    children: tuple[Fork, ...]
    rewinds: tuple[Rewind, ...]


@dataclass(frozen=True, slots=True)
class Stretches:
    """An envelope as `results.Curve`, of one attempt (-1: of all), or against another metric. `x0` and `x1` are
    doubles: x as there, or values of the other metric."""

    run_id: str
    metric: str
    attempt: int
    x0: np.ndarray[Any, np.dtype[np.float64]]
    x1: np.ndarray[Any, np.dtype[np.float64]]
    lo: np.ndarray[Any, np.dtype[np.float64]]
    hi: np.ndarray[Any, np.dtype[np.float64]]
    n_nan: np.ndarray[Any, np.dtype[np.uint64]]
    n_pos: np.ndarray[Any, np.dtype[np.uint64]]
    n_neg: np.ndarray[Any, np.dtype[np.uint64]]

    def __len__(self) -> int:
        return len(self.x0)


def history(client: Client, project: str, run_id: str) -> History:
    """Forks and rewinds of a run; the newest 200 children at most."""
    forks = rows(client, "forks", project=project, run_id=run_id, limit=_MAX_FORKS)
    parents = [Fork(other, name, step) for is_parent, other, name, step in forks if is_parent]
    return History(
        parent=parents[0] if parents else None,
        children=tuple(Fork(other, name, step) for is_parent, other, name, step in forks if not is_parent),
        rewinds=tuple(
            Rewind(rank, attempt, step, moment(ts_us), actor)
            for rank, attempt, step, ts_us, actor in rows(client, "rewinds", project=project, run_id=run_id)
        ),
    )


def hidden_curves(
    client: Client,
    project: str,
    run_id: str,
    metrics: Sequence[str],
    *,
    width_px: int = 1000,
    x: Axis = "step",
    window: tuple[int, int] | None = None,
) -> list[Stretches]:
    """What earlier attempts logged and `curves` leaves out, one for each metric and attempt that has such points."""
    low, high = window or (-INT64_MAX, INT64_MAX)
    found = _arrow(
        client,
        "hidden_curves",
        project=project,
        run_id=run_id,
        metrics=list(metrics),
        x=x,
        start=run_starts(client, project, [run_id])[0] if x == "relative" else 0,
        pixels=max(1, width_px),
        **{"from": low, "to": high},
    )
    return [Stretches(run_id, metrics[metric - 1], attempt, *columns) for metric, attempt, columns in _parts(found)]


def curves_against(
    client: Client,
    project: str,
    run_ids: Sequence[str],
    metrics: Sequence[str],
    against: str,
    *,
    width_px: int = 1000,
    window: tuple[float, float] | None = None,
) -> list[Stretches]:
    """The curves of `metrics` over the values of the metric `against` instead of steps, in order of metric and run.

    Reads every point of the window: for curves of a few million points. A run that never logged `against` is absent.
    """
    if not run_ids or not metrics:
        return []
    low, high = window or (float("-inf"), float("inf"))
    found = _arrow(
        client,
        "curves_against",
        project=project,
        run_ids=list(run_ids),
        metrics=list(metrics),
        against=against,
        pixels=max(1, width_px),
        **{"from": low, "to": high},
    )
    return [
        Stretches(run_ids[run - 1], metrics[metric - 1], -1, *columns)
        for metric, run, columns in _parts([found[1], found[0], *found[2:]] if found else [])
    ]


def _arrow(client: Client, name: str, **parameters: object) -> list[np.ndarray[Any, Any]]:
    """The columns of an answer; none without rows."""
    try:
        table = client.query_arrow(statement(name), parameters=parameters)
    except Exception as error:
        raise translate(error) from error
    return [column.to_numpy() for column in table.columns] if table.num_rows else []


def _parts(
    columns: Sequence[np.ndarray[Any, Any]],
) -> list[tuple[int, int, list[np.ndarray[Any, Any]]]]:
    """The rows of each pair of the first two columns, as (first, second, the other columns)."""
    import numpy as np

    if not columns:
        return []
    first, second, x0, x1, *rest = columns
    cuts = np.flatnonzero((np.diff(first) != 0) | (np.diff(second) != 0)) + 1
    parts = []
    for begin, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(first)], strict=True):
        part = [x0[begin:end].astype(np.float64), x1[begin:end].astype(np.float64), *(one[begin:end] for one in rest)]
        parts.append((int(first[begin]), int(second[begin]), part))
    return parts
