"""The row of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from runstream_ingest.batch import Batch
from runstream_ingest.commit import CommitOffsets, Offsets
from runstream_ingest.coverage import Coverage
from runstream_ingest.dead_letters import DeadLetterLimit, DeadLetters
from runstream_ingest.decode import Decode
from runstream_ingest.gate import Gate
from runstream_ingest.insert import Came, Insert, Inserter
from runstream_ingest.ledger import Ledger
from runstream_ingest.metrics import Metrics
from runstream_ingest.records import Record
from runstream_ingest.step import Step


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How the steps cut and what they refuse; `IngestSettings` explains each."""

    batch_rows: int = 1_000_000
    batch_bytes: int = 64 << 20
    batch_age_s: float = 0.25
    max_message_bytes: int = 8 << 20
    dead_letter_max_consecutive: int = 1_000
    dead_letter_max_ratio: float = 0.5
    gate_writers: int = 50_000
    unsafe: frozenset[str] = frozenset()

    def whole(self) -> PipelineSettings:
        """The same for one batch that ends when its messages do."""
        return replace(self, batch_rows=1 << 62, batch_bytes=1 << 62, batch_age_s=math.inf)


def build(
    settings: PipelineSettings,
    insert: Inserter,
    ledger: Ledger,
    offsets: Offsets,
    dead_letters: DeadLetters,
    metrics: Metrics | None = None,
    came: Came = lambda runs, flagged: None,
) -> Step[list[Record]]:
    """A chunk of records (of one partition, in order, not empty) meets the steps from the outside in.

    `came` is told of the runs whose rows are durable.
    """
    metrics = metrics or Metrics()
    coverage = Coverage(ledger, max_writers=settings.gate_writers)
    committed = CommitOffsets(offsets)
    inserted = Insert(
        inserter=insert,
        ledger=ledger,
        offsets=offsets,
        coverage=coverage,
        came=came,
        with_tokens="tokens" not in settings.unsafe,
        dead_letters=dead_letters,
        metrics=metrics,
        then=committed,
    )
    batched = Batch(
        max_rows=settings.batch_rows,
        max_bytes=settings.batch_bytes,
        max_age_s=settings.batch_age_s,
        metrics=metrics,
        then=inserted,
    )
    gated = Gate(coverage=coverage, drops="gate" not in settings.unsafe, metrics=metrics, then=batched)
    return Decode(
        max_bytes=settings.max_message_bytes,
        dead_letters=dead_letters,
        limit=DeadLetterLimit(
            max_consecutive=settings.dead_letter_max_consecutive, max_ratio=settings.dead_letter_max_ratio
        ),
        metrics=metrics,
        then=gated,
    )
