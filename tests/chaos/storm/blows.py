"""What befalls the pipeline, and when: a pure function of the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

WEIGHTS = {
    "kill worker": 5,
    "stop worker": 4,
    "kill trainer": 4,
    "tear spool": 3,
    "stop trainer": 1,
    "finish trainer": 2,
    "kill agent": 3,
    "stop agent": 2,
    "kill kafka": 1,
    "restart kafka": 1,
    "pause kafka": 2,
    "kill clickhouse": 1,
    "restart clickhouse": 1,
    "pause clickhouse": 2,
    "weather": 3,
    "reset offsets": 1,
    "replay spool": 3,
}
"""Kind to how often it is drawn."""
OUTAGES = ("kill kafka", "restart kafka", "pause kafka", "kill clickhouse", "restart clickhouse", "pause clickhouse")
OUTAGE_COSTS_S = 6.0
"""After an outage of a service the next one waits so long, or nothing would ever flow."""


@dataclass(frozen=True)
class Blow:
    """`at_s` seconds after the start; `seed` decides its target, its length and the like."""

    at_s: float
    kind: str
    seed: int

    @property
    def dice(self) -> random.Random:
        return random.Random(self.seed)


def schedule(seed: int, seconds: float, every_s: float) -> list[Blow]:
    """Each kind once, in a random order, then kinds by weight, one every `every_s` seconds on average.

    While the time after an outage lasts, other kinds are taken; a storm that is too short has fewer outages.
    """
    dice = random.Random(seed)
    first = list(WEIGHTS)
    dice.shuffle(first)
    blows: list[Blow] = []
    at, next_outage = min(1.0, every_s), 0.0
    while at < seconds:
        allowed = [kind for kind in WEIGHTS if kind not in OUTAGES or at >= next_outage]
        due = [kind for kind in first if kind in allowed]
        kind = due[0] if due else dice.choices(allowed, [WEIGHTS[kind] for kind in allowed])[0]
        if kind in first:
            first.remove(kind)
        if kind in OUTAGES:
            next_outage = at + OUTAGE_COSTS_S
        blows.append(Blow(round(at, 2), kind, dice.getrandbits(32)))
        at += every_s if first else dice.expovariate(1 / every_s)
    return blows
