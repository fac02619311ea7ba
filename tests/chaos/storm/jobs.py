"""Trainers and the hosts on which they run."""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from runstream.agent.lock import holder
from runstream.identity import new_run_id
from runstream.spool import list_spools
from storm.journal import Story, read
from storm.processes import TRAINER, Child, Started, signal_pid, start_agent
from storm.trainer import Plan


class Host:
    """A data directory with its agent: supervised (as a service would be), or started on demand by the trainers."""

    def __init__(self, directory: Path, environment: Mapping[str, str], *, supervised: bool) -> None:
        self.directory = directory
        self.supervised = supervised
        self.environment = {**environment, "RUNSTREAM_DIR": str(directory)}
        self.environment["RUNSTREAM_AGENT"] = "external" if supervised else "auto"
        self.children: list[Child] = []
        directory.mkdir(parents=True)

    @property
    def agent_pid(self) -> int | None:
        """The process that holds the directory's lock."""
        return holder(self.directory / "agent.lock") or None

    @property
    def spools(self) -> list[Path]:
        return list(list_spools(self.directory / "spool"))

    def look_after(self) -> None:
        """What a supervisor does: start the agent anew when it is gone."""
        if self.supervised and not any(child.alive for child in self.children):
            self.start_agent(stay=True)

    def start_agent(self, *, stay: bool) -> Child:
        self.children = [child for child in self.children if child.alive]
        child = start_agent(self.directory, self.directory / "agent.log", self.environment, stay=stay)
        self.children.append(child)
        return child

    def signal_agent(self, number: signal.Signals) -> int | None:
        """Send it; the pid it went to."""
        pid = self.agent_pid
        signal_pid(pid, number)
        return pid

    def wake_agent(self) -> None:
        self.signal_agent(signal.SIGCONT)

    def close(self) -> None:
        for child in self.children:
            child.kill()
        for process in psutil.process_iter(["cmdline"]):  # also an agent that a trainer has only just started
            if str(self.directory) in (process.info["cmdline"] or []):
                signal_pid(process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Kind:
    """What the trainers of a job are like."""

    ranks: int
    key_sets: tuple[tuple[str, ...], ...]
    pause_s: float = 0.02
    odd_share: float = 0.0
    again_share: float = 0.0
    rewind_share: float = 0.0
    segment_bytes: int = 1 << 20


@dataclass
class Trainer:
    """One process of a job."""

    child: Child
    journal: Path
    run_id: str
    rank: int
    attempt: int

    def story(self) -> Story:
        return read(self.journal, self.run_id, self.rank, self.attempt)


@dataclass
class Job:
    """Run after run, of one or more ranks each. A killed rank goes on with its run, or the job begins a new one."""

    name: str
    host: Host
    kind: Kind
    project: str
    directory: Path
    dice: random.Random
    run_id: str = ""
    living: dict[int, Trainer] = field(default_factory=dict)
    past: list[Trainer] = field(default_factory=list)
    quits: bool = False
    """No process is started any more."""

    def stories(self) -> list[Story]:
        return [trainer.story() for trainer in [*self.past, *self.living.values()]]

    def tick(self) -> None:
        """Bury the dead; then a new run when all are gone, or a new process for a rank whose process was killed."""
        for rank, trainer in list(self.living.items()):
            if not trainer.child.alive:
                self.past.append(self.living.pop(rank))
        if self.quits:
            return
        if not self.living:
            goes_on = self.run_id and self.past[-1].child.code != 0 and self.dice.random() < 0.6
            if not goes_on:
                self.run_id = str(new_run_id())
            for rank in range(self.kind.ranks):
                self._start(rank)
            return
        for rank in range(self.kind.ranks):
            ended = [trainer for trainer in self.past if trainer.run_id == self.run_id and trainer.rank == rank]
            if rank not in self.living and ended and ended[-1].child.code != 0:
                self._start(rank)

    def end_run(self) -> None:
        """SIGTERM to every rank: the trainers finish the run."""
        for trainer in self.living.values():
            trainer.child.signal(signal.SIGCONT)
            trainer.child.signal(signal.SIGTERM)

    def _start(self, rank: int) -> None:
        before = [t.story() for t in self.past if t.run_id == self.run_id and t.rank == rank]
        others = [t.story() for t in [*self.past, *self.living.values()] if t.run_id == self.run_id]
        newest = max((story.newest_attempt for story in (before or [])), default=-1)
        attempt = newest + 1 if before else max((story.attempt for story in others), default=0)
        done = max((story.next_step for story in before), default=0)
        number = len(self.past) + len(self.living)
        journal = self.directory / f"{self.name}-{number:03d}.journal"
        plan = Plan(
            journal=str(journal),
            project=self.project,
            run_id=self.run_id,
            seed=self.dice.getrandbits(32),
            first_step=max(0, done - self.dice.randint(0, 6)),
            pause_s=self.kind.pause_s,
            calls=0,
            key_sets=self.kind.key_sets,
            odd_share=self.kind.odd_share,
            again_share=self.kind.again_share,
            rewind_share=self.kind.rewind_share,
            note_every=20,
        )
        variables = {
            **self.host.environment,
            "RUNSTREAM_RANK": str(rank),
            "RUNSTREAM_ATTEMPT": str(attempt),
            "RUNSTREAM_SEGMENT_BYTES": str(self.kind.segment_bytes),
        }
        child = Started([sys.executable, str(TRAINER), plan.text()], journal.with_suffix(".log"), variables)
        self.living[rank] = Trainer(child, journal, self.run_id, rank, attempt)
