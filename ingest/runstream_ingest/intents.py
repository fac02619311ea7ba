"""What batches are about to insert, as the metadata of a Kafka commit.

`{"v":1,"b":[[order,"<name of the batch>",{"topic":[[partition,start,end],…]}],…]}`: the batches in flight that have
messages of this partition, and those before them that share a partition with one of these, oldest first, each with all
its ranges. Brokers take 4,096 bytes
(`offset.metadata.max.bytes`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runstream_ingest.records import Range, Ranges, Source

MAX_BYTES = 4_000
IN_FLIGHT = 2
"""Batches announced and not yet settled, at most: one settles while the next is inserted."""
_FRAME_BYTES = 130
"""For all but the ranges: order, name and brackets; the name of a batch of one partition repeats its topic."""
_TOPIC_BYTES = 6
_RANGE_BYTES = 10 + 19 + 19 + 5


@dataclass(frozen=True, slots=True)
class Intent:
    name: str
    ranges: dict[Source, tuple[int, int]]
    """Offsets from the first to the last + 1."""
    order: int = 0
    """Of two batches that one worker announced, the one with the lower order is the earlier."""

    def packed(self) -> list[object]:
        """The form in the metadata; a topic stands once, however many of its partitions there are."""
        topics: dict[str, list[list[int]]] = {}
        for (topic, partition), ends in sorted(self.ranges.items()):
            topics.setdefault(topic, []).append([partition, *ends])
        return [self.order, self.name, topics]


def intent_of(name: str, ranges: Ranges, order: int = 0) -> Intent:
    return Intent(name, {source: (one.start, one.end) for source, one in ranges.items()}, order)


def fits(sources: Iterable[Source]) -> bool:
    """Whether the intents of IN_FLIGHT batches of `sources` always fit the metadata of a commit."""
    topics = [source.topic for source in sources]
    names = sum(len(topic) + _TOPIC_BYTES for topic in set(topics))
    size = _FRAME_BYTES + max(map(len, topics), default=0) + names + len(topics) * _RANGE_BYTES
    return size * IN_FLIGHT <= MAX_BYTES


def encode(found: Sequence[Intent]) -> str:
    """The metadata of a commit that announces `found`; empty when there is nothing to announce."""
    if not found:
        return ""
    return json.dumps({"v": 1, "b": [intent.packed() for intent in found]}, separators=(",", ":"))


def decode(metadata: str | None) -> list[Intent]:
    """The intents in `metadata`, oldest first; none when another kind of program wrote it."""
    if not metadata:
        return []
    try:
        data = json.loads(metadata)
        if data["v"] != 1:
            return []
        return [
            Intent(
                str(name),
                {Source(t, int(p)): (int(start), int(end)) for t, some in topics.items() for p, start, end in some},
                int(order),
            )
            for order, name, topics in data["b"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []


def as_ranges(intent: Intent) -> dict[Source, Range]:
    """The intent's ranges, before their messages were read."""
    return {source: Range(start, end, 0) for source, (start, end) in intent.ranges.items()}
