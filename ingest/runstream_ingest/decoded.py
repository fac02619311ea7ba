"""What messages are once they are read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runstream_ingest.control import TableRow
from runstream_ingest.dead_letters import DeadLetter
from runstream_ingest.frames import Frame
from runstream_ingest.records import Record, Source

_IDENTITY = struct.Struct("<qqqqqq")
_MASK = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Event:
    """A control event as the rows that it writes, in the order of their tables' columns."""

    record: Record
    kind: str
    rows: tuple[TableRow, ...]


Message = Frame | Event | DeadLetter


@dataclass(frozen=True, slots=True)
class Decoded:
    """Messages in order. A dead letter among them is durable already and only wants its line in the index."""

    messages: Sequence[Message]

    @property
    def rows(self) -> int:
        """Rows for the largest table, about."""
        return sum(message.points if isinstance(message, Frame) else 1 for message in self.messages)

    @property
    def bytes(self) -> int:
        return sum(len(message.record.value or b"") for message in self.messages)


def joined(parts: Iterable[Decoded]) -> Decoded:
    return Decoded([message for part in parts for message in part.messages])


def token(messages: Sequence[Message]) -> str:
    """Names these messages, so that the same block again is known as the same.

    `topic:partition:first-last:checksum`, or for several partitions `partitions:checksum`. The checksum covers each
    message's place and identity: a topic that was made anew has the old offsets, but ClickHouse would drop its rows
    without a word if their token were the old one.
    """
    checksum = 0
    places: dict[Source, tuple[int, int]] = {}
    for message in messages:
        record = message.record
        who, seq = (message.origin.writer, message.first_seq) if isinstance(message, Frame) else (0, 0)
        size = len(record.value or b"")
        identity = _IDENTITY.pack(record.partition, record.offset, record.timestamp_ms, size, who & _MASK, seq)
        checksum = zlib.crc32(record.topic.encode(), zlib.crc32(identity, checksum))
        source = Source(record.topic, record.partition)
        first, last = places.get(source, (record.offset, record.offset))
        places[source] = min(first, record.offset), max(last, record.offset)
    if len(places) == 1:
        ((source, (first, last)),) = places.items()
        return f"{source.topic}:{source.partition}:{first}-{last}:{checksum:08x}"
    text = ",".join(f"{s.topic}:{s.partition}:{first}-{last}" for s, (first, last) in sorted(places.items()))
    return f"{len(places)} partitions:{zlib.crc32(text.encode()):08x}{checksum:08x}"
