"""How a run is doing, by the rules of the view run_states: pages ask for the signs of life alone and derive it here.

Planning that view takes longer than all else that a page of runs needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runstream_storage.queries.results import State

STALE_AFTER_US = 120_000_000
LOST_AFTER_US = 600_000_000
WORSE: tuple[State, ...] = ("finished", "preempted", "killed", "failed")
"""Ends of writers of one attempt: a later one decides over those before it."""
VERSION_EPOCH_US = 1_735_689_600_000_000  # 2025-01-01
VERSION_TIME_BITS = 2**50 - 1


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life of one writer, and how it ended; `version` is 0 while it has not.

    `seen_us` is by the clock of its host, `arrived_us` by that of the brokers: so no clock that is off makes a run
    look lost.
    """

    attempt: int
    seen_us: int
    arrived_us: int
    version: int
    state: State
    exit_code: int
    reason: str


@dataclass(frozen=True, slots=True)
class RunState:
    """State, and times in microseconds since 1970; `ended_us` is 0 while the run lives."""

    state: State
    ended_us: int = 0
    seen_us: int = 0
    attempt: int = 0
    exit_code: int = 0
    reason: str = ""


def is_open(signs: Sequence[Sign]) -> bool:
    """A writer of the newest attempt has not ended: how the run is doing depends on what time it is."""
    return max(((sign.attempt, not sign.version) for sign in signs), default=(0, False))[1]


def run_state(signs: Sequence[Sign], newest_us: int) -> RunState:
    """The state of a run from the signs of its writers; `newest_us`: up to when things have been ingested."""
    if not signs:
        return RunState("running")
    seen_us = max(sign.seen_us for sign in signs)
    attempt = max(sign.attempt for sign in signs)
    if is_open(signs):
        age_us = newest_us - max(sign.arrived_us for sign in signs)
        state: State = "running" if age_us <= STALE_AFTER_US else "stale" if age_us <= LOST_AFTER_US else "lost"
        return RunState(state, seen_us=seen_us, attempt=attempt)
    worst = max(
        signs, key=lambda sign: (sign.attempt, sign.state in WORSE and WORSE.index(sign.state) + 1, sign.version)
    )
    ended_us = (max(sign.version for sign in signs) >> 6 & VERSION_TIME_BITS) + VERSION_EPOCH_US
    return RunState(worst.state, ended_us, seen_us, attempt, worst.exit_code, worst.reason)
