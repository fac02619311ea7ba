"""Which steps of a curve its tiers get right, and which must be read from the points.

A bucket of a tier holds all values that were ever logged in its steps. That is wrong where a rewind hid some, where
writers of one rank overlap or logged steps again, and where a fork shows only the beginning of its ancestor. The
summaries of the writers tell where that may be; a step range too many costs time and changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runstream_storage.execution import at_once, rows

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

LOWEST, HIGHEST = -(2**63) + 1, 2**63 - 1
Range = tuple[int, int]
"""First and last step, both included."""
Cut = tuple[int, int, int]
"""Rank, attempt and step of a rewind: it hides what earlier attempts of the rank logged behind the step."""


@dataclass(frozen=True, slots=True)
class Source:
    """A run whose points another one shows up to the step `upto`; its own have depth 0."""

    run_id: str
    depth: int
    upto: int
    cuts: tuple[Cut, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """What one writer logged of a metric: steps from `first` to `last`, and those in `redo` again or out of order."""

    rank: int
    attempt: int
    first: int
    last: int
    redo: Range
    points: int = 0
    odd: int = 0
    first_us: int = 0
    last_us: int = 0


Spans = dict[tuple[str, str], list[tuple[Source, Span]]]
"""By run and metric: the writers' spans, and through which source the run shows them."""


# How the columns of metric_spans.sql behind the writer become those of a writer, as the table's merges do it.
_MERGES = (max, min, max, min, max, max, max, max, min, max)


@dataclass
class Visible:
    """What to read for pairs of run and metric that need care. Columns are parameters of the queries by those names."""

    points: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """Of curve_visible.sql, for runs without ancestors."""
    forked: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """The same for forked runs."""
    parts: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """Of curve_parts.sql."""
    pairs: list[tuple[str, str]] = field(default_factory=list)


