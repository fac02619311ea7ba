from __future__ import annotations

import math
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_samples import RUN, frame, frame_event, mixed, record

from runstream import events
from runstream.errors import EventError
from runstream_ingest.errors import MessageUnusable
from runstream_ingest.frames import MAX_BLOCKS, MAX_METRICS, Frame, FrameReader, Rows

LONG = fastavro.parse_schema({"type": "long"})
NAN_WITH_PAYLOAD = struct.unpack("<d", struct.pack("<Q", 0x7FF8DEADBEEF1234))[0]
SIGNALLING = struct.unpack("<d", struct.pack("<Q", 0xFFF0000000000001))[0]

any_double = st.one_of(
    st.floats(), st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
)
any_long = st.integers(-(2**63), 2**63 - 1)
count = st.integers(0, 2**63 - 1)


@st.composite
def frame_events(draw: st.DrawFn) -> dict[str, Any]:
    rows = draw(st.integers(0, 60))
    owners = draw(st.lists(st.integers(0, draw(st.integers(0, 3))), min_size=rows, max_size=rows))
    blocks = []
    for owner in sorted(set(owners)) or ([0] if draw(st.booleans()) else []):
        at = [i for i in range(rows) if owners[i] == owner]
        blocks.append(draw(frame_blocks(at if len(at) < rows or draw(st.booleans()) else [], len(at))))
    return {
        "project": draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)),
        "run_id": str(draw(st.uuids())),
        "writer_id": draw(st.integers(0, 2**63 - 1)),
        "attempt": draw(st.integers(0, 65535)),
        "rank": draw(st.integers(0, 2**31 - 1)),
        "first_seq": draw(st.integers(0, 2**60)),
        "rows": rows,
        "blocks": blocks,
    }


@st.composite
def frame_blocks(draw: st.DrawFn, at: list[int], rows: int) -> dict[str, Any]:
    metrics = draw(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), unique=True, max_size=6))
    many = {"min_size": rows, "max_size": rows}
    size = rows * len(metrics)
    counted = draw(st.sampled_from([0, len(metrics)]))
    return {
        "at": at,
        "metrics": metrics,
        "steps": draw(st.lists(any_long, **many)),
        "times_us": draw(st.lists(any_long, **many)),
        "values": draw(st.lists(any_double, min_size=size, max_size=size)),
        **{name: draw(st.lists(count, min_size=counted, max_size=counted)) for name in ("n", "n_nan", "n_inf")},
    }


def fast(data: bytes) -> Frame:
    return FrameReader().read(data, record(data))


def slow(data: bytes) -> Frame:
    """By fastavro."""
    kind, event = events.decode(data)
    assert kind == "MetricFrame"
    return FrameReader().from_event(event, record(data))


def facts(found: Frame) -> tuple[Any, ...]:
    """All of a frame, its doubles as bits."""
    blocks = []
    for block in found.blocks:
        at = None if block.at is None else block.at.tolist()
        counts = None if block.counts is None else [count.tolist() for count in block.counts]
        bits = block.values.view(np.uint64).tolist()
        blocks.append((at, block.keys.names, block.steps.tolist(), block.times_us.tolist(), bits, counts))
    return found.origin, found.first_seq, found.rows, blocks


def only(found: Frame) -> Rows:
    """The block of a frame of one block."""
    (block,) = found.blocks
    return block


def long_bytes(value: int) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, LONG, value)
    return out.getvalue()


def in_blocks(items: list[bytes], cuts: list[int], *, sized: bool) -> bytes:
    """An Avro array cut into blocks; with `sized` each has a negative count and its size in bytes."""
    out, start = b"", 0
    for end in [*sorted({cut for cut in cuts if 0 < cut < len(items)}), len(items)]:
        part = items[start:end]
        body = b"".join(part)
        if part:
            out += (long_bytes(-len(part)) + long_bytes(len(body)) if sized else long_bytes(len(part))) + body
        start = end
    return out + b"\x00"


