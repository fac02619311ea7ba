"""Which step a run was at when: it puts machine samples and console lines on the axis of a chart, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runstream_storage.execution import moment, rows
from runstream_storage.queries.console import microseconds
from runstream_storage.queries.deletion import kept

if TYPE_CHECKING:
    import numpy as np
    from clickhouse_connect.driver.client import Client

    Integers = np.ndarray[Any, np.dtype[np.int64]]
    Floats = np.ndarray[Any, np.dtype[np.float64]]

KNOTS = 4_000
MANY_POINTS = 200_000


@dataclass(frozen=True, slots=True)
class StepClock:
    """At `times_us[i]`, microseconds since 1970, the run logged `metric` at `steps[i]`. In order of time, not empty;
    between two of them steps pass evenly. Where a run was resumed, steps go back."""

    run_id: str
    metric: str
    times_us: Integers
    steps: Integers

    def steps_at(self, times_us: Integers | Floats) -> Floats:
        """The steps at these times; before the first and after the last knot theirs."""
        import numpy as np

        return np.interp(times_us, self.times_us, self.steps)

    def step_at(self, at: datetime) -> int:
        """The last step that was logged at `at` or before, or the first there is."""
        import numpy as np

        return int(np.floor(self.steps_at(np.array([microseconds(at)], dtype=np.int64))[0]))

    def time_of(self, step: float) -> datetime:
        """When the run was at `step`, the last time that it was; out of reach: the nearest it has."""
        return moment(self.time_us(step))

    def time_us(self, step: float) -> int:
        """As `time_of`, in microseconds since 1970."""
        import numpy as np

        reached = np.maximum.accumulate(self.steps[::-1] * -1)[::-1] * -1  # the lowest step from here on
        return int(np.interp(step, reached, self.times_us))


def step_clocks(
    client: Client, project: str, run_ids: Sequence[str], *, metric: str = "", include_deleted: bool = False
) -> dict[str, StepClock]:
    """The clock of each run by `metric`, or by the one with the most points; runs without points are absent."""
    import numpy as np

    wanted = kept(client, project, run_ids, include_deleted=include_deleted)
    if not wanted:
        return {}
    careful = {row[0] for row in rows(client, "shown_runs", project=project, run_ids=wanted) if row[1]}
    chosen = {
        run_id: (of, n)
        for run_id, of, n in rows(client, "clock_metrics", project=project, run_ids=wanted, metric=metric)
    }
    found = {}
    for run_id in wanted:
        # A fork may have logged nothing itself; its ancestors' metric must then be named.
        of_metric, n = chosen.get(run_id, (metric, 0))
        question = "step_clock_tiers" if n > MANY_POINTS and run_id not in careful else "step_clock"
        knots = (
            rows(client, question, project=project, run_id=run_id, metric=of_metric, knots=KNOTS) if of_metric else []
        )
        if knots:
            times, steps = (np.array(column, dtype=np.int64) for column in zip(*knots, strict=True))
            found[run_id] = StepClock(run_id, of_metric, times, steps)
    return found
