"""What goes over the wire: one Kafka message, or its stand-in in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """Where a message lies in Kafka."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Message:
    """One event on its way to a topic.

    `topic` is the full name with the prefix; `key` is the run id as 36 ASCII bytes, so that one run stays in order in
    one partition; `value` is an Avro single object (see `runstream.events`).
    """

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size(self) -> int:
        """Bytes that count against a transport's and a broker's limits, without Kafka's own framing."""
        return len(self.key) + len(self.value) + sum(len(name) + len(value) for name, value in self.headers)
