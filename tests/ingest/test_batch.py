from __future__ import annotations

from ingest_samples import Last, frame, records

from runstream_ingest.batch import Batch
from runstream_ingest.decoded import Decoded
from runstream_ingest.frames import FrameReader
from runstream_ingest.metrics import Metrics
from runstream_ingest.records import Carried, Range, Source


def decoded(*values: bytes, start: int = 0, partition: int = 0) -> Carried[Decoded]:
    item, reader = records(*values, start=start, partition=partition), FrameReader()
    return item.with_value(Decoded([reader.read(r.value or b"", r) for r in item.value]))


def batch(last: Last, *, max_rows: int = 1000, max_bytes: int = 1 << 30, max_age_s: float = 1.0) -> Batch:
    return Batch(max_rows=max_rows, max_bytes=max_bytes, max_age_s=max_age_s, metrics=Metrics(), then=last)


async def test_it_hands_on_when_enough_rows_came() -> None:
    last = Last()
    step = batch(last, max_rows=12)
    await step.put(decoded(frame()))
    assert not last.items
    await step.put(decoded(frame(first_seq=3), start=1))
    assert [item.value.rows for item in last.items] == [12]


async def test_it_hands_on_when_enough_bytes_came() -> None:
    last = Last()
    await batch(last, max_bytes=len(frame())).put(decoded(frame()))
    assert len(last.items) == 1


async def test_it_hands_on_what_is_old_enough_counted_from_the_first_tick_after_it() -> None:
    last = Last()
    step = batch(last)
    await step.tick(0.0)
    await step.put(decoded(frame()))
    for now in (100.0, 100.9):
        await step.tick(now)
        assert not last.items
    await step.tick(101.0)
    assert len(last.items) == 1
    await step.put(decoded(frame(), start=1))
    await step.tick(101.5)
    assert len(last.items) == 1


async def test_the_ranges_of_several_partitions_are_joined() -> None:
    last = Last()
    step = batch(last)
    await step.put(decoded(frame(), frame(first_seq=3)))
    await step.put(decoded(frame(), start=8, partition=1))
    await step.put(decoded(frame(first_seq=6), start=2))
    await step.close()
    t = 1_790_000_000_000
    expected = {Source("t.metrics", 0): Range(0, 3, t + 2), Source("t.metrics", 1): Range(8, 9, t + 8)}
    assert last.items[0].ranges == expected
    assert last.closed


async def test_offsets_go_on_even_when_no_message_is_left() -> None:
    last = Last()
    step = batch(last)
    await step.put(Carried(Decoded([]), {Source("t", 0): Range(3, 5, 0)}))
    await step.close()
    assert last.items[0].ranges == {Source("t", 0): Range(3, 5, 0)}


async def test_nothing_is_handed_on_when_nothing_came() -> None:
    last = Last()
    step = batch(last)
    await step.tick(1.0)
    await step.close()
    assert not last.items
