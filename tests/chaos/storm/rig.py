"""A small set-up for one fault at a time: trainers and an agent on a given broker, and workers on demand."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from runstream.kafka_topics import source_topics
from runstream_storage.connection import connect
from runstream_storage.corrections import refresh
from storm.group import Group
from storm.jobs import Host, Job, Kind
from storm.journal import Story
from storm.oracle import Findings, Oracle, look_at_topics
from storm.processes import Child, Nursery

WAIT_S = 60.0
PROJECT = "rig"
KINDS = (
    Kind(ranks=1, key_sets=(("a", "b", "c"), ("a", "rare")), odd_share=0.1),
    Kind(ranks=2, key_sets=(("a", "b", "c", "d"),), again_share=0.05),
)


class Rig:
    """Topics of its own. `start` lets trainers log until `finish`."""

    def __init__(self, bootstrap: str, directory: Path) -> None:
        self._bootstrap = bootstrap
        self._directory = directory
        self.prefix = f"rig{uuid.uuid4().hex[:12]}"
        self.topics = source_topics(self.prefix)
        self._environment = {
            "RUNSTREAM_KAFKA": bootstrap,
            "RUNSTREAM_KAFKA_PARTITIONS": "2",
            "RUNSTREAM_TOPIC_PREFIX": self.prefix,
            "RUNSTREAM_CAPTURE": "0",
            "RUNSTREAM_CONSOLE": "0",
            "RUNSTREAM_SYSTEM": "0",
            "RUNSTREAM_QUIET": "1",
            "RUNSTREAM_FINISH_TIMEOUT_S": "1",
        }
        self._host = Host(directory / "host", self._environment, supervised=True)
        self._jobs = [
            Job(f"job{number}", self._host, kind, PROJECT, directory, random.Random(number))
            for number, kind in enumerate(KINDS)
        ]
        self._nursery = Nursery()
        self._workers: list[Child] = []

    def start(self) -> None:
        self._host.look_after()
        for job in self._jobs:
            job.tick()

    def finish(self) -> None:
        """The runs end, and everything is in Kafka."""
        for job in self._jobs:
            job.quits = True
            job.end_run()
        self.until("the trainers have finished", self._have_finished)
        self.until("everything is sent", lambda: not self._host.spools)

    def _have_finished(self) -> bool:
        for job in self._jobs:
            job.tick()
        return not any(job.living for job in self._jobs)

    @property
    def stories(self) -> list[Story]:
        return [story for job in self._jobs for story in job.stories()]

    @property
    def rows(self) -> int:
        """Calls of log() so far."""
        return sum(len(writer.calls) for story in self.stories for writer in story.writers)

    def worker(self, database: str, group: str, **settings: Any) -> Child:
        """A worker that takes over from the one before it in this group at once: a static member."""
        log = self._directory / f"{group}-{len(self._workers):02d}.log"
        environment = {**self._environment, "RUNSTREAM_CLICKHOUSE": database}
        small = {"group": group, "instance": group, "session_timeout_s": 6, "batch_age_s": 0.05, "batch_rows": 200}
        child = self._nursery.worker(log, environment, **{**small, **settings})
        self._workers.append(child)
        return child

    def group(self, name: str) -> Group:
        return Group(self._bootstrap, name, self.topics)

    def drain(self, database: str, group: str, **settings: Any) -> None:
        """A worker without faults until nothing is left to read, then SIGTERM to it."""
        worker = self.worker(database, group, **settings)
        look = self.group(group)
        self.until("lag is 0", lambda: look.lag() == 0, worker)
        worker.end()
        assert worker.code == 0, worker.tail()

    def look(self, database: str, group: str) -> Findings:
        """What the database has of it all. A worker that ended may have left corrections to its successor."""
        with closing(connect(database)) as client:
            refresh(client)
            found = Oracle(client, PROJECT).look(self.stories)
        found.broken += look_at_topics(self.group(group), [f"{topic}.dlq" for topic in self.topics])
        return found

    def until(self, what: str, holds: Callable[[], bool], worker: Child | None = None) -> None:
        deadline = time.monotonic() + WAIT_S
        while not holds():
            tail = worker.tail() if worker is not None else ""
            assert worker is None or worker.alive, f"the worker ended with {worker.code} before {what}\n{tail}"
            assert time.monotonic() < deadline, f"not within {WAIT_S:.0f} s: {what}\n{tail}"
            time.sleep(0.05)

    def close(self) -> None:
        for job in self._jobs:
            for trainer in job.living.values():
                trainer.child.kill()
        for child in self._workers:
            child.kill()
        self._nursery.close()
        self._host.close()
        admin = AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 1})
        made = [name for name in admin.list_topics(timeout=20).topics if name.startswith(f"{self.prefix}.")]
        for future in admin.delete_topics(made, request_timeout=20).values() if made else ():
            future.exception()


@contextmanager
def rigged(bootstrap: str, directory: Path) -> Iterator[Rig]:
    with closing(Rig(bootstrap, directory)) as rig:
        yield rig
