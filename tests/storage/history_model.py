"""What a history of runs must look like, in plain Python: the reference for every view and query."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

NAN, INF = math.nan, math.inf
METRICS = ("loss", "acc")
HIGHEST = 2**63 - 1


@dataclass(frozen=True)
class Point:
    metric: str
    rank: int
    step: int
    attempt: int
    writer: int
    ver: int
    time_us: int
    value: float


@dataclass
class WriterState:
    number: int
    rank: int
    attempt: int
    rows: int = 0
    step: int = 0
    highest: dict[str, int] = field(default_factory=dict)
    counts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))


@dataclass
class RunState:
    run_id: str
    number: int
    parent: RunState | None = None
    fork_step: int = 0
    points: list[Point] = field(default_factory=list)
    rewinds: list[tuple[int, int, int]] = field(default_factory=list)
    writers: list[WriterState] = field(default_factory=list)

    def visible(self) -> dict[tuple[str, int, int], tuple[int, Point]]:
        """By metric, rank and step: how many forks up it was logged, and the point."""
        newest: dict[tuple[str, int, int], Point] = {}
        for point in self.points:
            key = (point.metric, point.rank, point.step)
            if key not in newest or point.ver > newest[key].ver:
                newest[key] = point
        shown: dict[tuple[str, int, int], tuple[int, Point]] = {}
        for key, point in newest.items():
            if not any(rank == key[1] and at > point.attempt and step < key[2] for rank, at, step in self.rewinds):
                shown[key] = (0, point)
        if self.parent:
            for key, (depth, point) in self.parent.visible().items():
                cut = any(rank == key[1] and step < key[2] for rank, _, step in self.rewinds)
                if key[2] <= self.fork_step and not cut:
                    shown.setdefault(key, (depth + 1, point))
        return shown

    def summaries(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        of_metric: defaultdict[str, list[tuple[int, Point]]] = defaultdict(list)
        for (metric, _, _), one in self.visible().items():
            of_metric[metric].append(one)
        for metric, shown in of_metric.items():
            points = [point for _, point in shown]
            numbers = [point.value for point in points if not math.isnan(point.value)]
            last = max(shown, key=lambda one: (-one[0], one[1].attempt, one[1].step, one[1].ver))[1]
            first = min(points, key=lambda point: (point.step, point.ver))
            found[metric] = {
                "last": last.value,
                "last_step": last.step,
                "first": first.value,
                "first_step": first.step,
                "min": min(numbers, default=None),
                "max": max(numbers, default=None),
                "n": len(points),
                "n_nan": len(points) - len(numbers),
                "n_inf": sum(map(math.isinf, numbers)),
                "first_us": min(point.time_us for point in points),
                "last_us": max(point.time_us for point in points),
                "ranks": len({point.rank for point in points}),
            }
        return found


class Story:
    """Random things that happen to some runs, written as ingest writes them and remembered as they were meant."""

    def __init__(self, pen: Any, version: Callable[..., int], seed: int, *, stride: int = 1) -> None:
        self.pen = pen
        self.version = version
        self.random = random.Random(seed)
        self.stride = stride
        self.clock = pen.start_us
        self.writers = 0
        self.runs: list[RunState] = []
        self.sent: list[tuple[Any, ...]] = []
        self.waiting: list[tuple[Any, ...]] = []

    def play(self, events: int) -> None:
        self.start()
        for _ in range(events):
            happens = self.random.choices(
                (self.log, self.relog, self.rewind, self.resume, self.fork, self.join, self.redeliver, self.start),
                (10, 3, 3, 3, 2, 2, 2, 1),
            )[0]
            happens()
            if self.random.random() < 0.15:
                self.flush()
        self.flush()

    def flush(self) -> None:
        """Everything so far as one insert a table, so that the database has it in a few parts."""
        if self.waiting:
            self.pen.deliver(self.waiting)
        self.waiting = []

    def start(self) -> None:
        self._new()

    def fork(self) -> None:
        parent = self.random.choice(self.runs)
        self._new(parent, self.stride * self.random.randint(0, 40))

    def log(self) -> None:
        run, writer = self._any()
        steps = [writer.step + self.stride * (number + 1) for number in range(self.random.randint(1, 12))]
        self._write(run, writer, steps)

    def relog(self) -> None:
        """Steps again, or out of order."""
        run, writer = self._any()
        back = writer.step - self.stride * self.random.randint(0, 12)
        self._write(run, writer, [back + self.stride * number for number in range(self.random.randint(1, 5))])

    def rewind(self) -> None:
        run, writer = self._any()
        step = writer.step - self.stride * self.random.randint(0, 15)
        fresh = self._writer(run, writer.rank, 1 + max(one.attempt for one in run.writers))
        fresh.step = step
        run.rewinds.append((writer.rank, fresh.attempt, step))
        self.pen.rewound(
            run.run_id, rank=writer.rank, attempt=fresh.attempt, step=step, writer=fresh.number, at_us=self._tick()
        )

    def resume(self) -> None:
        """From a checkpoint: a new attempt of one rank, without a rewind."""
        run, writer = self._any()
        fresh = self._writer(run, writer.rank, 1 + max(one.attempt for one in run.writers))
        fresh.step = writer.step - self.stride * self.random.randint(-3, 10)

    def join(self) -> None:
        """Another process: a rank of its own, or by mistake the same."""
        run, writer = self._any()
        self._writer(run, self.random.choice((writer.rank, 1, 2)), writer.attempt)

    def redeliver(self) -> None:
        if self.sent:
            self.waiting.append(self.random.choice(self.sent))

    def _any(self) -> tuple[RunState, WriterState]:
        run = self.random.choice(self.runs)
        return run, self.random.choice(run.writers[-3:])

    def _tick(self) -> int:
        self.clock += self.random.randint(1, 5_000)
        return self.clock

    def _new(self, parent: RunState | None = None, fork_step: int = 0) -> None:
        number = len(self.runs)
        forked = {"forked_from": parent.run_id, "fork_step": fork_step} if parent else {}
        run = RunState(self.pen.run(number, writer=self.writers + 1, **forked), number, parent, fork_step)
        self.runs.append(run)
        writer = self._writer(run, 0, 0)
        writer.step = fork_step if parent and self.random.random() < 0.7 else 0

    def _writer(self, run: RunState, rank: int, attempt: int) -> WriterState:
        self.writers += 1
        writer = WriterState(self.writers, rank, attempt)
        run.writers.append(writer)
        self.pen.alive(run.run_id, at_us=self._tick(), writer=writer.number, attempt=attempt)
        return writer

    def _write(self, run: RunState, writer: WriterState, steps: list[int]) -> None:
        batch = []
        metrics = self.random.choice((METRICS, METRICS, METRICS[:1]))
        for step in steps:
            time_us = self._tick()
            for metric in metrics:
                value = self.random.choice((round(self.random.gauss(0, 10), 3),) * 12 + (NAN, INF, -INF, -0.0))
                ver = self.version(time_us, attempt=writer.attempt, writer=writer.number)
                batch.append(Point(metric, writer.rank, step, writer.attempt, writer.number, ver, time_us, value))
        writer.step = max(writer.step, *steps) if self.random.random() < 0.8 else steps[-1]
        run.points += batch
        summaries = [
            self._summary(run, writer, metric, [one for one in batch if one.metric == metric]) for metric in metrics
        ]
        covered = {"start": 0, "end": writer.rows + len(steps), "attempt": writer.attempt, "rank": writer.rank}
        writer.rows += len(steps)
        self.sent.append((run.run_id, batch, summaries, {"writer": writer.number, "stream": "metrics", **covered}))
        self.waiting.append(self.sent[-1])

    def _summary(self, run: RunState, writer: WriterState, metric: str, points: list[Point]) -> dict[str, Any]:
        """The row of metric_summary that ingest makes of a batch."""
        numbers = [point.value for point in points if not math.isnan(point.value)]
        redone = []
        for point in points:
            highest = writer.highest.get(metric)
            if highest is not None and point.step <= highest:
                redone.append(point.step)
            writer.highest[metric] = point.step if highest is None else max(highest, point.step)
        counts = writer.counts[metric]
        counts[0] += len(points)
        counts[1] += len(points) - len(numbers)
        counts[2] += sum(map(math.isinf, numbers))
        return {
            "metric": metric,
            "run_id": run.run_id,
            "rank": writer.rank,
            "writer": writer.number,
            "min": min(numbers, default=NAN),
            "max": max(numbers, default=NAN),
            "first": min((point.step, point.ver, point.value) for point in points),
            "last": max((point.attempt, point.step, point.ver, point.value) for point in points),
            "first_us": points[0].time_us,
            "last_us": points[-1].time_us,
            "n": counts[0],
            "n_nan": counts[1],
            "n_inf": counts[2],
            "redo_lo": min(redone, default=HIGHEST),
            "redo_hi": max(redone, default=-HIGHEST - 1),
        }
