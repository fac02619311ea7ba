from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_samples import Last, control, frame, record, records

from runstream_ingest.control import rows_of
from runstream_ingest.decoded import Decoded, Event
from runstream_ingest.frames import Frame, FrameReader
from runstream_ingest.gate import Gate
from runstream_ingest.metrics import Metrics
from runstream_ingest.records import Carried


class Fixture:
    def __init__(self) -> None:
        self.metrics, self.last = Metrics(), Last()
        self.step = Gate(metrics=self.metrics, then=self.last)
        self._reader = FrameReader()

    async def put(self, *frames: bytes, partition: int = 0) -> None:
        item = records(*frames, partition=partition)
        messages = [self._reader.read(r.value or b"", r) for r in item.value]
        await self.step.put(item.with_value(Decoded(messages)))

    @property
    def passed(self) -> list[int]:
        """The first sequence number of each frame that got through."""
        messages = [m for item in self.last.items for m in item.value.messages]
        return [message.first_seq for message in messages if isinstance(message, Frame)]

    def value(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"runstream_ingest_{name}_total", {"topic": "t.metrics"}) or 0


def rows(start: int, count: int = 10, writer: int = 77) -> bytes:
    return frame(rows=count, first_seq=start, writer_id=writer)


async def test_frames_in_order_pass() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(10), rows(20))
    assert fixture.passed == [0, 10, 20]
    assert fixture.value("gaps") == fixture.value("gate_dropped_rows") == 0


async def test_an_exact_replay_is_dropped_and_counted_but_its_offsets_go_on() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(10))
    await fixture.put(rows(0, 20), rows(5, 3))
    assert fixture.passed == [0, 10]
    assert fixture.value("gate_dropped_rows") == 23
    assert len(fixture.last.items) == 2


async def test_a_partial_overlap_passes_whole() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(5))
    assert fixture.passed == [0, 5]


async def test_a_gap_is_counted_and_late_rows_still_pass() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(30), rows(10), rows(20))
    assert fixture.passed == [0, 30, 10, 20]
    assert (fixture.value("gaps"), fixture.value("gap_rows")) == (1, 20)


async def test_after_a_gap_what_was_before_it_is_unknown() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(30), rows(0))
    assert fixture.passed == [0, 30, 0]


async def test_a_writer_met_in_the_middle_has_no_gap() -> None:
    fixture = Fixture()
    await fixture.put(rows(1000))
    assert fixture.value("gaps") == 0


async def test_writers_and_partitions_count_on_their_own() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(0, writer=78))
    await fixture.put(rows(0), partition=1)
    assert fixture.passed == [0, 0, 0]


async def test_control_events_pass_always() -> None:
    fixture = Fixture()
    value = control("Heartbeat")
    from runstream import events

    event = Event(record(value), "Heartbeat", rows_of(*events.decode(value)))
    for _ in range(2):
        await fixture.step.put(Carried(Decoded([event]), {}))
    assert [len(item.value.messages) for item in fixture.last.items] == [1, 1]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=25))
async def test_whatever_comes_every_row_gets_through_at_least_once(frames: list[tuple[int, int]]) -> None:
    fixture = Fixture()
    for start, count in frames:
        await fixture.put(rows(start, count))
    messages = [m for item in fixture.last.items for m in item.value.messages if isinstance(m, Frame)]
    through = {seq for m in messages for seq in range(m.first_seq, m.first_seq + m.rows)}
    assert through == {seq for start, count in frames for seq in range(start, start + count)}
