"""The messages of the topics against what the database says it has of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from runstream_deploy.audit import points
from runstream_deploy.audit.report import Problem, Report, Scope
from runstream_deploy.audit.under_way import Stream, UnderWay, covered
from runstream_deploy.kafka_reading import Place, Span, records
from runstream_ingest import stretches
from runstream_ingest.coverage import span
from runstream_ingest.decode import read
from runstream_ingest.decoded import Event
from runstream_ingest.errors import MessageUnusable
from runstream_ingest.frames import Frame, FrameReader
from runstream_ingest.records import Record, Source
from runstream_storage.execution import statement

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from clickhouse_connect.driver.client import Client

CHUNK_POINTS = 1_000_000
CHUNK_BYTES = 32 << 20
CHUNK_MESSAGES = 20_000
MAX_MESSAGE_BYTES = 1 << 30
Message = Frame | Event
Progress = Callable[[int, int], None]
"""Called with messages read and messages in all."""


class Chunk:
    """Messages of one partition that are looked up together: so much is in memory at once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.messages: list[Message] = []
        self.unread: list[tuple[Record, str]] = []
        self.points = self.bytes = 0

    def add(self, record: Record, message: Message | str) -> None:
        self.bytes += len(record.value or b"")
        if isinstance(message, str):
            self.unread.append((record, message))
            return
        self.messages.append(message)
        self.points += message.points if isinstance(message, Frame) else 1

    @property
    def is_full(self) -> bool:
        count = len(self.messages) + len(self.unread)
        return self.points >= CHUNK_POINTS or self.bytes >= CHUNK_BYTES or count >= CHUNK_MESSAGES


