"""What of each writer is durable and what went through: the knowledge that the gate and the insert share.

A writer that is not known is read from the table `coverage` first. Only the writers met last are kept; one that was
forgotten is read again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from runstream_ingest import stretches
from runstream_ingest.decoded import Event, Message
from runstream_ingest.disorder import StepOrder
from runstream_ingest.frames import Frame, Origin
from runstream_ingest.native import Block
from runstream_ingest.stretches import Stretches
from runstream_ingest.tables import block_of_rows

MAX_NUMBERS = 20_000
"""Starts and ends kept for a stream of one writer; beyond it the oldest are forgotten and would pass once more."""
METRICS, CONTROL = STREAMS = ("metrics", "control")


class Writer(NamedTuple):
    project: bytes
    run: int
    writer: int


Held = Mapping[tuple[Writer, str], Sequence[int]]
"""Stretches by writer and stream; a pair without any is left out."""


class CoverageReader(Protocol):
    """The tables that remember writers."""

    async def stretches(self, writers: Collection[Writer]) -> Held:
        """The durable stretches of `writers`."""

    async def steps(self, writers: Collection[Writer]) -> Mapping[Writer, Mapping[bytes, int]]:
        """The highest durable step of each metric of `writers`."""


@dataclass(slots=True)
class Known:
    """One writer: `passed` is durable or on its way, `durable` is in the tables; both by stream."""

    passed: dict[str, Stretches] = field(default_factory=lambda: {stream: [] for stream in STREAMS})
    durable: dict[str, Stretches] = field(default_factory=lambda: {stream: [] for stream in STREAMS})
    order: StepOrder = field(default_factory=StepOrder)


class Span(NamedTuple):
    """The sequence numbers `start` to `end` - 1 of a writer's stream, which a message holds."""

    writer: Writer
    origin: Origin
    stream: str
    start: int
    end: int


def span(message: Message) -> Span | None:
    """What `message` holds of its writer's sequence; None: it is outside of any."""
    if isinstance(message, Frame):
        origin, first = message.origin, message.first_seq
        return Span(Writer(*origin[:3]), origin, METRICS, first, first + message.rows)
    if isinstance(message, Event) and message.seq >= 0 and message.origin is not None:
        return Span(Writer(*message.origin[:3]), message.origin, CONTROL, message.seq, message.seq + 1)
    return None


class Coverage:
    """Knows the last `max_writers` writers, about 1 KB each."""

    def __init__(self, reader: CoverageReader, *, max_writers: int) -> None:
        self._reader = reader
        self._max_writers = max_writers
        self._known: OrderedDict[Writer, Known] = OrderedDict()

    async def load(self, writers: Iterable[Writer]) -> None:
        """Afterwards all of `writers` are known."""
        unknown = {writer for writer in writers if writer not in self._known}
        if not unknown:
            return
        held = await self._reader.stretches(unknown)
        again = {writer for writer in unknown if held.get((writer, METRICS))}
        steps = await self._reader.steps(again) if again else {}
        for writer in unknown:
            known = Known(order=StepOrder(steps.get(writer)))
            for stream in STREAMS:
                numbers = list(held.get((writer, stream), ()))
                known.passed[stream], known.durable[stream] = numbers, numbers.copy()
            self._known[writer] = known

    def of(self, writer: Writer) -> Known:
        """Raises KeyError for a writer that was not loaded."""
        self._known.move_to_end(writer)
        return self._known[writer]

    def shrink(self) -> None:
        """Forgets the writers met longest ago, down to the limit."""
        while len(self._known) > self._max_writers:
            self._known.popitem(last=False)

    def refused(self, message: Message) -> None:
        """`message` became no rows: it may come again, and until then it is missing."""
        found = span(message)
        known = self._known.get(found.writer) if found else None
        if found and known:
            stretches.remove(known.passed[found.stream], found.start, found.end)

    def durable(self, messages: Iterable[Message]) -> Block:
        """Rows of `coverage`, once all rows of `messages` are durable: each the stretch that they extend."""
        met: dict[tuple[Writer, str], list[Span]] = {}
        for message in messages:
            found = span(message)
            if found and found.start < found.end:
                met.setdefault((found.writer, found.stream), []).append(found)
        rows = {}
        for (writer, stream), spans in met.items():
            key = _key(writer)
            known = self._known.get(writer)
            # A writer that was forgotten since: its own numbers are true, and the table joins them with the others.
            held = known.durable[stream] if known else []
            for one in spans:
                stretches.add(held, one.start, one.end)
            attempt, rank = max(s.origin.attempt for s in spans), max(s.origin.rank for s in spans)
            for one in spans:
                start, end = stretches.around(held, one.start)
                rows[writer, stream, start] = (*key, stream, start, end, attempt, rank)
            del held[: max(0, len(held) - MAX_NUMBERS)]
        return block_of_rows("coverage", list(rows.values())) if rows else Block(0, ())


def _key(writer: Writer) -> tuple[str, int, int]:
    return writer.project.decode(), writer.run, writer.writer