def spelled_in_blocks(event: dict[str, Any], cuts: list[int], *, sized: bool) -> bytes:
    def text(value: str) -> bytes:
        return long_bytes(len(value.encode())) + value.encode()

    def array(items: list[bytes]) -> bytes:
        return in_blocks(items, cuts, sized=sized)

    def block(fields: dict[str, Any]) -> bytes:
        out = array([long_bytes(value) for value in fields["at"]]) + array([text(name) for name in fields["metrics"]])
        for name in ("steps", "times_us"):
            out += array([long_bytes(value) for value in fields[name]])
        out += array([struct.pack("<d", value) for value in fields["values"]])
        for name in ("n", "n_nan", "n_inf"):
            out += array([long_bytes(value) for value in fields[name]])
        return out

    out = events.registry().latest["MetricFrame"].header + text(event["project"]) + text(event["run_id"])
    for name in ("writer_id", "attempt", "rank", "first_seq", "rows"):
        out += long_bytes(event[name])
    return out + array([block(fields) for fields in event["blocks"]])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frame_events())
def test_the_fast_path_reads_what_fastavro_reads(event: dict[str, Any]) -> None:
    data = events.encode("MetricFrame", event)
    assert facts(fast(data)) == facts(slow(data))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frame_events(), st.lists(st.integers(0, 70), max_size=3), st.booleans())
def test_arrays_in_several_blocks_are_read_as_fastavro_reads_them(
    event: dict[str, Any], cuts: list[int], sized: bool
) -> None:
    data = spelled_in_blocks(event, cuts, sized=sized)
    assert facts(fast(data)) == facts(slow(data)) == facts(fast(events.encode("MetricFrame", event)))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_frame_is_read_as_fastavro_reads_it_or_refused_by_both(data: st.DataObject) -> None:
    one = st.integers(1, 40).map(lambda rows: frame(rows=rows))
    several = st.lists(st.sampled_from([("a",), ("a", "b")]), min_size=1, max_size=40).map(lambda sets: mixed(*sets))
    good = data.draw(one | several)
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        bad[data.draw(st.integers(10, len(bad) - 1))] = data.draw(st.integers(0, 255))
    try:
        expected = facts(slow(bytes(bad)))
    except (MessageUnusable, EventError):
        with pytest.raises(MessageUnusable):
            fast(bytes(bad))
        return
    try:
        found = facts(fast(bytes(bad)))
    except MessageUnusable as error:
        # fastavro lets a number go on for ever, and what it makes of more than 64 bits is nothing to rely on.
        assert "more than 10 bytes" in error.detail  # noqa: PT017
    else:
        assert found == expected


def test_a_frame_cut_off_at_any_byte_is_refused() -> None:
    data = mixed(*(("a", "b") if i % 3 else ("loss",) for i in range(40)))
    for size in range(10, len(data)):
        with pytest.raises(MessageUnusable) as caught:
            fast(data[:size])
        assert caught.value.reason in ("truncated", "unreadable", "invalid")


def test_bytes_behind_the_end_are_refused() -> None:
    with pytest.raises(MessageUnusable, match="2 bytes follow"):
        fast(frame() + b"\x00\x00")


def test_every_bit_of_a_double_survives() -> None:
    values = [NAN_WITH_PAYLOAD, SIGNALLING, math.inf, -math.inf, -0.0, 5e-324, 0.1, 1.7976931348623157e308]
    data = frame(rows=4, values=values)
    assert only(fast(data)).values.tobytes() == struct.pack("<8d", *values)


def test_values_are_not_copied_from_the_message() -> None:
    assert not only(fast(frame())).values.flags.owndata