class TopicAudit:
    """Reads topics from begin to end, in bounded memory, and notes in `report` and `under_way` what it finds."""

    def __init__(self, client: Client, scope: Scope, report: Report, under_way: UnderWay, *, deep: bool) -> None:
        self._client = client
        self._scope = scope
        self._report = report
        self._under_way = under_way
        self._deep = deep
        self._reader = FrameReader()

    async def run(
        self,
        consumer: AIOKafkaConsumer,
        found: Mapping[Source, Place],
        committed: Mapping[Source, int],
        progress: Progress | None = None,
    ) -> None:
        """`found`: where partitions begin and end; `committed`: up to where they are durable."""
        spans = {source: Span(place.begin, place.end) for source, place in found.items()}
        total, done = sum(place.end - place.begin for place in found.values()), 0
        chunks: dict[Source, Chunk] = {}
        async for part in records(consumer, spans):
            source = Source(part[0].topic, part[0].partition)
            chunk = chunks.setdefault(source, Chunk(source))
            for record in part:
                self._take(chunk, record, durable=record.offset < committed.get(source, found[source].begin))
            if chunk.is_full:
                self._look_up(chunks.pop(source))
            done += len(part)
            if progress is not None:
                progress(done, total)
        for chunk in chunks.values():
            self._look_up(chunk)

    def _take(self, chunk: Chunk, record: Record, *, durable: bool) -> None:
        # Most messages of other runs are told by their key, without being decoded.
        if self._scope.run_id and record.key not in (None, self._scope.run_id.encode()):
            return
        message = self._read(record)
        if not isinstance(message, str) and not self._in_scope(message):
            return
        if durable:
            chunk.add(record, message)
            return
        self._report.on_the_way_messages += 1
        if not isinstance(message, str) and (found := span(message)):
            self._under_way.add(stream_of(message), found.start, found.end)

    def _read(self, record: Record) -> Message | str:
        """The message, or why it cannot be read."""
        try:
            return read(record, self._reader, MAX_MESSAGE_BYTES)
        except MessageUnusable as error:
            return f"{error.reason}: {error.detail}"

    def _in_scope(self, message: Message) -> bool:
        origin = message.origin
        return origin is None or self._scope.holds(origin.project.decode(), str(UUID(int=origin.run)))

    def _look_up(self, chunk: Chunk) -> None:
        letters = self._letters(chunk)
        self._unread(chunk, letters)
        # A letter whose bytes are good was refused by the database, or by an older release.
        messages = [message for message in chunk.messages if message.record.offset not in letters]
        for message in chunk.messages:
            if message.record.offset in letters:
                self._letter(message.record, letters[message.record.offset], "its rows were refused")
        self._report.messages += len(messages)
        self._covered(messages)
        frames = [message for message in messages if isinstance(message, Frame) and message.points]
        if frames:
            self._points(chunk.source, frames)

    def _letters(self, chunk: Chunk) -> dict[int, str]:
        """The status of the dead letters among the chunk's messages, by offset."""
        offsets = [message.record.offset for message in chunk.messages]
        offsets += [record.offset for record, _ in chunk.unread]
        if not offsets:
            return {}
        place = {"topic": chunk.source.topic, "partition": chunk.source.partition}
        parameters = {**place, "first": min(offsets), "last": max(offsets)}
        found: Any = self._client.query(statement("audit_letters"), parameters=parameters).result_rows
        return dict(found)

    def _unread(self, chunk: Chunk, letters: Mapping[int, str]) -> None:
        for record, why in chunk.unread:
            if record.offset in letters:
                self._letter(record, letters[record.offset], why)
            else:
                text = f"{why}; it is not among the dead letters either"
                self._report.add(Problem("unread letter", text, source=place_of(record)))

    def _letter(self, record: Record, status: str, why: str) -> None:
        """A letter that waits is a problem; one that was sent again is looked up as the message that it became."""
        if status == "dropped":
            self._report.dropped_letters += 1
        elif not status:
            self._report.add(Problem("dead letter", f"{why}; see `runstream dlq`", source=place_of(record)))

    def _covered(self, messages: Sequence[Message]) -> None:
        spans = [(message, found) for message in messages if (found := span(message)) and found.start < found.end]
        held = covered(self._client, {stream_of(message) for message, _ in spans})
        for message, found in spans:
            stream = stream_of(message)
            for start, end in stretches.missing(list(held.get(stream, [])), found.start, found.end):
                self._under_way.add_uncovered(stream, start, end)
                problem = Problem(
                    "not in coverage",
                    f"{end - start:,} of a message that ingest committed",
                    end - start,
                    *stream,
                    start,
                    end - 1,
                    place_of(message.record),
                )
                self._report.add(problem)

    def _points(self, source: Source, frames: list[Frame]) -> None:
        self._report.points += sum(frame.points for frame in frames)
        there = {} if self._deep else points.counted(self._client, source.partition, frames)
        short = [one for one in frames if self._deep or there.get(one.record.offset, 0) < points.distinct(one)]
        by_owner: dict[points.Owner, list[Frame]] = {}
        for frame in short:
            by_owner.setdefault(points.owner_of(frame), []).append(frame)
        for owner, theirs in by_owner.items():
            found = points.compared(self._client, owner, theirs)
            self._report.superseded += found.superseded
            self._report.compared += found.compared
            for number, count in found.missing.items():
                self._wrong("missing points", theirs[number], count)
            for number, count in found.different.items():
                self._wrong("different points", theirs[number], count)

    def _wrong(self, kind: str, frame: Frame, count: int) -> None:
        last = frame.first_seq + frame.rows - 1
        of = f"{count:,} of {frame.points:,} points of a message"
        text = (
            f"{of} are not in the database" if kind == "missing points" else f"{of} have other values in the database"
        )
        where = (*stream_of(frame), frame.first_seq, last, place_of(frame.record))
        self._report.add(Problem(kind, text, count, *where))  # type: ignore[arg-type]


def stream_of(message: Message) -> Stream:
    origin = message.origin
    assert origin is not None
    name = "metrics" if isinstance(message, Frame) else "control"
    return Stream(origin.project.decode(), str(UUID(int=origin.run)), origin.writer, name)


def place_of(record: Record) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"
