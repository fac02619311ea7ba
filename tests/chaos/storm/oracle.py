"""The invariants: journals, every view, recomputed rollups, coverage, dead letters and lag, held against each other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runstream_storage import queries
from storm.expected import ExpectedRun, expected_runs, logged_by, summaries
from storm.group import Group
from storm.journal import Story, value_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

SHOWN = 12

DUPLICATES = """
SELECT count() AS rows, uniqExact((run_id, metric, rank, step, ver)) AS distinct
FROM points WHERE project = {project:String}
"""
FINAL = "SELECT count(), uniqExact((run_id, metric, rank, step)) FROM points FINAL WHERE project = {project:String}"
# Rows that are stored more than once, by the parts that hold them: their messages tell whether one message was
# inserted twice, or delivered twice and passed twice.
TWICE = """
SELECT parts, count(), min(low), max(high), max(kinds) > 1
FROM
(
    SELECT arraySort(groupArray(_part)) AS parts,
           min((src_partition, src_offset)) AS low, max((src_partition, src_offset)) AS high,
           uniqExact((src_partition, src_offset)) AS kinds
    FROM points WHERE project = {project:String}
    GROUP BY run_id, metric, rank, step, ver
    HAVING count() > 1
)
GROUP BY parts ORDER BY count() DESC LIMIT 20
"""
STRETCHES = """
SELECT toString(run_id), writer, stream, start, max(c.end)
FROM coverage AS c WHERE project = {project:String}
GROUP BY run_id, writer, stream, start ORDER BY run_id, writer, stream, start
"""
POINTS = """
SELECT metric, rank, step, reinterpretAsUInt64(value) FROM v_points
WHERE project = {project:String} AND run_id = {run:UUID}
"""
SUMMARY = (
    "SELECT metric, n, n_nan, n_inf, min, max FROM v_summary WHERE project = {project:String} AND run_id = {run:UUID}"
)
COUNTS = """
SELECT toString(run_id), writer, metric, max(m.n) FROM metric_summary AS m WHERE project = {project:String}
GROUP BY run_id, writer, metric
"""
# Both rollups of a table, as they are stored and as they follow from its rows: what is in one and not in the other.
ROLLUP_BY_RUN = """
SELECT count() FROM
(
    SELECT run_id, metric, rank, writer, max(n) AS logged, max(last) AS newest, min(min) AS lo, max(max) AS hi
    FROM (SELECT run_id, metric, rank, writer, n, last, min, max FROM metric_summary WHERE project = {project:String})
    GROUP BY run_id, metric, rank, writer
) AS a
FULL JOIN
(
    SELECT run_id, metric, rank, writer, max(n) AS logged, max(last) AS newest, min(min) AS lo, max(max) AS hi
    FROM (SELECT run_id, metric, rank, writer, n, last, min, max FROM run_summary WHERE project = {project:String})
    GROUP BY run_id, metric, rank, writer
) AS b USING (run_id, metric, rank, writer)
WHERE toString((a.logged, a.newest, a.lo, a.hi)) != toString((b.logged, b.newest, b.lo, b.hi))
"""
TIERS = """
SELECT count() FROM
(
    SELECT run_id, metric, rank, lvl, bucket,
           toString((min(c.min), max(c.max), min(t0), max(t1), min(s0), max(s1))) AS stored
    FROM curve AS c WHERE project = {project:String} GROUP BY run_id, metric, rank, lvl, bucket
) AS a
FULL JOIN
(
    SELECT run_id, metric, rank, lvl, bitShiftRight(step, lvl) AS bucket,
           toString((min(if(isFinite(value), value, nan)), max(if(isFinite(value), value, nan)),
                     min(ts_us), max(ts_us), min(step), max(step))) AS computed
    FROM points ARRAY JOIN [toUInt8(10), toUInt8(12)] AS lvl WHERE project = {project:String}
    GROUP BY run_id, metric, rank, lvl, bucket
) AS b USING (run_id, metric, rank, lvl, bucket)
WHERE a.stored != b.computed
"""
GAPS = "SELECT count(), sum(rows) FROM v_gaps WHERE project = {project:String}"
REWINDS = "SELECT DISTINCT toString(run_id), rank, attempt FROM rewinds WHERE project = {project:String}"


@dataclass
class Findings:
    """What the storm left behind. It holds when `broken` is empty."""

    logged: int = 0
    """Values that the trainers say they logged."""
    visible: int = 0
    """Of them, those that views must show: neither replaced nor rewound."""
    distinct: int = 0
    rows: int = 0
    final: int = 0
    shown: int = 0
    """Rows of v_points."""
    summed: int = 0
    """Sum of n over v_summary."""
    counted: int = 0
    """Sum over the writers of what the summary rows count, which no replay may raise."""
    writers: int = 0
    runs: int = 0
    broken: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    """Where the duplicates lie and what they came with; a line for each set of parts."""

    @property
    def duplicates(self) -> int:
        """Rows that are stored more than once, before any merge."""
        return self.rows - self.distinct

    @property
    def duplicates_after_final(self) -> int:
        return self.final - self.visible_stored

    visible_stored: int = 0
    """Distinct (run, metric, rank, step) under FINAL."""


class Oracle:
    """Asks one project of one database, directly at the server."""

    def __init__(self, client: Client, project: str) -> None:
        self._client = client
        self._project = project

    def look(self, stories: Iterable[Story]) -> Findings:
        """Everything but the topics, which `look_at_topics` asks."""
        stretches = self._stretches()
        ends = {writer: runs[-1][1] for (_, writer, stream), runs in stretches.items() if stream == "metrics"}
        rewinds = {(str(run), int(rank), int(attempt)) for run, rank, attempt in self._ask(REWINDS)}
        stories = list(stories)
        runs = expected_runs(stories, ends, rewinds)
        found = Findings(
            logged=sum(run.logged for run in runs.values()),
            visible=sum(len(run.visible) for run in runs.values()),
            runs=len(runs),
            writers=sum(len(run.writers) for run in runs.values()),
        )
        (found.rows, found.distinct) = self._ask(DUPLICATES)[0]
        (found.final, found.visible_stored) = self._ask(FINAL)[0]
        say = found.broken.append
        if found.duplicates:
            found.twice = [
                f"{rows} rows in {', '.join(parts)}: messages {low} to {high}, "
                + ("delivered again" if again else "the same message")
                for parts, rows, low, high, again in self._ask(TWICE)
            ]
        if found.distinct != found.logged:
            say(f"points has {found.distinct} distinct rows, {found.logged} values were logged")
        if found.duplicates_after_final:
            say(f"{found.duplicates_after_final} duplicates are left under FINAL")
        for story in stories:
            if story.dropped:
                say(f"{story.path.name}: log() dropped {story.dropped} rows")
        gaps, missing = self._ask(GAPS)[0]
        if gaps:
            say(f"v_gaps lists {gaps} gaps with {missing} rows")
        self._look_at_coverage(stretches, runs, say)
        self._look_at_counts(runs, found)
        for what, question in {"run_summary": ROLLUP_BY_RUN, "curve": TIERS}.items():
            wrong = self._ask(question)[0][0]
            if wrong:
                say(f"{wrong} groups of {what} are not what recomputing them gives")
        for run in runs.values():
            self._look_at_points(run, found)
            self._look_at_summary(run, found)
            self._look_at_curves(run, found)
            self._look_at_state(run, found)
        letters = self._ask("SELECT count() FROM dead_letters")[0][0]
        if letters:
            say(f"{letters} lines in dead_letters")
        return found

    def _ask(self, question: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        parameters = {"project": self._project, **parameters}
        answer: Sequence[Sequence[Any]] = self._client.query(question, parameters=parameters).result_rows
        return answer

    def _stretches(self) -> dict[tuple[str, int, str], list[tuple[int, int]]]:
        """(run, writer, stream) to its stretches of sequence numbers, merged where they touch or overlap."""
        found: dict[tuple[str, int, str], list[tuple[int, int]]] = defaultdict(list)
        for run, writer, stream, start, end in self._ask(STRETCHES):
            merged = found[run, writer, stream]
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        return dict(found)

    def _look_at_coverage(
        self,
        stretches: dict[tuple[str, int, str], list[tuple[int, int]]],
        runs: dict[str, ExpectedRun],
        say: Callable[[str], None],
    ) -> None:
        for (run_id, writer_id, stream), merged in stretches.items():
            if len(merged) > 1 or merged[0][0] != 0:
                say(f"gap: {stream} of writer {writer_id} of {run_id} is covered at {merged}")
        for run in runs.values():
            for writer in run.writers:
                covered = stretches.get((run.run_id, writer.writer_id, "metrics"), [(0, 0)])
                if covered[-1][1] != len(writer.calls):
                    say(
                        f"writer {writer.writer_id} of {run.run_id}: {len(writer.calls)} rows logged, covered {covered}"
                    )

    def _look_at_counts(self, runs: dict[str, ExpectedRun], found: Findings) -> None:
        logged = {
            (run.run_id, writer.writer_id, metric): n
            for run in runs.values()
            for writer in run.writers
            for metric, n in logged_by(writer).items()
        }
        counted = {(run, writer, metric): n for run, writer, metric, n in self._ask(COUNTS)}
        found.counted = sum(counted.values())
        _compare("n of metric_summary (run, writer, metric)", logged, counted, found.broken)

    def _look_at_points(self, run: ExpectedRun, found: Findings) -> None:
        rows = self._ask(POINTS, run=run.run_id)
        shown = {(metric, rank, step): pattern for metric, rank, step, pattern in rows}
        found.shown += len(rows)
        if len(rows) != len(shown):
            found.broken.append(f"v_points has {len(rows) - len(shown)} points of {run.run_id} twice")
        _compare(f"v_points of {run.run_id}", run.visible, shown, found.broken)

    def _look_at_summary(self, run: ExpectedRun, found: Findings) -> None:
        wanted = {metric: one.as_row() for metric, one in summaries(run).items()}
        shown = {metric: tuple(rest) for metric, *rest in self._ask(SUMMARY, run=run.run_id)}
        found.summed += sum(row[0] for row in shown.values())
        _compare(f"v_summary of {run.run_id}", wanted, shown, found.broken)

    def _look_at_curves(self, run: ExpectedRun, found: Findings) -> None:
        """The envelope that the query functions give: no spike lost, no hidden value in it."""
        values: dict[str, list[float]] = defaultdict(list)
        for (metric, _, _), pattern in run.visible.items():
            values[metric].append(value_of(pattern))
        drawn = queries.curves(self._client, self._project, [run.run_id], list(values), width_px=200)
        for metric, logged in values.items():
            finite = [value for value in logged if math.isfinite(value)]
            wanted = (min(finite), max(finite)) if finite else None
            curve = drawn.get(run.run_id, metric)
            lows = [low for low in (curve.lo if curve else ()) if math.isfinite(low)]
            highs = [high for high in (curve.hi if curve else ()) if math.isfinite(high)]
            shown = (min(lows), max(highs)) if lows else None
            odd = sum(int((curve.n_nan + curve.n_pos + curve.n_neg).sum()) for curve in [curve] if curve)
            if shown != wanted or odd != len(logged) - len(finite):
                found.broken.append(
                    f"curve {metric} of {run.run_id} spans {shown} with {odd} values that are not finite; logged: "
                    f"{wanted} with {len(logged) - len(finite)}"
                )

    def _look_at_state(self, run: ExpectedRun, found: Findings) -> None:
        header = queries.find_run(self._client, run.run_id)
        state = header.state if header else "absent"
        if state not in run.states:
            found.broken.append(f"{run.run_id} is {state}; its processes ended as {sorted(run.states)}")


def look_at_topics(group: Group, dead_letter_topics: Sequence[str]) -> list[str]:
    """What is not read, and what went to the dead letters."""
    broken = []
    lag = group.lag()
    if lag:
        broken.append(f"{lag} messages are not committed")
    for (topic, partition), end in group.ends(dead_letter_topics).items():
        if end:
            broken.append(f"{end} messages in {topic}/{partition}")
    return broken


def _compare(what: str, wanted: dict[Any, Any], found: dict[Any, Any], broken: list[str]) -> None:
    missing = [key for key in wanted if key not in found]
    extra = [key for key in found if key not in wanted]
    other = [key for key in wanted if key in found and wanted[key] != found[key]]
    for name, keys in (("missing", missing), ("too many", extra), ("different", other)):
        if keys:
            some = ", ".join(f"{key}: wanted {wanted.get(key)}, found {found.get(key)}" for key in keys[:3])
            broken.append(f"{what}: {len(keys)} {name} ({some})")
