from __future__ import annotations

import os
import random

import pytest
from ingest_samples import Last, Letters, control, frame, record, records

from runstream import events
from runstream_ingest.dead_letters import REASONS, DeadLetter, DeadLetterLimit
from runstream_ingest.decode import Decode
from runstream_ingest.decoded import Decoded, Event
from runstream_ingest.errors import TooManyDeadLetters
from runstream_ingest.frames import Frame
from runstream_ingest.metrics import Metrics


class Fixture:
    def __init__(self, *, max_consecutive: int = 1000, max_ratio: float = 1.0, max_bytes: int = 1 << 20) -> None:
        self.letters, self.last, self.metrics = Letters(), Last(), Metrics()
        self.step = Decode(
            max_bytes=max_bytes,
            dead_letters=self.letters,
            limit=DeadLetterLimit(max_consecutive=max_consecutive, max_ratio=max_ratio),
            metrics=self.metrics,
            then=self.last,
        )

    @property
    def decoded(self) -> list[Decoded]:
        return [item.value for item in self.last.items]


GOOD = frame()
HOSTILE = {
    "empty": [None, b""],
    "not_an_event": [b"\x00", b"hello", b"\xc3", b"\xc3\x01", b"\xc3\x01short", os.urandom(64)],
    "unknown_schema": [b"\xc3\x01" + bytes(8) + GOOD[10:]],
    "truncated": [GOOD[:10], GOOD[:30], GOOD[:-1]],
    "unreadable": [GOOD + b"\x00"],
    "invalid": [
        frame(times_us=[1]),
        frame(project=""),
        control("Heartbeat", rank=-1),
        control("Heartbeat", seq=(1 << 63) - 1),
    ],
    "oversized": [frame(rows=100_000)],
}


@pytest.mark.parametrize("reason", HOSTILE)
async def test_a_hostile_message_is_a_dead_letter_and_the_rest_goes_on(reason: str) -> None:
    fixture = Fixture()
    bad = HOSTILE[reason]
    await fixture.step.put(records(GOOD, *bad, control("Heartbeat")))
    assert fixture.letters.reasons == [reason] * len(bad)
    assert [letter.record.value for letter in fixture.letters.letters] == bad
    (decoded,) = fixture.decoded
    assert [type(message) for message in decoded.messages] == [Frame, *[DeadLetter] * len(bad), Event]


def test_every_hostile_reason_is_known() -> None:
    assert set(HOSTILE) <= set(REASONS)


async def test_offsets_of_dead_letters_travel_on() -> None:
    fixture = Fixture()
    item = records(b"bad", b"bad", start=41)
    await fixture.step.put(item)
    assert fixture.last.items[0].ranges == item.ranges


async def test_random_bytes_behind_a_good_header_stop_nothing() -> None:
    fixture = Fixture(max_consecutive=10_000)
    noise = random.Random(3)
    headers = list(events.registry().by_header)
    values = [noise.choice(headers) + noise.randbytes(noise.randrange(200)) for _ in range(1500)]
    await fixture.step.put(records(*values, GOOD))
    assert isinstance(fixture.decoded[0].messages[-1], Frame)
    assert "internal" not in fixture.letters.reasons
    assert len(fixture.letters.letters) > 1400


async def test_too_many_in_a_row_move_and_hand_on_nothing() -> None:
    fixture = Fixture(max_consecutive=3)
    await fixture.step.put(records(b"x", b"x", b"x", GOOD, b"x"))
    with pytest.raises(TooManyDeadLetters, match="4 of the last 4 messages"):
        await fixture.step.put(records(b"x", b"x", b"x", GOOD, start=5))
    assert len(fixture.letters.letters) == 4
    assert len(fixture.last.items) == 1


async def test_too_large_a_share_stops_once_enough_was_seen() -> None:
    fixture = Fixture(max_ratio=0.4)
    mixed = [GOOD, b"x"]
    await fixture.step.put(records(*mixed * 400))
    with pytest.raises(TooManyDeadLetters, match="500 of the last 1000"):
        await fixture.step.put(records(*mixed * 100))


async def test_a_share_that_lies_far_back_is_forgotten() -> None:
    limit = DeadLetterLimit(max_consecutive=10**6, max_ratio=0.3, sample=1000)
    limit.count("t", ["invalid"] * 900)
    for _ in range(3):
        limit.count("u", [None] * 1000)
    with pytest.raises(TooManyDeadLetters):
        limit.count("t", [None] * 200)
    healthy = DeadLetterLimit(max_consecutive=10**6, max_ratio=0.3, sample=1000)
    healthy.count("t", [None] * 5000)
    for _ in range(5):
        healthy.count("t", [None] * 900 + ["invalid"] * 200)


async def test_an_older_writer_schema_is_read_through_the_general_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    fixture = Fixture()
    monkeypatch.setattr(fixture.step._reader, "header", b"another header")
    await fixture.step.put(records(GOOD, frame(times_us=[1])))
    first, second = fixture.decoded[0].messages
    assert isinstance(first, Frame)
    assert first.points == 6
    assert isinstance(second, DeadLetter)


async def test_what_was_read_is_counted() -> None:
    fixture = Fixture()
    await fixture.step.put(records(GOOD, b"bad"))
    value = fixture.metrics.registry.get_sample_value
    assert value("runstream_ingest_messages_total", {"topic": "t.metrics"}) == 2
    assert value("runstream_ingest_points_total", {"topic": "t.metrics"}) == 6
    assert value("runstream_ingest_bytes_total", {"topic": "t.metrics"}) == len(GOOD) + 3
    labels = {"topic": "t.metrics", "reason": "not_an_event"}
    assert value("runstream_ingest_dead_letters_total", labels) == 1


async def test_ticks_and_the_end_reach_the_next_step() -> None:
    fixture = Fixture()
    await fixture.step.tick(5.0)
    await fixture.step.close()
    assert fixture.last.ticks == [5.0]
    assert fixture.last.closed


def test_a_dead_letter_says_where_it_came_from() -> None:
    letter = DeadLetter(record(b"abc", 7, partition=2), "invalid", "why")
    assert letter.row == ("t.metrics", 2, 7, "invalid", "why", 3, 1_790_000_000_007_000)
    assert dict(letter.headers) == {
        "runstream_source_topic": b"t.metrics",
        "runstream_source_partition": b"2",
        "runstream_source_offset": b"7",
        "runstream_source_timestamp_ms": b"1790000000007",
        "runstream_reason": b"invalid",
        "runstream_error": b"why",
    }
