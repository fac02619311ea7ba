from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_samples import RUN, Last, Tables, control, frame, records, uuid_number

from runstream_ingest import stretches
from runstream_ingest.coverage import Coverage, Writer
from runstream_ingest.decode import read
from runstream_ingest.decoded import Decoded, Event
from runstream_ingest.frames import Frame, FrameReader
from runstream_ingest.gate import Gate
from runstream_ingest.metrics import Metrics

WRITER = Writer(b"demo", uuid_number(RUN), 77)


class Fixture:
    def __init__(self, tables: Tables | None = None, *, max_writers: int = 100, drops: bool = True) -> None:
        self.tables, self.metrics, self.last = tables or Tables(), Metrics(), Last()
        self.coverage = Coverage(self.tables, max_writers=max_writers)
        self.step = Gate(coverage=self.coverage, drops=drops, metrics=self.metrics, then=self.last)
        self._reader = FrameReader()

    async def put(self, *values: bytes, partition: int = 0) -> None:
        item = records(*values, partition=partition)
        messages = [read(r, self._reader, 1 << 20) for r in item.value]
        await self.step.put(item.with_value(Decoded(messages)))

    @property
    def passed(self) -> list[tuple[int, int]]:
        """The sequence numbers of each frame that got through, from and to."""
        messages = [m for item in self.last.items for m in item.value.messages]
        return [(m.first_seq, m.first_seq + m.rows) for m in messages if isinstance(m, Frame)]

    @property
    def events(self) -> list[int]:
        return [m.seq for item in self.last.items for m in item.value.messages if isinstance(m, Event)]

    def value(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"runstream_ingest_{name}_total", {"topic": "t.metrics"}) or 0


def rows(start: int, count: int = 10, writer: int = 77) -> bytes:
    return frame(rows=count, first_seq=start, writer_id=writer)


async def test_frames_in_order_pass() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(10), rows(20))
    assert fixture.passed == [(0, 10), (10, 20), (20, 30)]
    assert fixture.value("gaps") == fixture.value("gate_dropped_rows") == 0


async def test_what_went_through_before_is_dropped_and_counted_but_its_offsets_go_on() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(10))
    await fixture.put(rows(0, 20), rows(5, 3))
    assert fixture.passed == [(0, 10), (10, 20)]
    assert fixture.value("gate_dropped_rows") == 23
    assert len(fixture.last.items) == 2


async def test_what_the_tables_have_is_dropped_by_a_gate_that_never_saw_it() -> None:
    tables = Tables()
    tables.held[WRITER, "metrics"] = [0, 20]
    tables.held[WRITER, "control"] = [0, 2]
    fixture = Fixture(tables)
    await fixture.put(rows(0, 20), rows(20), *(control("Heartbeat", seq=seq) for seq in range(4)))
    assert fixture.passed == [(20, 30)]
    assert fixture.events == [2, 3]


async def test_the_tables_are_asked_once_for_the_unknown_writers_of_a_chunk() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(0, writer=78), rows(10))
    await fixture.put(rows(20), rows(10, writer=78))
    assert sorted(writer.writer for writer in fixture.tables.asked) == [77, 78]


async def test_a_writer_that_was_forgotten_is_asked_for_again() -> None:
    fixture = Fixture(max_writers=2)
    for writer in (77, 78, 79, 77):
        await fixture.put(rows(0, writer=writer))
    assert [writer.writer for writer in fixture.tables.asked] == [77, 78, 79, 77]


async def test_an_overlap_is_trimmed_at_both_ends_and_in_the_middle() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(5))
    assert fixture.passed == [(0, 10), (10, 15)]
    await fixture.put(rows(30), rows(12, 30))
    assert fixture.passed[2:] == [(30, 40), (15, 30), (40, 42)]
    assert fixture.value("gate_dropped_rows") == 5 + 13


async def test_the_rows_of_a_trimmed_frame_are_its_own() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(5, 10))
    piece = fixture.last.items[0].value.messages[1]
    assert isinstance(piece, Frame)
    assert piece.blocks[0].steps.tolist() == [10, 11, 12, 13, 14]
    assert piece.blocks[0].values[:, 0].tolist() == [10, 11, 12, 13, 14]


async def test_a_gap_is_counted_and_late_rows_close_it() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(30), rows(10), rows(20))
    assert fixture.passed == [(0, 10), (30, 40), (10, 20), (20, 30)]
    assert (fixture.value("gaps"), fixture.value("gap_rows"), fixture.value("late_rows")) == (1, 20, 20)
    assert fixture.coverage.of(WRITER).passed["metrics"] == [0, 40]


async def test_a_writer_met_in_the_middle_has_a_gap_before_it() -> None:
    fixture = Fixture()
    await fixture.put(rows(1000))
    assert fixture.value("gap_rows") == 1000


async def test_events_outside_of_a_sequence_pass_always() -> None:
    fixture = Fixture()
    for _ in range(2):
        await fixture.put(control("Heartbeat", seq=-1))
    assert fixture.events == [-1, -1]


async def test_the_streams_of_a_writer_count_on_their_own() -> None:
    fixture = Fixture()
    await fixture.put(control("Heartbeat", seq=0), rows(0, 1), control("Heartbeat", seq=1), control("Heartbeat", seq=1))
    assert (fixture.events, fixture.passed) == ([0, 1], [(0, 1)])


async def test_what_was_refused_may_come_again() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(10), rows(20))
    fixture.coverage.refused(fixture.last.items[0].value.messages[1])
    await fixture.put(rows(0, 30))
    assert fixture.passed[3:] == [(10, 20)]


async def test_stretches_are_written_as_far_as_they_are_durable() -> None:
    fixture = Fixture()
    await fixture.put(rows(0), rows(30), rows(10))
    messages = fixture.last.items[0].value.messages
    for batch in ([messages[0]], [messages[1]], [messages[2]]):
        await fixture.tables.settle(fixture.coverage.durable(batch), [])
    assert fixture.tables.held[WRITER, "metrics"] == [0, 20, 30, 40]


async def test_a_gate_that_is_switched_off_passes_everything() -> None:
    fixture = Fixture(drops=False)
    await fixture.put(rows(0), rows(0), rows(5))
    assert fixture.passed == [(0, 10), (0, 10), (5, 15)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=25), st.lists(st.integers(0, 50), max_size=6)
)
async def test_whatever_comes_each_row_that_is_not_durable_gets_through_exactly_once(
    frames: list[tuple[int, int]], ends: list[int]
) -> None:
    tables = Tables()
    held = sorted(set(ends))[: len(set(ends)) // 2 * 2]
    tables.held[WRITER, "metrics"] = held
    fixture = Fixture(tables)
    for start, count in frames:
        await fixture.put(rows(start, count))
    through = [seq for first, end in fixture.passed for seq in range(first, end)]
    sent = {seq for start, count in frames for seq in range(start, start + count)}
    assert sorted(through) == sorted(s for s in sent if stretches.missing(held, s, s + 1))
