"""What `define_metric` said: which end of a metric is better, what it is drawn against, its unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from runstream_storage.execution import rows

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Goal = Literal["", "minimize", "maximize"]


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """How metrics that match the glob `pattern` are meant; an empty text: nothing was said."""

    pattern: str
    x_axis: str = ""
    summary: tuple[str, ...] = ()
    goal: Goal = ""
    hidden: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True)
class MetricDefinitions:
    """The definitions of some runs."""

    all: tuple[MetricDefinition, ...] = ()

    def of(self, metric: str) -> MetricDefinition:
        """What holds for `metric`: its own definition, then the longest glob that matches; where that one says nothing
        of a point, the next one."""
        fitting = [entry for entry in self.all if entry.pattern == metric or fnmatchcase(metric, entry.pattern)]
        fitting.sort(key=lambda entry: (entry.pattern == metric, len(entry.pattern), entry.pattern), reverse=True)
        return MetricDefinition(
            pattern=metric,
            x_axis=next((entry.x_axis for entry in fitting if entry.x_axis), ""),
            summary=next((entry.summary for entry in fitting if entry.summary), ()),
            goal=next((entry.goal for entry in fitting if entry.goal), ""),
            hidden=any(entry.hidden for entry in fitting),
            unit=next((entry.unit for entry in fitting if entry.unit), ""),
        )


def metric_definitions(client: Client, project: str, run_ids: Sequence[str] = ()) -> MetricDefinitions:
    """What `run_ids` said of their metrics; without ids, all runs of the project. The newest word on a pattern wins."""
    found = rows(client, "metric_definitions", project=project, run_ids=list(run_ids))
    return MetricDefinitions(
        tuple(
            MetricDefinition(pattern, x_axis, tuple(summary), goal, bool(hidden), unit)
            for pattern, x_axis, summary, goal, hidden, unit in found
        )
    )
