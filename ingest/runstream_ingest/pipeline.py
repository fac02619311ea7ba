"""The row of steps."""

from __future__ import annotations

from dataclasses import dataclass

from runstream_ingest.batch import Batch
from runstream_ingest.commit import Commit, CommitOffsets
from runstream_ingest.dead_letters import DeadLetterLimit, DeadLetters
from runstream_ingest.decode import Decode
from runstream_ingest.gate import Gate
from runstream_ingest.insert import Insert, Inserter
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


def build(
    settings: PipelineSettings,
    insert: Inserter,
    commit: Commit,
    dead_letters: DeadLetters,
    metrics: Metrics | None = None,
) -> Step[list[Record]]:
    """A chunk of records (of one partition, in order, not empty) meets the steps from the outside in."""
    metrics = metrics or Metrics()
    committed = CommitOffsets(commit)
    inserted = Insert(inserter=insert, dead_letters=dead_letters, metrics=metrics, then=committed)
    batched = Batch(
        max_rows=settings.batch_rows,
        max_bytes=settings.batch_bytes,
        max_age_s=settings.batch_age_s,
        metrics=metrics,
        then=inserted,
    )
    gated = Gate(metrics=metrics, then=batched)
    return Decode(
        max_bytes=settings.max_message_bytes,
        dead_letters=dead_letters,
        limit=DeadLetterLimit(
            max_consecutive=settings.dead_letter_max_consecutive, max_ratio=settings.dead_letter_max_ratio
        ),
        metrics=metrics,
        then=gated,
    )
