"""A training process that keeps a journal: `trainer.py PLAN`, where PLAN is a JSON object (see `Plan`).

It logs until SIGTERM, then finishes the run; or it is killed at any moment. It ends by itself when its parent does.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parents[1]))

import runstream
from storm.journal import Journal

ODD_VALUES = (math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308)


@dataclass(frozen=True)
class Plan:
    """What one trainer does, from its seed."""

    journal: str
    project: str
    run_id: str
    seed: int
    first_step: int
    pause_s: float
    """Between two calls of log()."""
    calls: int
    """It finishes after so many; 0: when told."""
    key_sets: tuple[tuple[str, ...], ...]
    """Taken in turn, so that they alternate from call to call."""
    odd_share: float
    """Of values that are NaN, infinite, -0.0, subnormal or huge."""
    again_share: float
    """Of calls that log the step before once more."""
    rewind_share: float
    """Of calls before which the run is rewound by some steps."""
    note_every: int = 20
    """Calls between two changes of the summary, which are control events."""

    def text(self) -> str:
        return json.dumps(asdict(self))


def main(plan: Plan) -> None:
    told = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal told
        told = True

    signal.signal(signal.SIGTERM, stop)
    parent = os.getppid()
    dice = random.Random(plan.seed)
    journal = Journal(Path(plan.journal))
    run = runstream.init(project=plan.project, id=plan.run_id, name=f"seed {plan.seed}")

    def say_writer() -> None:
        assert run.spool is not None
        journal.put("writer", run.id, run.rank, run.attempt, int(run.spool.name, 16), plan.key_sets)

    say_writer()
    step, call = plan.first_step, 0
    while not told and os.getppid() == parent and (not plan.calls or call < plan.calls):
        if plan.rewind_share and dice.random() < plan.rewind_share and step > plan.first_step + 5:
            kept = step - dice.randint(2, 5)
            journal.put("rewind", kept)
            run.rewind(kept)
            say_writer()
            step = kept + 1
        again = step > plan.first_step and dice.random() < plan.again_share
        number = call % len(plan.key_sets)
        names = plan.key_sets[number]
        values = [dice.choice(ODD_VALUES) if dice.random() < plan.odd_share else dice.gauss(0, 1) for _ in names]
        at = step - 1 if again else step
        journal.put("log", at, number, values)
        run.log(dict(zip(names, values, strict=True)), step=at)
        journal.put("done")
        step = at + 1
        call += 1
        if call % plan.note_every == 0:
            run.summary["calls"] = call
        time.sleep(plan.pause_s)
    journal.put("end", "finishing", run.dropped)
    run.finish()
    journal.put("end", "finished", run.dropped)


if __name__ == "__main__":
    main(Plan(**json.loads(sys.argv[1])))
