"""Samples of the machines that runs ran on: what there is, and its curves over time or steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from runstream_storage.execution import moment, rows, statement, translate
from runstream_storage.queries.clock import StepClock, step_clocks
from runstream_storage.queries.curves import INT64_MAX, run_starts
from runstream_storage.queries.deletion import kept

if TYPE_CHECKING:
    import numpy as np
    from clickhouse_connect.driver.client import Client

    Floats = np.ndarray[Any, np.dtype[np.float64]]

SystemAxis = Literal["time", "relative", "step"]


@dataclass(frozen=True, slots=True)
class SystemSeries:
    """One metric of one device of one node, as a run's process of `rank` sampled it `n` times.

    `device` is empty for the host itself. `max` is None when no sample is a number; `last` may be NaN.
    """

    run_id: str
    node: str
    metric: str
    device: str
    rank: int
    n: int
    first_at: datetime
    last_at: datetime
    last: float
    max: float | None


@dataclass(frozen=True, slots=True)
class SystemCurve:
    """An envelope: from x0[i] to x1[i] the samples lie between lo[i] and hi[i], with the mean mean[i].

    Arrays of one length, in order of time. x is microseconds since 1970; since the start of the run for 'relative';
    steps for 'step', where a run that was resumed goes back.
    """

    run_id: str
    metric: str
    node: str
    device: str
    rank: int
    x0: Floats
    x1: Floats
    lo: Floats
    hi: Floats
    mean: Floats

    def __len__(self) -> int:
        return len(self.x0)


def system_series(
    client: Client, project: str, run_ids: Sequence[str], *, include_deleted: bool = False
) -> list[SystemSeries]:
    """What was sampled for the runs, in order of run, node, metric and device."""
    wanted = kept(client, project, run_ids, include_deleted=include_deleted)
    if not wanted:
        return []
    return [
        SystemSeries(
            run_id,
            node,
            metric,
            device,
            rank,
            n,
            moment(first_us),
            moment(last_us),
            last,
            None if high != high else high,
        )
        for run_id, node, metric, device, rank, n, first_us, last_us, last, high in rows(
            client, "system_series", project=project, run_ids=wanted
        )
    ]


def system_curves(
    client: Client,
    project: str,
    run_ids: Sequence[str],
    metrics: Sequence[str],
    *,
    nodes: Sequence[str] = (),
    devices: Sequence[str] = (),
    x: SystemAxis = "time",
    step_metric: str = "",
    window: tuple[int, int] | None = None,
    width_px: int = 500,
    include_deleted: bool = False,
) -> list[SystemCurve]:
    """The curves of `metrics` of the runs, in order of run, metric, node and device, of at most `width_px` stretches.

    `window` is first and last x, both included. `nodes` and `devices` narrow them down; empty: all. With x='step',
    times become steps by the times at which `step_metric` was logged, or the metric of the run with the most points;
    runs without points are then absent, and samples from before the first and after the last step are left out.
    """
    wanted = kept(client, project, run_ids, include_deleted=include_deleted)
    if not wanted or not metrics:
        return []
    starts = dict(zip(wanted, run_starts(client, project, wanted), strict=True)) if x == "relative" else {}
    clocks = step_clocks(client, project, wanted, metric=step_metric, include_deleted=True) if x == "step" else {}
    spans = {run_id: span for run_id, *span in rows(client, "system_spans", project=project, run_ids=wanted)}
    windows: dict[str, tuple[int, int]] = {}
    for run_id in wanted:
        if run_id not in spans or (x == "step" and run_id not in clocks):
            continue
        low, high = _in_time(window, clocks.get(run_id), starts.get(run_id, 0))
        low, high = max(low, spans[run_id][0]), min(high, spans[run_id][1])
        if low <= high:
            windows[run_id] = (low, high)
    if not windows:
        return []
    found = _read(client, project, windows, metrics, nodes, devices, max(1, width_px))
    if x == "step":
        return [
            replace(one, x0=clocks[one.run_id].steps_at(one.x0), x1=clocks[one.run_id].steps_at(one.x1))
            for one in found
        ]
    return [
        replace(one, x0=one.x0 - start, x1=one.x1 - start) if (start := starts.get(one.run_id)) else one
        for one in found
    ]


def _in_time(window: tuple[int, int] | None, clock: StepClock | None, start_us: int) -> tuple[int, int]:
    """The window in microseconds since 1970."""
    if clock is not None:
        if window is None:
            return int(clock.times_us[0]), int(clock.times_us[-1])
        return clock.time_us(window[0]), clock.time_us(window[1])
    return (-INT64_MAX, INT64_MAX) if window is None else (window[0] + start_us, window[1] + start_us)


def _read(
    client: Client,
    project: str,
    windows: dict[str, tuple[int, int]],
    metrics: Sequence[str],
    nodes: Sequence[str],
    devices: Sequence[str],
    width_px: int,
) -> list[SystemCurve]:
    import numpy as np

    run_ids = list(windows)
    parameters = {
        "project": project,
        "run_ids": run_ids,
        "froms": [low for low, _ in windows.values()],
        "tos": [high for _, high in windows.values()],
        "metrics": list(dict.fromkeys(metrics)),
        "nodes": list(nodes),
        "devices": list(devices),
        "pixels": width_px,
    }
    try:
        table = client.query_arrow(statement("system_curves"), parameters=parameters, use_strings=True)
    except Exception as error:
        raise translate(error) from error
    places, of_metric, of_node, of_device, ranks, *columns = table.columns
    keys = list(
        zip(
            places.to_pylist(),
            *(one.to_pylist() for one in (of_metric, of_node, of_device)),
            ranks.to_pylist(),
            strict=True,
        )
    )
    numbers = [column.to_numpy().astype(np.float64) for column in columns]
    found, begin = [], 0
    for key, group in groupby(keys):
        end = begin + sum(1 for _ in group)
        place, *names = key
        found.append(SystemCurve(run_ids[place - 1], *names, *(column[begin:end] for column in numbers)))
        begin = end
    return found
