"""The first step: messages become frames and rows, or dead letters."""

from __future__ import annotations

from uuid import UUID

from runstream import events
from runstream.errors import EventError, EventTruncated, NotAnEvent, UnknownSchema
from runstream_ingest import faults
from runstream_ingest.control import rows_of
from runstream_ingest.dead_letters import MAX_ERROR_CHARACTERS, DeadLetter, DeadLetterLimit, DeadLetters
from runstream_ingest.decoded import Decoded, Event, Message, identity
from runstream_ingest.errors import MessageUnusable
from runstream_ingest.frames import Frame, FrameReader, Origin
from runstream_ingest.metrics import Metrics
from runstream_ingest.records import Carried, Record, Source
from runstream_ingest.step import Step

_REASONS: dict[type[EventError], str] = {
    NotAnEvent: "not_an_event",
    UnknownSchema: "unknown_schema",
    EventTruncated: "truncated",
}


class Decode:
    """Reads each message on its own: one that cannot be read is moved to the dead letters, the others go on."""

    def __init__(
        self,
        *,
        max_bytes: int,
        dead_letters: DeadLetters,
        limit: DeadLetterLimit,
        metrics: Metrics,
        then: Step[Decoded],
    ) -> None:
        self._max_bytes = max_bytes
        self._dead_letters = dead_letters
        self._limit = limit
        self._metrics = metrics
        self._then = then
        self._reader = FrameReader()

    async def put(self, item: Carried[list[Record]], /) -> None:
        """Raises TooManyDeadLetters, and then has moved and handed on nothing of `item`."""
        messages = [self._decoded(record) for record in item.value]
        letters = [message for message in messages if isinstance(message, DeadLetter)]
        topic = item.value[0].topic
        self._limit.count(topic, [m.reason if isinstance(m, DeadLetter) else None for m in messages])
        if letters:
            await self._dead_letters.put(letters)
            self._metrics.dead(letters)
        self._metrics.decoded(topic, item.value, messages)
        first = item.value[0]
        identities = ((Source(first.topic, first.partition), b"".join(map(identity, messages))),)
        await faults.reach("decoded")
        await self._then.put(item.with_value(Decoded(messages, identities)))

    async def tick(self, now: float, /) -> None:
        await self._then.tick(now)

    async def close(self) -> None:
        await self._then.close()

    async def abandon(self) -> None:
        await self._then.abandon()

    def _decoded(self, record: Record) -> Message:
        try:
            return read(record, self._reader, self._max_bytes)
        except MessageUnusable as error:
            return DeadLetter(record, error.reason, error.detail[:MAX_ERROR_CHARACTERS])
        except Exception as error:  # noqa: BLE001 - a fault of ours must not block the partition; the bytes are kept
            return DeadLetter(record, "internal", f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS])


def read(record: Record, reader: FrameReader, max_bytes: int) -> Frame | Event:
    """What `record` holds. Raises MessageUnusable."""
    data = record.value
    if not data:
        raise MessageUnusable("empty", "the message has no value")
    if len(data) > max_bytes:
        raise MessageUnusable(
            "oversized", f"{len(data)} bytes; the limit is {max_bytes} (RUNSTREAM_INGEST_MAX_MESSAGE_BYTES)"
        )
    if data.startswith(reader.header):
        return reader.read(data, record)
    try:
        kind, event = events.decode(data)
    except EventError as error:
        raise MessageUnusable(_REASONS.get(type(error), "unreadable"), str(error)) from error
    if kind == "MetricFrame":
        return reader.from_event(event, record)
    rows = rows_of(kind, event, record.timestamp_ms)
    project, run = event["project"].encode(), UUID(event["run_id"]).int
    origin = Origin(project, run, event["writer_id"], event["attempt"], event["rank"])
    moves = kind == "RunRewound" or bool(event.get("forked_from"))
    return Event(record, kind, rows, origin, event["seq"], moves)
