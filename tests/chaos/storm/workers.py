"""The ingest workers of a storm: several, replaced when they die, each cutting batches in its own way."""

from __future__ import annotations

import random
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from storm.processes import Child, Nursery

SESSION_S = 6.0
"""The least that a broker takes; a worker stopped for longer is a zombie when it wakes."""
FAULTS = (
    "polled",
    "decoded",
    "gated",
    "before_intent",
    "after_intent",
    "before_insert.points",
    "after_insert.points",
    "before_insert.metric_summary",
    "after_insert.metric_summary",
    "before_insert.coverage",
    "after_insert.coverage",
    "after_insert.ingest_marks",
    "before_commit",
    "after_commit",
    "recovering",
    "recovered",
)


@dataclass
class Workers:
    """`wanted` workers, numbered as they are started. No blow kills the oldest: its memory is watched for long."""

    wanted: int
    nursery: Nursery
    directory: Path
    environment: Mapping[str, str]
    unsafe: str
    dice: random.Random
    children: list[Child] = field(default_factory=list)
    are_down: bool = False
    """No worker is started any more, as while an operator moves offsets."""
    has_faults: bool = True
    peaks: dict[int, list[float]] = field(default_factory=dict)
    """Number of a worker to its resident memory in MiB, sampled over its life."""
    _told_to_raise: list[Child] = field(default_factory=list)

    @property
    def living(self) -> list[Child]:
        return [child for child in self.children if child.alive]

    @property
    def fallen(self) -> list[Child]:
        """Those that ended by themselves: not killed, not told to stop, and without a fault that raises."""
        ended = [child for child in self.children if child.code not in (None, 0, -signal.SIGKILL, -signal.SIGTERM)]
        return [child for child in ended if child not in self._told_to_raise]

    @property
    def mortal(self) -> list[Child]:
        return self.living[1:]

    def look_after(self) -> None:
        """What a supervisor does."""
        while not self.are_down and len(self.living) < self.wanted:
            self.start()

    def start(self) -> Child:
        number, dice = len(self.children), self.dice
        settings = {
            "group": self.environment["RUNSTREAM_TOPIC_PREFIX"],
            "session_timeout_s": SESSION_S,
            "batch_age_s": dice.choice([0.03, 0.1, 0.3, 1.0]),
            "batch_rows": dice.choice([50, 400, 3000, 100_000]),
            "insert_timeout_s": dice.choice([3, 10]),
            "drain_s": dice.choice([1, 5, 15]),
            "unsafe": self.unsafe,
        }
        act = ""
        if self.has_faults and number >= self.wanted:
            act = dice.choices(["kill", "sleep:0.2", "raise"], [6, 3, 2])[0]
            chance = dice.choice([0.02, 0.1])
            settings |= {"faults": f"{dice.choice(FAULTS)}={act}@~{chance}", "faults_seed": dice.getrandbits(30)}
        child = self.nursery.worker(self.directory / f"worker-{number:03d}.log", self.environment, **settings)
        self.children.append(child)
        if act == "raise":
            self._told_to_raise.append(child)
        return child

    def sample(self) -> None:
        for number, child in enumerate(self.children):
            if child.alive and (rss := child.rss_mib) > 1:
                self.peaks.setdefault(number, []).append(rss)

    def signal(self, number: signal.Signals) -> None:
        for child in self.living:
            child.signal(number)

    @property
    def peak_mib(self) -> float:
        return max((max(samples) for samples in self.peaks.values()), default=0.0)

    @property
    def steady_mib(self) -> tuple[float, float]:
        """Of the worker that lived longest: its memory a quarter of the way in, and at its end (medians)."""
        samples = max(self.peaks.values(), key=len, default=[])
        quarter = len(samples) // 4
        if not quarter:
            return 0.0, 0.0
        early, late = sorted(samples[quarter : 2 * quarter]), sorted(samples[-quarter:])
        return early[len(early) // 2], late[len(late) // 2]
