"""What Prometheus sees. `docs/ingest.md` explains each; a test holds the two together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from runstream_ingest.dead_letters import DeadLetter
    from runstream_ingest.decoded import Message
    from runstream_ingest.records import Record

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ROWS = (1, 10, 100, 1_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_000_000)


class Metrics:
    """All metrics of one ingest, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = self._counter("messages", "Messages read, by topic.", "topic")
        self.bytes = self._counter("bytes", "Bytes of the messages read, by topic.", "topic")
        self.points = self._counter("points", "Points read, by topic.", "topic")
        self.rows = self._counter("rows", "Rows inserted, by table.", "table")
        self.inserts = Histogram(
            "runstream_ingest_insert_seconds",
            "Duration of one insert, by table and outcome (ok, unavailable, misconfigured, refused).",
            ["table", "outcome"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_rows = Histogram(
            "runstream_ingest_batch_rows", "Rows of a batch.", buckets=_ROWS, registry=self.registry
        )
        self.batch_seconds = Histogram(
            "runstream_ingest_batch_seconds",
            "From the broker's time of a batch's newest message to its commit.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.retries = self._counter(
            "retries", "Inserts that are tried again, by table and outcome.", "table", "outcome"
        )
        self.dead_letters = self._counter("dead_letters", "Messages that cannot be used, by reason.", "topic", "reason")
        self.dead_letter_retries = self._counter("dead_letter_retries", "Writes of dead letters that are tried again.")
        self.gate_dropped_rows = self._counter("gate_dropped_rows", "Rows that came again and were dropped.", "topic")
        self.gaps = self._counter("gaps", "Holes in the sequence numbers of a writer.", "topic")
        self.gap_rows = self._counter("gap_rows", "Rows missing in these holes.", "topic")
        self.late_rows = self._counter("late_rows", "Rows that came late and closed a hole.", "topic")
        self.commit_failures = self._counter("commit_failures", "Commits of offsets that the group refused.")
        self.token_reuses = self._counter("token_reuses", "Inserts whose token was remembered, but not their rows.")
        self.recoveries = self._counter("recoveries", "Interrupted batches that were inserted again as they were.")
        self.lost_marks = self._counter("lost_marks", "Times that the database had lost rows.")
        self.expired_messages = self._counter("expired_messages", "Messages that Kafka deleted unread.", "topic")
        self.corrections = self._counter("corrections", "Computations of exact summaries, by outcome.", "outcome")
        self.stalls = self._counter("stalls", "Times that all stacks were logged.")
        self.rebalances = self._counter("rebalances", "Assignments of partitions.")
        self.lag_messages = self._gauge("lag_messages", "Messages not yet durable.", "topic", "partition")
        self.lag_seconds = self._gauge("lag_seconds", "Age of the newest durable message behind.", "topic", "partition")
        self.paused = self._gauge("paused", "1 while fetching is paused by back-pressure.")
        self.stopped = self._gauge("stopped", "1 once too many dead letters stopped consumption.")

    def decoded(self, topic: str, records: Sequence[Record], messages: Sequence[Message]) -> None:
        self.messages.labels(topic=topic).inc(len(records))
        self.bytes.labels(topic=topic).inc(sum(len(record.value or b"") for record in records))
        self.points.labels(topic=topic).inc(sum(getattr(message, "points", 0) for message in messages))

    def dead(self, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            self.dead_letters.labels(topic=letter.record.topic, reason=letter.reason).inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"runstream_ingest_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"runstream_ingest_{name}", text, labels, registry=self.registry)
