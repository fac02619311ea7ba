"""Messages that cannot be used: kept whole, outside the way of the others, with the reason beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from runstream_ingest.errors import TooManyDeadLetters
from runstream_ingest.records import Record

REASONS = (
    "empty",
    "oversized",
    "not_an_event",
    "unknown_schema",
    "truncated",
    "unreadable",
    "invalid",
    "refused",
    "internal",
)
MAX_ERROR_CHARACTERS = 1_000
MIN_SAMPLE = 1_000
"""Messages of a topic that must have been seen before a share of them says something."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    record: Record
    reason: str
    """One of REASONS."""
    error: str

    @property
    def row(self) -> tuple[Any, ...]:
        """Its line in the table `dead_letters`."""
        record = self.record
        size, at_us = len(record.value or b""), record.timestamp_ms * 1000
        return record.topic, record.partition, record.offset, self.reason, self.error, size, at_us

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """What the message in the dead-letter topic carries besides the original's own headers."""
        record = self.record
        facts = {
            "source_topic": record.topic,
            "source_partition": record.partition,
            "source_offset": record.offset,
            "source_timestamp_ms": record.timestamp_ms,
            "reason": self.reason,
            "error": self.error,
        }
        return [*record.headers, *((f"runstream_{name}", str(value).encode()) for name, value in facts.items())]


class DeadLetters(Protocol):
    """Where dead letters are kept."""

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Returns when all are durable; waits for ever while that is impossible."""


class DeadLetterLimit:
    """Stops consumption when a topic yields little but dead letters, as after the deployment of a wrong release.

    Raises TooManyDeadLetters for more than `max_consecutive` in a row, or a share above `max_ratio` of the last
    messages (an average that forgets; from 1,000 messages on).
    """

    def __init__(self, *, max_consecutive: int, max_ratio: float, sample: int = 10_000) -> None:
        self._max_consecutive = max_consecutive
        self._max_ratio = max_ratio
        self._sample = sample
        self._in_a_row: dict[str, int] = {}
        self._seen: dict[str, tuple[float, float]] = {}

    def count(self, topic: str, outcomes: Sequence[str | None]) -> None:
        """`outcomes` of messages in order: the reason, or None for a good one. Raises before any of them is moved."""
        bad, of = self._seen.get(topic, (0.0, 0.0))
        in_a_row = self._in_a_row.get(topic, 0)
        reason = ""
        for outcome in outcomes:
            in_a_row = in_a_row + 1 if outcome else 0
            bad, of = bad + (outcome is not None), of + 1
            reason = outcome or reason
            if in_a_row > self._max_consecutive:
                raise TooManyDeadLetters(topic=topic, bad=in_a_row, of=in_a_row, reason=reason)
        if of >= MIN_SAMPLE and bad > self._max_ratio * of:
            raise TooManyDeadLetters(topic=topic, bad=round(bad), of=round(of), reason=reason)
        if of > self._sample:
            bad, of = bad / 2, of / 2
        self._seen[topic], self._in_a_row[topic] = (bad, of), in_a_row


class DirectoryDeadLetters:
    """Keeps each letter as two files, `<topic>-<partition>-<offset>.bin` and `.json`; for the embedded process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, record: Record) -> Path:
        return self.directory / f"{record.topic}-{record.partition}-{record.offset}.bin"

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for letter in letters:
            path = self.path(letter.record)
            facts = {name: value.decode(errors="replace") for name, value in letter.headers}
            _write(path, letter.record.value or b"")
            _write(path.with_suffix(".json"), json.dumps(facts).encode())


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
