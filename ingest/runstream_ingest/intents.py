"""What a batch is about to insert, as the metadata of a Kafka commit.

`{"v":1,"id":"<name of the batch>","r":[["topic",partition,start,end],…]}`: all ranges of the batch, in the metadata of
each of its partitions. Brokers take 4,096 bytes (`offset.metadata.max.bytes`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from runstream_ingest.records import Range, Ranges, Source

MAX_BYTES = 4_000
_FRAME_BYTES = 160
"""For all but the ranges: the name of a batch of one partition repeats its topic, which `size` counts apart."""
_NUMBERS_BYTES = 10 + 19 + 19 + 8


@dataclass(frozen=True, slots=True)
class Intent:
    name: str
    ranges: dict[Source, tuple[int, int]]
    """Offsets from the first to the last + 1."""

    def encode(self) -> str:
        ranges = [[*source, *ends] for source, ends in sorted(self.ranges.items())]
        return json.dumps({"v": 1, "id": self.name, "r": ranges}, separators=(",", ":"))


def intent_of(name: str, ranges: Ranges) -> Intent:
    return Intent(name, {source: (one.start, one.end) for source, one in ranges.items()})


def fits(sources: Iterable[Source]) -> bool:
    """Whether the intent of a batch of `sources` always fits the metadata of a commit."""
    sizes = [len(source.topic) for source in sources]
    return _FRAME_BYTES + max(sizes, default=0) + sum(size + _NUMBERS_BYTES for size in sizes) <= MAX_BYTES


def decode(metadata: str | None) -> Intent | None:
    """The intent in `metadata`; None when there is none, or one that another kind of program wrote."""
    if not metadata:
        return None
    try:
        data = json.loads(metadata)
        if data["v"] != 1:
            return None
        ranges = {Source(str(t), int(p)): (int(start), int(end)) for t, p, start, end in data["r"]}
        return Intent(str(data["id"]), ranges)
    except (ValueError, TypeError, KeyError):
        return None


def as_ranges(intent: Intent) -> dict[Source, Range]:
    """The intent's ranges, before their messages were read."""
    return {source: Range(start, end, 0) for source, (start, end) in intent.ranges.items()}