BLOCK = frame_event()["blocks"][0]
EMPTY = {name: [] for name in BLOCK}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"times_us": [1, 2]}, "3 steps, 2 times"),
        ({"at": [0, 1]}, "2 places do not go with 3 steps"),
        ({"at": [0, 2, 1]}, "places do not rise strictly"),
        ({"at": [0, 1, 1]}, "places do not rise strictly"),
        ({"at": [-1, 0, 1]}, "places do not rise strictly"),
        ({"at": [0, 1, 3]}, "places do not rise strictly within 0 and 2"),
        ({"rows": 6, "blocks": [BLOCK, BLOCK]}, "3 of 6 rows have no places"),
        ({"rows": 6, "blocks": [{**BLOCK, "at": [0, 1, 5]}, {**BLOCK, "at": [1, 2, 3]}]}, "place 4 stands in no block"),
        ({"rows": 0, "blocks": [EMPTY] * (MAX_BLOCKS + 1)}, "4097 blocks; the limit is 4096"),
        ({"values": [1.0] * 5}, "do not go with 5 values"),
        ({"n": [1]}, "n, n_nan and n_inf have 1, 2, 2 values for 2 metrics"),
        ({"n_nan": [-1, 0]}, "a count is negative"),
        ({"metrics": ["a", "a"]}, "stands twice"),
        ({"metrics": ["a", "b" * 1025]}, "1025 bytes"),
        ({"metrics": ["a", "é" * 513]}, "1026 bytes"),
        ({"project": ""}, "the project has 0 bytes"),
        ({"project": "p" * 257}, "the project has 257 bytes"),
        ({"writer_id": -1}, "writer_id is -1"),
        ({"attempt": 65536}, "attempt is 65536"),
        ({"attempt": -1}, "attempt is -1"),
        ({"rank": -1}, "rank is -1"),
        ({"first_seq": -1}, "first_seq is -1"),
        ({"first_seq": 2**63 - 2, **BLOCK}, "exceed 63 bits"),
        ({"run_id": RUN.upper()}, "canonical"),
        ({"run_id": "not a run"}, "canonical"),
        ({"run_id": "{" + RUN + "}"}, "canonical"),
    ],
)
def test_a_frame_of_a_wrong_shape_is_refused_with_the_reason(changes: dict[str, Any], what: str) -> None:
    data = frame(**changes)
    for read in (fast, slow) if "run_id" not in changes else (fast,):
        with pytest.raises(MessageUnusable, match=what):
            read(data)


@pytest.mark.parametrize("rows", [-3, 0, 2, 4, 2**62])
def test_a_number_of_rows_that_the_blocks_do_not_hold_is_refused(rows: int) -> None:
    with pytest.raises(MessageUnusable, match=f"the blocks hold 3 rows of {rows}"):
        fast(events.encode("MetricFrame", {**frame_event(), "rows": rows}))


def test_too_many_metrics_are_refused_before_their_names_are_read() -> None:
    data = events.registry().latest["MetricFrame"].header + long_bytes(4) + b"demo" + long_bytes(36) + RUN.encode()
    data += long_bytes(77) + bytes(4) + b"\x02\x00" + long_bytes(MAX_METRICS + 1) + bytes(MAX_METRICS + 10)
    with pytest.raises(MessageUnusable, match="100001 metrics; the limit is 100000"):
        fast(data)


