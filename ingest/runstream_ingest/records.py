"""What moves through the steps: records of a topic, and values that carry their offsets with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Source(NamedTuple):
    """Where a message came from."""

    topic: str
    partition: int


class Range(NamedTuple):
    """Offsets `start` up to, not including, `end` of one source; `newest_ms` is the broker's time of the newest."""

    start: int
    end: int
    newest_ms: int


class Record(NamedTuple):
    """One message as it was in the topic."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


Ranges = Mapping[Source, Range]


@dataclass(frozen=True, slots=True)
class Carried(Generic[T]):
    """A value and the offsets it stands for: once the value is durable, `ranges` may be committed."""

    value: T
    ranges: Ranges

    def with_value(self, value: U) -> Carried[U]:
        return Carried(value, self.ranges)


def carried(records: list[Record]) -> Carried[list[Record]]:
    """Consecutive records of one partition, oldest first; the list must not be empty."""
    first, last = records[0], records[-1]
    newest = max(record.timestamp_ms for record in records)
    return Carried(records, {Source(first.topic, first.partition): Range(first.offset, last.offset + 1, newest)})


def joined(ranges: Iterable[Ranges]) -> dict[Source, Range]:
    """The union of ranges that follow each other within each source."""
    union: dict[Source, Range] = {}
    for one in ranges:
        for source, (start, end, newest) in one.items():
            seen = union.get(source)
            if seen is not None:
                start, end, newest = min(seen.start, start), max(seen.end, end), max(seen.newest_ms, newest)
            union[source] = Range(start, end, newest)
    return union