def unclear(spans: Sequence[tuple[Source, Span]]) -> list[Range]:
    """Step ranges in which a value may be hidden or replaced, sorted and apart from each other."""
    found: list[Range] = []
    ranks: defaultdict[int, list[tuple[Range, Source, Span]]] = defaultdict(list)
    for source, span in spans:
        if span.first <= source.upto:
            ranks[span.rank].append(((span.first, min(span.last, source.upto)), source, span))
    for of_rank in ranks.values():
        of_rank.sort(key=lambda one: one[0])
        reached: int | None = None
        for (first, last), source, span in of_rank:
            if reached is not None and first <= reached:
                found.append((first, min(last, reached)))
            reached = last if reached is None else max(reached, last)
            if span.redo[0] <= span.redo[1]:
                found.append((span.redo[0], min(span.redo[1], source.upto)))
            found += [
                (step + 1, last)
                for rank, attempt, step in source.cuts
                if rank == span.rank and attempt > span.attempt and step < last
            ]
    return merged(found)


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same steps as few ranges, in order; empty ranges are left out."""
    result: list[Range] = []
    for first, last in sorted(one for one in ranges if one[0] <= one[1]):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def between(ranges: Sequence[Range]) -> list[Range]:
    """The steps outside of `ranges`, which are sorted and apart."""
    result, start = [], LOWEST
    for first, last in ranges:
        if start < first:
            result.append((start, first - 1))
        start = last + 1
    return [*result, (start, HIGHEST)] if start <= HIGHEST else result


def in_buckets(ranges: Sequence[Range], level: int) -> list[Range]:
    """`ranges`, widened to whole buckets of 2^level steps."""
    whole = ((first >> level << level, ((last >> level) + 1 << level) - 1) for first, last in ranges)
    return merged((max(first, LOWEST), min(last, HIGHEST)) for first, last in whole)


def add(
    found: Visible, run_id: str, metric: str, spans: Sequence[tuple[Source, Span]], level: int, *, odd: bool
) -> None:
    """Plan how to read one curve: points for level 0, else tiers of 2^level steps and points where those are wrong."""
    sources = {source.run_id: source for source, _ in spans}
    if level:
        ends = [(source.upto, source.upto) for source in sources.values() if source.upto < HIGHEST]
        careful = in_buckets([*unclear(spans), *ends], level)
    else:
        careful = [(LOWEST, HIGHEST)]
    found.pairs.append((run_id, metric))
    clear = between(careful)
    into = found.forked if any(source.depth for source in sources.values()) else found.points
    for source in sources.values():
        for ranges, only_odd in ((careful, False), (clear if odd else [], True)):
            for first, last in ranges:
                if first <= source.upto:
                    for name, value in zip(
                        ("of_runs", "of_metrics", "sources", "depths", "los", "his", "odds", "cuts"),
                        (
                            run_id,
                            metric,
                            source.run_id,
                            source.depth,
                            first,
                            min(last, source.upto),
                            int(only_odd),
                            source.cuts,
                        ),
                        strict=True,
                    ):
                        into[name].append(list(value) if isinstance(value, tuple) else value)
        for first, last in clear:
            if first <= source.upto:
                for name, value in zip(
                    ("t_runs", "t_metrics", "t_sources", "t_los", "t_his"),
                    (run_id, metric, source.run_id, first >> level, min(last, source.upto) >> level),
                    strict=True,
                ):
                    found.parts[name].append(value)


def sources(client: Client, project: str, run_ids: Sequence[str]) -> dict[str, list[Source]]:
    """The sources of those of `run_ids` that were forked or rewound, themselves first."""
    found: dict[str, list[Source]] = {}
    for run_id, source, depth, upto, cuts in rows(client, "run_sources", project=project, run_ids=list(run_ids)):
        found.setdefault(run_id, []).append(Source(source, depth, upto, tuple(tuple(cut) for cut in cuts)))
    return found


def logged(client: Client, project: str, run_ids: Sequence[str], metrics: Sequence[str]) -> tuple[Spans, bool]:
    """By run and metric, what each writer of the run itself logged; and whether some of the runs may show other points
    than these."""
    scope = {"project": project, "run_ids": list(run_ids)}
    of_rows, moved = at_once(
        lambda: rows(client, "metric_spans", **scope, metrics=list(metrics)),
        lambda: rows(client, "moved_count", **scope),
    )
    spans: dict[tuple[str, str, int, int], list[int]] = {}
    for run_id, metric, rank, writer, *values in of_rows:
        parts = spans.setdefault((run_id, metric, rank, writer), values)
        if parts is not values:
            spans[run_id, metric, rank, writer] = [
                merge(pair) for merge, pair in zip(_MERGES, zip(parts, values, strict=True), strict=True)
            ]
    found: Spans = {}
    for (run_id, metric, rank, _), values in spans.items():
        attempt, first, last, redo_lo, redo_hi, n, n_nan, n_inf, first_us, last_us = values
        span = Span(rank, attempt, first, last, (redo_lo, redo_hi), n, n_nan + n_inf, first_us, last_us)
        found.setdefault((run_id, metric), []).append((Source(run_id, 0, HIGHEST), span))
    # A fork that has logged nothing itself has no row here.
    return found, bool(moved[0][0]) or len({run_id for run_id, _ in found}) < len(run_ids)


def inherited(
    client: Client, project: str, metrics: Sequence[str], moved: Mapping[str, Sequence[Source]], own: Spans
) -> Spans:
    """`own` of the runs in `moved`, with what their ancestors logged and they show."""
    ancestors = sorted({source.run_id for shown in moved.values() for source in shown if source.depth})
    known = own | (logged(client, project, ancestors, metrics)[0] if ancestors else {})
    found: Spans = {}
    for run_id, shown in moved.items():
        for source in shown:
            for metric in metrics:
                of_pair = [
                    (source, span) for _, span in known.get((source.run_id, metric), ()) if span.first <= source.upto
                ]
                if of_pair:
                    found.setdefault((run_id, metric), []).extend(of_pair)
    return found
