"""Histograms over steps: as they were logged, and put on common edges for a heat map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from runstream_storage.execution import moment
from runstream_storage.queries.shown import SeriesName, Shown, any_rank

if TYPE_CHECKING:
    import numpy as np
    from clickhouse_connect.driver.client import Client

    Floats = np.ndarray[Any, np.dtype[np.float64]]
    Integers = np.ndarray[Any, np.dtype[np.int64]]

STEPS_AT_ONCE = 4_000


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts[i]` values lay between `edges[i]` and `edges[i + 1]`; edges rise. `n_nan` and `n_inf` are in no bin."""

    run_id: str
    name: str
    rank: int
    step: int
    at: datetime
    edges: Floats
    counts: Floats
    n_nan: int
    n_inf: int


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Histograms of a series on common edges: `mass[i, j]` values at `steps[i]` lay from `edges[j]` to `edges[j + 1]`.

    `mass` is (steps, bins); a row with `below` and `above`, which lay outside of the edges, sums to what was logged
    at that step by all ranks. A logged bin that several bins share is spread over them evenly. `of_steps` is how many
    steps there are, of which `steps` are a choice.
    """

    run_id: str
    name: str
    steps: Integers
    edges: Floats
    mass: Floats
    below: Floats
    above: Floats
    n_nan: Integers
    n_inf: Integers
    of_steps: int


def histogram_names(
    client: Client, project: str, run_ids: Sequence[str], *, include_deleted: bool = False
) -> list[SeriesName]:
    """The series of histograms of the runs, by name."""
    return Shown(client, project, run_ids, "histograms", include_deleted=include_deleted).names()


def histograms(
    client: Client,
    project: str,
    run_ids: Sequence[str],
    names: Sequence[str],
    *,
    window: tuple[int, int] | None = None,
    steps: int = 200,
    rank: int | None = None,
    include_deleted: bool = False,
) -> list[Histogram]:
    """The histograms of `names` in order of name, run, step and rank; of each name at most `steps` steps.

    Of more steps a choice is made, evenly over those that have one, the first and the last always among them. `window`
    is first and last step, both included.
    """
    shown = Shown(client, project, run_ids, "histograms", include_deleted=include_deleted)
    chosen = {
        name: thinned(all_steps, steps) for name, all_steps in shown.steps(names, rank=rank, window=window).items()
    }
    return _read(shown, chosen, rank)


def heat_maps(
    client: Client,
    project: str,
    run_id: str,
    names: Sequence[str],
    *,
    window: tuple[int, int] | None = None,
    steps: int = 200,
    bins: int = 100,
    bounds: tuple[float, float] | None = None,
    rank: int | None = None,
    include_deleted: bool = False,
) -> dict[str, HeatMap]:
    """One heat map for each of `names` that has histograms, of at most `steps` steps and `bins` bins of equal width.

    The bins lie between `bounds`, by default between the outermost edges. Ranks are added up unless `rank` names one.
    """
    shown = Shown(client, project, [run_id], "histograms", include_deleted=include_deleted)
    all_steps = shown.steps(names, rank=rank, window=window)
    chosen = {name: thinned(of_name, steps) for name, of_name in all_steps.items()}
    return {
        name: heat_map(list(found), len(all_steps[name]), bins=bins, bounds=bounds)
        for name, found in groupby(_read(shown, chosen, rank), key=lambda one: one.name)
    }


def thinned(steps: Sequence[int], most: int) -> list[int]:
    """At most `most` of `steps`, evenly by place: the first and the last are among them, of one the last."""
    if len(steps) <= most:
        return list(steps)
    if most <= 1:
        return list(steps[len(steps) - max(most, 0) :])
    return [steps[round(place * (len(steps) - 1) / (most - 1))] for place in range(most)]


def heat_map(
    found: Sequence[Histogram], of_steps: int, *, bins: int, bounds: tuple[float, float] | None = None
) -> HeatMap:
    """The histograms of one series, in order of step and not empty, on common edges."""
    import numpy as np

    low, high = bounds or (min(one.edges[0] for one in found), max(one.edges[-1] for one in found))
    share = np.linspace(0.0, 1.0, max(1, bins) + 1)
    # Rising even where the bounds are so close, or so far apart, that their difference is no use.
    edges = np.unique(low * (1.0 - share) + high * share)
    steps = sorted({one.step for one in found})
    place = {step: row for row, step in enumerate(steps)}
    mass, outside = np.zeros((len(steps), len(edges) - 1)), np.zeros((2, len(steps)))
    odd = np.zeros((2, len(steps)), dtype=np.int64)
    for one in found:
        row = place[one.step]
        up_to = np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(one.counts), one.counts, 0.0))])
        at_edges = np.interp(edges, one.edges, up_to)
        mass[row] += np.diff(at_edges)
        outside[:, row] += at_edges[0], up_to[-1] - at_edges[-1]
        odd[:, row] += one.n_nan, one.n_inf
    return HeatMap(
        run_id=found[0].run_id,
        name=found[0].name,
        steps=np.array(steps, dtype=np.int64),
        edges=edges,
        mass=mass,
        below=outside[0],
        above=outside[1],
        n_nan=odd[0],
        n_inf=odd[1],
        of_steps=of_steps,
    )


def _read(shown: Shown, chosen: dict[str, list[int]], rank: int | None) -> list[Histogram]:
    import numpy as np

    found: list[Histogram] = []
    for names in _at_once(chosen):
        steps = sorted({step for name in names for step in chosen[name]})
        wanted = {name: frozenset(chosen[name]) for name in names}
        rows = shown.ask("histograms", names=names, window=(steps[0], steps[-1]), steps=steps, rank=any_rank(rank))
        found += [
            Histogram(run_id, name, of_rank, step, moment(ts_us), np.array(edges), np.array(counts), n_nan, n_inf)
            for run_id, name, of_rank, step, ts_us, edges, counts, n_nan, n_inf in rows
            if step in wanted[name]
        ]
    return sorted(found, key=lambda one: one.name)


def _at_once(chosen: dict[str, list[int]]) -> Iterator[list[str]]:
    """The names that have steps, in parts whose steps fit a parameter of a request."""
    part: list[str] = []
    room = STEPS_AT_ONCE
    for name, steps in chosen.items():
        if part and len(steps) > room:
            yield part
            part, room = [], STEPS_AT_ONCE
        if steps:
            part.append(name)
            room -= len(steps)
    if part:
        yield part
