"""Sequence numbers of the metric frames: what is missing is counted, exact replays are dropped."""

from __future__ import annotations

from runstream_ingest.decoded import Decoded, Message
from runstream_ingest.frames import Frame
from runstream_ingest.metrics import Metrics
from runstream_ingest.records import Carried
from runstream_ingest.step import Step

MAX_WRITERS = 200_000


class Gate:
    """Knows which sequence numbers of each writer it passed on, since this row of steps was built.

    A frame is dropped only when every row of it went through this very gate before, from the same partition: those rows
    are then inserted before any later offset is committed. Whatever is unknown (after a restart, a rebalance or a gap)
    is passed on; the tables take a row twice without harm.
    """

    def __init__(self, *, metrics: Metrics, then: Step[Decoded]) -> None:
        self._metrics = metrics
        self._then = then
        self._passed: dict[tuple[str, int, int, int], tuple[int, int]] = {}

    async def put(self, item: Carried[Decoded], /) -> None:
        kept = [message for message in item.value.messages if self._is_new(message)]
        await self._then.put(item.with_value(Decoded(kept)))

    async def tick(self, now: float, /) -> None:
        await self._then.tick(now)

    async def close(self) -> None:
        await self._then.close()

    def _is_new(self, message: Message) -> bool:
        if not isinstance(message, Frame):
            return True
        rows = message.rows
        if not rows:
            return True
        topic, partition = message.record.topic, message.record.partition
        writer = (topic, partition, message.origin.run, message.origin.writer)
        start, end = message.first_seq, message.first_seq + rows
        passed = self._passed.get(writer)
        if passed is None:
            if len(self._passed) >= MAX_WRITERS:
                self._passed.clear()
            self._passed[writer] = (start, end)
            return True
        first, last = passed
        if first <= start and end <= last:
            self._metrics.gate_dropped_rows.labels(topic=topic).inc(rows)
            return False
        if start > last:
            self._metrics.gaps.labels(topic=topic).inc()
            self._metrics.gap_rows.labels(topic=topic).inc(start - last)
            self._passed[writer] = (start, end)
        elif end >= first:
            self._passed[writer] = (min(first, start), max(last, end))
        return True
