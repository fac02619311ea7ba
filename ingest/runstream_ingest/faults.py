"""Faults on purpose, for tests: a named point of the way of a batch kills, stops, fails or delays the process.

`RUNSTREAM_INGEST_FAULTS` is `name=act[@when]`, comma separated. The acts: `kill` (SIGKILL), `stop` (SIGSTOP), `raise`
(InjectedFault) and `sleep:SECONDS`. `@N`: only the Nth time that the point is reached; `@~P`: each time with the
probability P, from a generator seeded by `RUNSTREAM_INGEST_FAULTS_SEED`; nothing: each time. The points, in order:
`polled`, `decoded`, `gated`, `before_intent`, `after_intent`, `before_insert.<table>`, `after_insert.<table>`,
`before_commit`, `after_commit`, `recovering`, `recovered`.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
from dataclasses import dataclass

import structlog

from runstream_ingest.errors import InjectedFault

log = structlog.get_logger("runstream.ingest")
_FORM = re.compile(
    r"(?P<name>[a-z_]+(\.[a-z_]+)?)=(?P<act>kill|stop|raise|sleep:(?P<seconds>\d+(\.\d+)?))"
    r"(@(?P<nth>\d+)|@~(?P<probability>[01](\.\d+)?))?"
)


@dataclass
class Fault:
    """What happens at one point."""

    act: str
    seconds: float = 0.0
    nth: int = 0
    """1 and more: the time at which it happens; 0: each time."""
    probability: float = 1.0
    reached: int = 0

    def is_due(self, chance: random.Random) -> bool:
        self.reached += 1
        if self.nth:
            return self.reached == self.nth
        return self.probability >= 1 or chance.random() < self.probability


def parsed(text: str) -> dict[str, Fault]:
    """The faults by the name of their point. Raises ValueError for a text that is not of the form."""
    faults = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _FORM.fullmatch(part)
        if found is None:
            raise ValueError(
                f"{part!r} is no fault; one is name=act, the act kill, stop, raise or sleep:SECONDS, "
                "with @N or @~P behind it"
            )
        seconds, nth, probability = found["seconds"], found["nth"], found["probability"]
        faults[found["name"]] = Fault(
            found["act"].partition(":")[0], float(seconds or 0), int(nth or 0), float(probability or 1)
        )
    return faults


_armed: dict[str, Fault] = {}
_chance = random.Random(0)  # noqa: S311 - tests want the same faults again


def arm(text: str, seed: int = 0) -> None:
    """From now on the faults of `text` happen in this process; an empty text disarms."""
    _armed.clear()
    _armed.update(parsed(text))
    _chance.seed(seed)
    if _armed:
        log.warning("faults are armed: this worker hurts itself on purpose", faults=text, seed=seed)


async def reach(name: str) -> None:
    """The process is at the point `name`."""
    fault = _armed.get(name)
    if fault is None or not fault.is_due(_chance):
        return
    log.warning("fault", point=name, act=fault.act, reached=fault.reached)
    if fault.act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault.act == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif fault.act == "raise":
        raise InjectedFault(name)
    else:
        await asyncio.sleep(fault.seconds)
