"""Whether everything arrived: rows that are missing, how far ingest has come, messages that could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from runstream_storage.execution import moment, rows

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True, slots=True)
class Gap:
    """Sequence numbers `first` to `last`, both included, of a writer and stream that are not in the database.

    `at_end`: they were announced, and nothing behind them has arrived. While the writer lives (`ended` is false) such
    rows are most likely on their way, and so they are right after its end: until what was ingested is a minute newer,
    or ten minutes have passed (`settled`). `reason` is why, where the library gave the rows up and said so.
    """

    run_id: str
    writer: int
    attempt: int
    rank: int
    stream: Literal["metrics", "control"]
    first: int
    last: int
    at_end: bool
    ended: bool
    settled: bool = True
    reason: str = ""

    @property
    def rows(self) -> int:
        return self.last - self.first + 1

    @property
    def on_its_way(self) -> bool:
        return self.at_end and not (self.ended and self.settled)


@dataclass(frozen=True, slots=True)
class TopicProgress:
    """How far ingest has come in a topic: `messages` are durable; `newest_at` is when the brokers took the last one."""

    topic: str
    partitions: int
    messages: int
    newest_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Messages that could not be read for one reason: those nobody has dealt with, and those replayed or dropped."""

    reason: str
    waiting: int
    handled: int
    newest_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that could not be read; `bytes` is its size."""

    topic: str
    partition: int
    offset: int
    reason: str
    error: str
    bytes: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What the database knows of its own filling. `topics` is empty where ingest read no Kafka or nothing yet;
    `newest_at` is the newest sign of life of any run, None without runs; `latest` are the newest letters that wait.
    """

    topics: tuple[TopicProgress, ...]
    newest_at: datetime | None
    dead: tuple[DeadLetters, ...]
    latest: tuple[DeadLetter, ...]


def gaps(client: Client, project: str, run_ids: Sequence[str] = (), *, limit: int = 10_000) -> list[Gap]:
    """What is missing of `run_ids`, or of all runs of the project, the newest run first; empty: nothing is."""
    found = rows(client, "gaps", project=project, run_ids=list(run_ids), limit=limit)
    return [
        Gap(run_id, writer, attempt, rank, stream, first, last, bool(at_end), bool(ended), bool(settled), reason)
        for run_id, writer, attempt, rank, stream, first, last, at_end, ended, settled, reason in found
    ]


def pipeline(client: Client, *, letters: int = 20) -> Pipeline:
    """How the pipeline is doing, with the newest `letters` of the messages that could not be read."""
    (newest_us,) = rows(client, "newest_sign")[0]
    return Pipeline(
        topics=tuple(
            TopicProgress(topic, partitions, messages, datetime.fromtimestamp(newest_ms / 1000, UTC))
            for topic, partitions, messages, newest_ms in rows(client, "ingest_progress")
        ),
        newest_at=moment(newest_us) if newest_us else None,
        dead=tuple(
            DeadLetters(reason, waiting, handled, moment(at))
            for reason, waiting, handled, at in rows(client, "dead_letter_counts")
        ),
        latest=tuple(
            DeadLetter(topic, partition, offset, reason, error, size, moment(at))
            for topic, partition, offset, reason, error, size, at in rows(client, "dead_letters", limit=letters)
        ),
    )
