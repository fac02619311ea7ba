from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import struct
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstream import errors, events

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.avro"))
HEADER = {
    "project": "p",
    "run_id": "019a0000-0000-7000-8000-000000000001",
    "writer_id": 5,
    "attempt": 0,
    "rank": 0,
}
BLOCK = {"metrics": ["loss"], "steps": [0], "times_us": [1], "values": [0.5]}
FRAME = {**HEADER, "first_seq": 0, "rows": 1, "blocks": [BLOCK]}
BEAT = {**HEADER, "seq": -1, "time_us": 1}


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def same(left: Any, right: Any) -> bool:
    """Equality in which NaN equals NaN and -0.0 is not 0.0."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return bits(left) == bits(right)
    return type(left) is type(right) and bool(left == right)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_messages_read_as_they_were_written(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text("utf-8"))
    kind, event = events.decode(path.read_bytes())
    assert kind == path.name.split(".")[0]
    assert same({name: event[name] for name in expected}, expected)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_newest_schema_still_writes_its_golden_bytes(path: Path) -> None:
    kind, version = path.stem.split(".v")
    if events.registry().latest[kind].version == int(version):
        assert events.encode(kind, json.loads(path.with_suffix(".json").read_text("utf-8"))) == path.read_bytes()


def test_every_schema_version_has_a_golden_message() -> None:
    held = {path.stem for path in GOLDEN}
    assert held == {f"{schema.kind}.v{schema.version}" for schema in events.registry().by_header.values()}


def test_every_kind_belongs_to_one_topic() -> None:
    kinds = [*events.CONTROL_KINDS, *events.LOG_KINDS, "MetricFrame"]
    assert sorted(kinds) == sorted(events.registry().latest)


def test_fingerprints_are_those_of_the_avro_specification() -> None:
    # org.apache.avro.SchemaNormalization.parsingFingerprint64 of "int" is 0x7275d51a3f395c8f.
    assert fastavro.schema.fingerprint('"int"', "CRC-64-AVRO") == struct.pack("<Q", 0x7275D51A3F395C8F).hex()


@pytest.mark.parametrize("kind", sorted(events.registry().latest))
def test_all_versions_of_a_schema_read_each_other(kind: str) -> None:
    versions = [schema for schema in events.registry().by_header.values() if schema.kind == kind]
    for writer in versions:
        for reader in versions:
            assert_reads(writer.declaration, reader.declaration)


def assert_reads(writer: Any, reader: Any) -> None:
    """FULL_TRANSITIVE: no renames, every added or dropped field has a default, types stay or widen."""
    written = {field["name"]: field for field in writer["fields"]}
    read = {field["name"]: field for field in reader["fields"]}
    assert writer["name"] == reader["name"]
    assert writer.get("namespace") == reader.get("namespace")
    for name in read.keys() - written.keys():
        assert "default" in read[name], f"{name} needs a default"
    for name in written.keys() - read.keys():
        assert "default" in written[name], f"{name} cannot be dropped: it has no default"
    for name in read.keys() & written.keys():
        assert same_or_wider(written[name]["type"], read[name]["type"]), name


def same_or_wider(written: Any, read: Any) -> bool:
    if isinstance(written, list) or isinstance(read, list):
        options = read if isinstance(read, list) else [read]
        parts = written if isinstance(written, list) else [written]
        return set(map(str, parts)) <= set(map(str, options)) or set(map(str, options)) <= set(map(str, parts))
    if isinstance(written, dict) and isinstance(read, dict):
        if written["type"] != read["type"]:
            return False
        if written["type"] == "record":
            assert_reads(written, read)
            return True
        return all(same_or_wider(written[part], read[part]) for part in ("items", "values") if part in written)
    return bool(written == read)


def test_an_old_message_reads_with_the_defaults_of_a_newer_schema() -> None:
    old = events.registry().latest["MetricFrame"].declaration
    new = copy.deepcopy(dict(old))
    new["fields"].append({"name": "note", "type": "string", "default": "none"})
    both = events.Registry([("MetricFrame", 1, old), ("MetricFrame", 2, new)])
    kind, event = both.decode(events.encode("MetricFrame", FRAME))
    assert (kind, event["note"], event["rows"]) == ("MetricFrame", "none", 1)
    assert both.decode(both.encode("MetricFrame", {**FRAME, "note": "x"}))[1]["note"] == "x"
    with pytest.raises(errors.UnknownSchema):
        events.decode(both.encode("MetricFrame", FRAME))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324, -2.2e-308, 1.7976931348623157e308])
def test_every_float_survives_bit_for_bit(value: float) -> None:
    _, event = events.decode(events.encode("MetricFrame", {**FRAME, "blocks": [{**BLOCK, "values": [value]}]}))
    assert bits(event["blocks"][0]["values"][0]) == bits(value)


def test_a_nan_payload_survives() -> None:
    payload = struct.unpack("<d", bytes.fromhex("efbeadde0000f87f"))[0]
    _, event = events.decode(events.encode("MetricFrame", {**FRAME, "blocks": [{**BLOCK, "values": [payload]}]}))
    assert bits(event["blocks"][0]["values"][0]).hex() == "efbeadde0000f87f"


@pytest.mark.parametrize("data", [b"", b"\xc3", b"\xc3\x01\x00", b"{}", b"\x00" * 40])
def test_bytes_without_the_marker_are_not_an_event(data: bytes) -> None:
    with pytest.raises(errors.NotAnEvent):
        events.decode(data)


def test_an_unknown_fingerprint_names_itself() -> None:
    with pytest.raises(errors.UnknownSchema, match="0102030405060708") as caught:
        events.decode(events.MARKER + bytes(range(1, 9)) + b"body")
    assert caught.value.fingerprint == bytes(range(1, 9))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_cut_message_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for end in range(events.HEADER_BYTES, len(data)):
        with pytest.raises((errors.EventTruncated, errors.EventUnreadable)):
            events.decode(data[:end])


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(errors.EventUnreadable, match="1 bytes follow"):
        events.decode(events.encode("Heartbeat", BEAT) + b"\x00")


def test_a_run_id_must_be_the_canonical_text_of_a_uuid() -> None:
    for run_id in ("nobody", HEADER["run_id"].upper(), "{" + HEADER["run_id"] + "}"):
        with pytest.raises(errors.EventUnreadable):
            events.decode(events.encode("Heartbeat", {**BEAT, "run_id": run_id}))


def varint(value: int) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", value)
    return out.getvalue()


@pytest.mark.parametrize("count", [2**60, -(2**60), 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("field", ["blocks", "at", "metrics", "steps", "values"])
def test_a_hostile_array_length_costs_nothing(count: int, field: str) -> None:
    empty = {**FRAME, "blocks": [{"metrics": [], "steps": [], "times_us": [], "values": []}]}
    good = events.encode("MetricFrame", empty)
    place = len(good) - {"blocks": 10, "at": 9, "metrics": 8, "steps": 7, "values": 5}[field]
    with pytest.raises((errors.EventTruncated, errors.EventUnreadable)):
        events.decode(good[:place] + varint(count) + b"\x10" * 8)


@given(st.sampled_from(GOLDEN), st.data())
@settings(max_examples=300, deadline=None)
def test_no_damage_raises_anything_but_an_event_error(path: Path, data: st.DataObject) -> None:
    message = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(events.HEADER_BYTES, len(message) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(errors.EventError):
        events.decode(bytes(message))


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("Nothing", BEAT),
        ("Heartbeat", HEADER),
        ("Heartbeat", {**BEAT, "extra": 1}),
        ("Heartbeat", {**BEAT, "time_us": "now"}),
        ("Heartbeat", {**BEAT, "time_us": 2**63}),
        ("MetricFrame", {**FRAME, "blocks": [{**BLOCK, "values": ["x"]}]}),
        ("Attributes", {**BEAT, "values": None}),
    ],
)
def test_an_event_that_does_not_fit_its_schema_is_refused(kind: str, event: dict[str, Any]) -> None:
    with pytest.raises(errors.EventNotEncodable):
        events.encode(kind, event)
