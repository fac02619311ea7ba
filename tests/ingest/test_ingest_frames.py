from __future__ import annotations

import math
import struct
from io import BytesIO
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_samples import RUN, frame, frame_event, record

from runstream import events
from runstream.errors import EventError
from runstream_ingest.errors import MessageUnusable
from runstream_ingest.frames import MAX_METRICS, Frame, FrameReader

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
    metrics = draw(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), unique=True, max_size=6))
    rows = draw(st.integers(0, 60))
    many = {"min_size": rows, "max_size": rows}
    size = rows * len(metrics)
    counted = draw(st.sampled_from([0, len(metrics)]))
    return {
        "project": draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)),
        "run_id": str(draw(st.uuids())),
        "writer_id": draw(st.integers(0, 2**63 - 1)),
        "attempt": draw(st.integers(0, 65535)),
        "rank": draw(st.integers(0, 2**31 - 1)),
        "first_seq": draw(st.integers(0, 2**60)),
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
    counts = None if found.counts is None else [count.tolist() for count in found.counts]
    bits = found.values.view(np.uint64).tolist()
    return found.origin, found.first_seq, found.keys.names, found.steps.tolist(), found.times_us.tolist(), bits, counts


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

    out = events.registry().latest["MetricFrame"].header + text(event["project"]) + text(event["run_id"])
    for name in ("writer_id", "attempt", "rank", "first_seq"):
        out += long_bytes(event[name])
    out += in_blocks([text(name) for name in event["metrics"]], cuts, sized=sized)
    for name in ("steps", "times_us"):
        out += in_blocks([long_bytes(value) for value in event[name]], cuts, sized=sized)
    out += in_blocks([struct.pack("<d", value) for value in event["values"]], cuts, sized=sized)
    for name in ("n", "n_nan", "n_inf"):
        out += in_blocks([long_bytes(value) for value in event[name]], cuts, sized=sized)
    return out


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(frame_events())
def test_the_fast_path_reads_what_fastavro_reads(event: dict[str, Any]) -> None:
    data = events.encode("MetricFrame", event)
    assert facts(fast(data)) == facts(slow(data))


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(frame_events(), st.lists(st.integers(0, 70), max_size=3), st.booleans())
def test_arrays_in_several_blocks_are_read_as_fastavro_reads_them(
    event: dict[str, Any], cuts: list[int], sized: bool
) -> None:
    data = spelled_in_blocks(event, cuts, sized=sized)
    assert facts(fast(data)) == facts(slow(data)) == facts(fast(events.encode("MetricFrame", event)))


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_frame_is_read_as_fastavro_reads_it_or_refused_by_both(data: st.DataObject) -> None:
    good = frame(rows=data.draw(st.integers(1, 40)))
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
    data = frame(rows=40)
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
    assert fast(data).values.tobytes() == struct.pack("<8d", *values)


def test_values_are_not_copied_from_the_message() -> None:
    assert not fast(frame()).values.flags.owndata


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"times_us": [1, 2]}, "3 steps, 2 times"),
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
        ({"first_seq": 2**63 - 2, "steps": [0, 1, 2], "times_us": [0, 1, 2], "values": [0.0] * 6}, "exceed 63 bits"),
        ({"run_id": RUN.upper()}, "canonical"),
        ({"run_id": "not a run"}, "canonical"),
        ({"run_id": "{" + RUN + "}"}, "canonical"),
    ],
)
def test_a_frame_of_a_wrong_shape_is_refused_with_the_reason(changes: dict[str, Any], what: str) -> None:
    event = {**frame_event(), **changes}
    data = events.encode("MetricFrame", event)
    with pytest.raises(MessageUnusable, match=what):
        fast(data)


def test_too_many_metrics_are_refused_before_their_names_are_read() -> None:
    data = events.registry().latest["MetricFrame"].header + long_bytes(4) + b"demo" + long_bytes(36) + RUN.encode()
    data += long_bytes(77) + bytes(3) + long_bytes(MAX_METRICS + 1) + bytes(MAX_METRICS + 10)
    with pytest.raises(MessageUnusable, match="50001 metrics; the limit is 50000"):
        fast(data)


def test_the_most_metrics_are_read() -> None:
    found = fast(frame(rows=1, metrics=[f"m{i}" for i in range(MAX_METRICS)]))
    assert found.points == MAX_METRICS


@pytest.mark.parametrize("place", ["text", "array", "block"])
def test_a_length_beyond_the_message_allocates_nothing(place: str) -> None:
    header = events.registry().latest["MetricFrame"].header
    head = header + long_bytes(4) + b"demo" + long_bytes(36) + RUN.encode() + long_bytes(77) + bytes(3)
    huge = {
        "text": header + long_bytes(2**62),
        "array": head + long_bytes(2) + b"\x02a\x02b\x00" + long_bytes(2**62),
        "block": head + long_bytes(-(2**62)) + long_bytes(2**62),
    }[place]
    with pytest.raises(MessageUnusable):
        fast(huge)


@pytest.mark.parametrize("metrics", [["a\x00b", "\x00"], ["größe/✓", "🎲"], ["", " "]])
def test_any_utf8_is_a_metric_name(metrics: list[str]) -> None:
    assert fast(frame(metrics=metrics)).keys.names == tuple(name.encode() for name in metrics)


def test_a_name_that_is_not_utf8_is_refused() -> None:
    data = frame(metrics=["ab", "loss"]).replace(b"\x04ab", b"\x04\xff\xfe")
    with pytest.raises(MessageUnusable, match="not UTF-8"):
        fast(data)


def test_a_frame_without_counts_has_none() -> None:
    assert fast(frame(n=[], n_nan=[], n_inf=[])).counts is None


@pytest.mark.parametrize("changes", [{"rows": 0}, {"metrics": [], "rows": 2}])
def test_an_empty_frame_has_no_points(changes: dict[str, Any]) -> None:
    assert fast(frame(**changes)).points == 0


def test_the_key_set_of_a_writer_is_read_once_and_noticed_when_it_changes() -> None:
    reader = FrameReader()
    sets = [("a", "b"), ("a", "b"), ("a", "b", "c"), ("a",), ("a", "b")]
    found = [reader.read(data := frame(metrics=names), record(data)).keys for names in sets]
    assert [keys.names for keys in found] == [tuple(name.encode() for name in names) for names in sets]
    assert found[0] is found[1] is found[4]
