"""What messages are once they are read."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from runstream_ingest.dead_letters import DeadLetter
from runstream_ingest.disorder import Redone, join
from runstream_ingest.event_rows import TableRow
from runstream_ingest.frames import Frame, Origin
from runstream_ingest.records import Ranges, Record, Source

_IDENTITY = struct.Struct("<qqqqqq")
_MASK = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Event:
    """A control event as the rows that it writes, in the order of their tables' columns."""

    record: Record
    kind: str
    rows: tuple[TableRow, ...]
    origin: Origin | None = None
    seq: int = -1
    """-1: outside the sequence of its writer."""
    moves: bool = False
    """It changes which points of the run are seen: a rewind or a fork."""


Message = Frame | Event | DeadLetter
Identities = tuple[tuple[Source, bytes], ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """Messages in order. A dead letter among them is durable already and only wants its line in the index.

    `identities` tell of each source which messages were read, also those that the gate dropped; `redone` are the steps
    that a writer logged again.
    """

    messages: Sequence[Message]
    identities: Identities = ()
    redone: Redone = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows for the largest table, about."""
        return sum(message.points if isinstance(message, Frame) else 1 for message in self.messages)

    @property
    def bytes(self) -> int:
        return sum(len(message.record.value or b"") for message in self.messages)

    def name(self, ranges: Ranges) -> str:
        """Names the messages that were read, so that the same ranges read again are known as the same.

        `topic:partition:start-end:checksum`, or for several partitions `partitions:checksum`. It is a function of what
        the topics hold, not of how it was cut on the way. The checksum covers each message's place, time and writer:
        a topic that was made anew has the old offsets, but other messages.
        """
        checksums = {source: blake2b(digest_size=8) for source in ranges}
        for source, identity in self.identities:
            checksums[source].update(identity)
        places = [f"{s.topic}:{s.partition}:{r.start}-{r.end}" for s, r in sorted(ranges.items())]
        sums = [checksums[source].hexdigest() for source in sorted(ranges)]
        if len(places) == 1:
            return f"{places[0]}:{sums[0]}"
        return f"{len(places)} partitions:{blake2b(repr((places, sums)).encode(), digest_size=16).hexdigest()}"


def joined(parts: Iterable[Decoded]) -> Decoded:
    messages: list[Message] = []
    identities: list[tuple[Source, bytes]] = []
    redone: Redone = {}
    for part in parts:
        messages += part.messages
        identities += part.identities
        join(redone, part.redone)
    return Decoded(messages, tuple(identities), redone)


def identity(message: Message) -> bytes:
    """What tells `message` from every other of its topic and partition."""
    record = message.record
    who, seq, rows = 0, 0, 0
    if isinstance(message, Frame):
        who, seq, rows = message.origin.writer, message.first_seq, message.rows
    size = len(record.value or b"")
    return _IDENTITY.pack(record.offset, record.timestamp_ms, size, who & _MASK, seq, rows)


def token(messages: Sequence[Message]) -> str:
    """Names a part of a batch, by what is left of it behind the gate."""
    checksum = blake2b(digest_size=16)
    for message in messages:
        checksum.update(f"{message.record.topic}:{message.record.partition}".encode())
        checksum.update(identity(message))
    return f"{len(messages)} messages:{checksum.hexdigest()}"