@pytest.mark.parametrize("read", [fast, slow])
def test_the_limit_of_metrics_counts_all_blocks(read: Callable[[bytes], Frame]) -> None:
    half = {**EMPTY, "metrics": [f"m{i}" for i in range(MAX_METRICS // 2)]}
    assert read(frame(rows=0, blocks=[half, half])).points == 0
    with pytest.raises(MessageUnusable, match="100001 metrics; the limit is 100000"):
        read(frame(rows=0, blocks=[half, half, {**EMPTY, "metrics": ["x"]}]))


def test_the_most_metrics_are_read() -> None:
    found = fast(frame(rows=1, metrics=[f"m{i}" for i in range(MAX_METRICS)]))
    assert found.points == MAX_METRICS


@pytest.mark.parametrize("place", ["text", "rows", "blocks", "array", "block"])
def test_a_length_beyond_the_message_allocates_nothing(place: str) -> None:
    header = events.registry().latest["MetricFrame"].header
    head = header + long_bytes(4) + b"demo" + long_bytes(36) + RUN.encode() + long_bytes(77) + bytes(3)
    huge = {
        "text": header + long_bytes(2**62),
        "rows": head + long_bytes(2**62) + b"\x00",
        "blocks": head + b"\x02" + long_bytes(2**62),
        "array": head + b"\x02\x02\x00" + long_bytes(2) + b"\x02a\x02b\x00" + long_bytes(2**62),
        "block": head + b"\x02" + long_bytes(-(2**62)) + long_bytes(2**62),
    }[place]
    with pytest.raises(MessageUnusable):
        fast(huge)


@pytest.mark.parametrize("metrics", [["a\x00b", "\x00"], ["größe/✓", "🎲"], ["", " "]])
def test_any_utf8_is_a_metric_name(metrics: list[str]) -> None:
    assert only(fast(frame(metrics=metrics))).keys.names == tuple(name.encode() for name in metrics)


def test_a_name_that_is_not_utf8_is_refused() -> None:
    data = frame(metrics=["ab", "loss"]).replace(b"\x04ab", b"\x04\xff\xfe")
    with pytest.raises(MessageUnusable, match="not UTF-8"):
        fast(data)


def test_a_frame_without_counts_has_none() -> None:
    assert only(fast(frame(n=[], n_nan=[], n_inf=[]))).counts is None


@pytest.mark.parametrize("changes", [{"rows": 0}, {"metrics": [], "rows": 2}])
def test_an_empty_frame_has_no_points(changes: dict[str, Any]) -> None:
    assert fast(frame(**changes)).points == 0


def test_the_key_set_of_a_writer_is_read_once_and_noticed_when_it_changes() -> None:
    reader = FrameReader()
    sets = [("a", "b"), ("a", "b"), ("a", "b", "c"), ("a",), ("a", "b")]
    found = [only(reader.read(data := frame(metrics=names), record(data))).keys for names in sets]
    assert [keys.names for keys in found] == [tuple(name.encode() for name in names) for names in sets]
    assert found[0] is found[1] is found[4]


def test_the_key_sets_of_a_frame_are_those_of_the_one_before() -> None:
    reader = FrameReader()
    values = [mixed(("a",), ("b", "c")), mixed(("b", "c"), ("a",)), mixed(("a",), ("b", "c"), first_seq=2)]
    found = [[block.keys for block in reader.read(value, record(value)).blocks] for value in values]
    assert found[0] == found[2] == found[1][::-1]


def rows_of(found: Frame) -> list[tuple[Any, ...]]:
    """(sequence, metrics, step, time, values) of each row, in order."""
    rows = []
    for block in found.blocks:
        places = range(found.rows) if block.at is None else block.at.tolist()
        for i, at in enumerate(places):
            row = (found.first_seq + at, block.keys.names, int(block.steps[i]), int(block.times_us[i]))
            rows.append((*row, tuple(block.values[i].tolist())))
    return sorted(rows)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([("a",), ("b",), ("a", "b")]), max_size=20), st.integers(-2, 22), st.integers(-2, 22))
def test_a_trimmed_frame_holds_the_rows_of_its_sequences(sets: list[tuple[str, ...]], first: int, length: int) -> None:
    whole = fast(mixed(*sets, first_seq=1000))
    part = whole.trimmed(1000 + first, 1000 + first + length)
    assert rows_of(part) == [row for row in rows_of(whole) if 1000 + first <= row[0] < 1000 + first + length]
    assert (part.rows, part.points) == (len(rows_of(part)), sum(len(row[4]) for row in rows_of(part)))
    assert (part.record, part.origin) == (whole.record, whole.origin)


def test_trimming_shares_the_memory_of_the_frame() -> None:
    whole = fast(frame(rows=10))
    assert np.shares_memory(only(whole.trimmed(3, 5)).values, only(whole).values)
