"""Sequence numbers: what is durable already is dropped, what is missing is counted."""

from __future__ import annotations

from runstream_ingest import disorder, faults, stretches
from runstream_ingest.coverage import MAX_NUMBERS, METRICS, Coverage, Span, span
from runstream_ingest.decoded import Decoded, Message
from runstream_ingest.disorder import Redone
from runstream_ingest.frames import Frame
from runstream_ingest.metrics import Metrics
from runstream_ingest.records import Carried
from runstream_ingest.step import Step


class Gate:
    """Drops what is covered: durable by the table `coverage`, or on its way through this very row of steps.

    A frame of which a part is covered is trimmed. What is dropped lies in an earlier message, whose rows are durable
    before any later offset is committed. What is not covered always passes: late rows too, which close a gap.
    """

    def __init__(self, *, coverage: Coverage, drops: bool = True, metrics: Metrics, then: Step[Decoded]) -> None:
        self._coverage = coverage
        self._drops = drops
        self._metrics = metrics
        self._then = then

    async def put(self, item: Carried[Decoded], /) -> None:
        spans = [span(message) for message in item.value.messages]
        await self._coverage.load({one.writer for one in spans if one})
        kept: list[Message] = []
        redone: Redone = {}
        for message, one in zip(item.value.messages, spans, strict=True):
            if one is None:
                kept.append(message)
            elif one.start < one.end:
                for piece in self._passing(message, one):
                    kept.append(piece)
                    if isinstance(piece, Frame):
                        disorder.join(redone, self._coverage.of(one.writer).order.check(piece))
        self._coverage.shrink()
        await faults.reach("gated")
        await self._then.put(item.with_value(Decoded(kept, item.value.identities, redone)))

    async def tick(self, now: float, /) -> None:
        await self._then.tick(now)

    async def close(self) -> None:
        await self._then.close()

    async def abandon(self) -> None:
        await self._then.abandon()

    def _passing(self, message: Message, one: Span) -> list[Message]:
        """`message`, or what of it is not covered."""
        passed = self._coverage.of(one.writer).passed[one.stream]
        pieces = stretches.missing(passed, one.start, one.end)
        last = passed[-1] if passed else 0
        self._count(message.record.topic, one, pieces, last)
        if not self._drops:
            pieces = [(one.start, one.end)]
        stretches.add(passed, one.start, one.end)
        del passed[: max(0, len(passed) - MAX_NUMBERS)]
        if pieces == [(one.start, one.end)]:
            return [message]
        if isinstance(message, Frame) and one.stream == METRICS:
            return [message.trimmed(start, end) for start, end in pieces]
        return []

    def _count(self, topic: str, one: Span, pieces: list[tuple[int, int]], last: int) -> None:
        new = sum(end - start for start, end in pieces)
        if new < one.end - one.start and self._drops:
            self._metrics.gate_dropped_rows.labels(topic=topic).inc(one.end - one.start - new)
        if one.start > last:
            self._metrics.gaps.labels(topic=topic).inc()
            self._metrics.gap_rows.labels(topic=topic).inc(one.start - last)
        late = sum(min(end, last) - start for start, end in pieces if start < last)
        if late:
            self._metrics.late_rows.labels(topic=topic).inc(late)
