"""The spool's format: what is written is read back bit for bit, and damage costs only what it hits."""

from __future__ import annotations

import math
import os
import struct
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstream import spool
from runstream.errors import SpoolError, SpoolVersionError
from runstream.identity import boot_id, new_run_id, pid_namespace, process_start
from runstream.spool import Position, SegmentHeader, list_spools, segment_numbers, segment_path
from runstream.spool_cursor import Cursor, acknowledged, places
from runstream.spool_reader import EventRecord, MixedRows, RowBlock, SpoolReader
from runstream.spool_records import KeySet
from runstream.spool_writer import SpoolWriter


def writer_in(directory: Path, **changes: Any) -> SpoolWriter:
    options: dict[str, Any] = {
        "run_id": new_run_id(),
        "writer_id": 77,
        "project": "próject",
        "attempt": 2,
        "rank": 3,
        "segment_bytes": 1 << 16,
        "segment_max_bytes": 1 << 17,
    }
    return SpoolWriter(directory, **{**options, **changes})


def everything(reader: SpoolReader, max_bytes: int = 1 << 20) -> list[RowBlock | EventRecord]:
    found: list[RowBlock | EventRecord] = []
    while records := reader.read(max_bytes):
        found += records
    return found


def rows_of(records: list[RowBlock | EventRecord]) -> list[tuple[int, int, tuple[str, ...], bytes]]:
    found = []
    for block in records:
        if isinstance(block, RowBlock):
            width = 8 * len(block.metrics)
            for i in range(block.n):
                values = block.values[i * width : (i + 1) * width]
                found.append((block.first_seq + i, block.steps[i], block.metrics, values))
    return found


names = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=5, unique=True).map(tuple)
numbers = st.one_of(
    st.floats(),
    st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 2.0**62, 1.7976931348623157e308]),
)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), chunk=st.sampled_from([64, 700, 4096, 1 << 20]))
def test_what_is_written_is_read_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, data: Any, chunk: int
) -> None:
    writer = writer_in(tmp_path_factory.mktemp("spool"))
    sets = [KeySet(i, metrics) for i, metrics in enumerate(data.draw(st.lists(names, min_size=1, max_size=3)))]
    expected, events = [], []
    for _ in range(data.draw(st.integers(0, 40))):
        if data.draw(st.integers(0, 4)) == 0:
            body = {"type": "Params", "text": data.draw(st.text(max_size=50))}
            writer.append_event(body)
            events.append({**body, "text": body["text"].encode("utf-8", "replace").decode()})
        else:
            keys = data.draw(st.sampled_from(sets))
            step = data.draw(st.integers(-(2**63), 2**63 - 1))
            values = [data.draw(numbers) for _ in keys.metrics]
            writer.append_row(keys, step, values)
            expected.append((len(expected), step, keys.metrics, struct.pack(f"<{len(values)}d", *values)))
    writer.close()
    reader = SpoolReader(writer.directory)
    found = everything(reader, chunk)
    assert rows_of(found) == expected
    assert [record.body for record in found if isinstance(record, EventRecord)] == events
    assert reader.closed
    assert reader.position[2:] == (len(expected), len(events))
    reader.close()


@settings(max_examples=80, deadline=None)
@given(data=st.data(), chunk=st.sampled_from([64, 700, 4096, 1 << 20]))
def test_mixed_rows_are_the_rows_that_come_in_blocks(
    tmp_path_factory: pytest.TempPathFactory, data: Any, chunk: int
) -> None:
    writer = writer_in(tmp_path_factory.mktemp("spool"))
    sets = [KeySet(i, metrics) for i, metrics in enumerate(data.draw(st.lists(names, min_size=1, max_size=3)))]
    for _ in range(data.draw(st.integers(0, 20))):
        if data.draw(st.integers(0, 6)) == 0:
            writer.append_event({"type": "Params"})
        keys = data.draw(st.sampled_from(sets))
        for step in range(data.draw(st.sampled_from([1, 1, 1, 3, 40]))):
            writer.append_row(keys, step, [data.draw(numbers)] * len(keys.metrics))
    writer.close()
    with SpoolReader(writer.directory) as reader, SpoolReader(writer.directory) as other:
        expected = everything(reader, chunk)
        found: list[RowBlock | MixedRows | EventRecord] = []
        while records := other.read_mixed(chunk):
            found += records
        apart: list[RowBlock | EventRecord] = []
        for record in found:
            apart += in_blocks(record) if isinstance(record, MixedRows) else [record]
        assert rows_of(apart) == rows_of(expected)
        assert [r for r in found if isinstance(r, EventRecord)] == [r for r in expected if isinstance(r, EventRecord)]
        assert [r.last_us for r in found if not isinstance(r, EventRecord)] == [
            max(t for block in (in_blocks(r) if isinstance(r, MixedRows) else [r]) for t in block.times_us)
            for r in found
            if not isinstance(r, EventRecord)
        ]
        assert (other.position, other.closed) == (reader.position, True)


def in_blocks(mixed: MixedRows) -> list[RowBlock]:
    """Each row as a block of its own, in order."""
    rows = []
    for part in mixed.parts:
        width = 8 * len(part.metrics)
        for i, at in enumerate(part.at):
            values = part.values[i * width : (i + 1) * width]
            seq = mixed.first_seq + at
            rows.append(RowBlock(part.metrics, seq, 1, [part.steps[i]], [part.times_us[i]], values, mixed.end))
    return sorted(rows, key=lambda row: row.first_seq)


def test_damage_ends_mixed_rows_where_it_ends_blocks(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    sets = [KeySet(1, ("a", "b")), KeySet(2, ("c",))]
    for step in range(50):
        writer.append_row(sets[step % 2], step, [step] * len(sets[step % 2].metrics))
    writer.abandon()
    path = segment_path(writer.directory, 1)
    with SpoolReader(writer.directory) as reader:
        rows = reader.read_mixed()[-1]
    place = rows.end.offset - 600
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    with SpoolReader(writer.directory) as reader, SpoolReader(writer.directory) as other:
        everything(reader)
        found = other.read_mixed()[-1]
        assert other.position == reader.position == found.end
        assert 0 < other.position.row_seq < 50


def test_times_rise_strictly_even_when_the_clock_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstream.spool_writer.time_ns", lambda: 1_800_000_000_000_000_000)
    writer = writer_in(tmp_path)
    keys = KeySet(1, ("a",))
    for step in range(5):
        writer.append_row(keys, step, [1.0])
        writer.append_event({"type": "Params"})
    records = everything(SpoolReader(writer.directory))
    times = [t for r in records for t in (r.times_us if isinstance(r, RowBlock) else [r.time_us])]
    assert times == sorted(set(times))


def test_a_row_longer_than_a_segment_gets_a_segment_that_holds_it(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    metrics = tuple(f"{i:0100d}" for i in range(2000))
    writer.append_row(KeySet(1, metrics), 0, [float(i) for i in range(2000)])
    (row,) = rows_of(everything(SpoolReader(writer.directory), 512))
    assert struct.unpack("<2000d", row[3]) == tuple(range(2000))


def test_segments_stand_alone_and_grow(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    sets = [KeySet(1, ("a", "b")), KeySet(2, ("c",))]
    for step in range(9000):
        writer.append_row(sets[step % 2], step, [step] * len(sets[step % 2].metrics))
    numbers_found = segment_numbers(writer.directory)
    sizes = [segment_path(writer.directory, n).stat().st_size for n in numbers_found]
    assert len(sizes) > 3
    assert sizes[:3] == [1 << 16, 1 << 17, 1 << 17]
    for number in numbers_found[:-1]:
        segment_path(writer.directory, number).unlink()
    reader = SpoolReader(writer.directory)
    first = reader.header.first_row_seq
    assert [row[0] for row in rows_of(everything(reader))] == list(range(first, 9000))


@pytest.fixture
def three_rows(tmp_path: Path) -> tuple[SpoolWriter, int]:
    """A writer that has written an event and three rows, and where the last row begins."""
    writer = writer_in(tmp_path)
    keys = KeySet(1, ("loss", "accuracy"))
    writer.append_event({"type": "RunStarted"})
    for step in range(2):
        writer.append_row(keys, step, [step, -step])
    start = writer.position.offset
    writer.append_row(keys, 2, [2.0, -2.0])
    return writer, start


def test_a_last_record_torn_at_any_byte_costs_only_itself(three_rows: tuple[SpoolWriter, int]) -> None:
    writer, start = three_rows
    end = writer.position.offset
    path = segment_path(writer.directory, 1)
    whole = path.read_bytes()
    for cut in range(start, end):
        if not any(whole[cut:end]):
            continue  # what is missing is zeros, as the file is behind it: nothing is torn
        path.write_bytes(whole[:cut] + bytes(len(whole) - cut))
        reader = SpoolReader(writer.directory)
        assert [row[1] for row in rows_of(everything(reader))] == [0, 1], cut
        assert reader.position.offset == start
        reader.close()
        path.write_bytes(whole[:cut])
        reader = SpoolReader(writer.directory)
        assert [row[1] for row in rows_of(everything(reader))] == [0, 1], cut
        reader.close()


def test_a_flipped_bit_anywhere_in_a_record_is_noticed(three_rows: tuple[SpoolWriter, int]) -> None:
    writer, start = three_rows
    path = segment_path(writer.directory, 1)
    whole = path.read_bytes()
    for at in range(start, writer.position.offset):
        for bit in (0, 3, 7):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            path.write_bytes(damaged)
            with SpoolReader(writer.directory) as reader:
                assert [row[1] for row in rows_of(everything(reader))] == [0, 1], (at, bit)


def test_a_torn_record_is_read_once_it_is_whole(three_rows: tuple[SpoolWriter, int]) -> None:
    writer, start = three_rows
    path = segment_path(writer.directory, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[: start + 5] + bytes(len(whole) - start - 5))
    reader = SpoolReader(writer.directory)
    assert len(rows_of(everything(reader))) == 2
    path.write_bytes(whole)
    reader.close()
    assert [row[0] for row in rows_of(everything(reader))] == [2]


def test_damage_in_one_segment_leaves_the_next_readable(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    keys = KeySet(1, ("a",))
    while writer.position.segment < 3:
        writer.append_row(keys, writer.row_seq, [0.0])
    second = segment_path(writer.directory, 2)
    data = bytearray(second.read_bytes())
    data[len(data) // 2] ^= 1
    second.write_bytes(data)
    reader = SpoolReader(writer.directory)
    seqs = [row[0] for row in rows_of(everything(reader))]
    third = spool.read_header(segment_path(writer.directory, 3))[0].first_row_seq
    assert reader.damaged_segments == [2]
    assert seqs[-1] == writer.row_seq - 1
    assert set(range(third)) - set(seqs)
    assert set(range(third, writer.row_seq)) <= set(seqs)


def test_a_writer_killed_between_two_segments_loses_nothing(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    keys = KeySet(1, ("a",))
    while writer.position.segment < 2:
        writer.append_row(keys, writer.row_seq, [0.0])
    first = segment_path(writer.directory, 1)
    data = first.read_bytes()
    end = spool.RECORD.pack(24, 0, 0, 0)[:4]
    at = data.rindex(end, 0, len(data.rstrip(b"\0")))
    first.write_bytes(data[:at] + bytes(len(data) - at))
    reader = SpoolReader(writer.directory)
    assert [row[0] for row in rows_of(everything(reader))] == list(range(writer.row_seq))
    assert reader.damaged_segments == []


def test_a_reader_beside_a_live_writer_sees_every_row_once_and_in_order(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    sets = [KeySet(1, ("a", "b")), KeySet(2, ("c",))]
    writer.append_event({"type": "RunStarted"})
    total = 60_000

    def write() -> None:
        for step in range(total):
            keys = sets[step // 100 % 2]
            writer.append_row(keys, step, [step] * len(keys.metrics))
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    reader = SpoolReader(writer.directory)
    found: list[tuple[int, int]] = []
    while not reader.closed:
        for record in reader.read(1 << 15):
            if isinstance(record, RowBlock):
                found += [(record.first_seq + i, step) for i, step in enumerate(record.steps)]
    thread.join()
    assert found == [(step, step) for step in range(total)]
    assert reader.damaged_segments == []


def test_reading_goes_on_at_every_position_that_was_given_out(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    sets = [KeySet(1, ("a",)), KeySet(2, ("b", "c"))]
    for step in range(4000):
        writer.append_row(sets[step % 7 == 0], step, [0.0] * (1 + (step % 7 == 0)))
        if step % 50 == 0:
            writer.append_event({"type": "Params", "step": step})
    writer.close()
    records = everything(SpoolReader(writer.directory), 2000)
    for i in range(0, len(records), 97):
        with SpoolReader(writer.directory, records[i].end) as reader:
            rest = everything(reader)
            assert rows_of(rest) == rows_of(records[i + 1 :])
            assert reader.closed
    with SpoolReader(writer.directory, Position()) as reader:
        assert len(rows_of(everything(reader))) == 4000


def test_a_position_inside_a_record_is_refused(three_rows: tuple[SpoolWriter, int]) -> None:
    writer, start = three_rows
    with pytest.raises(SpoolError, match="no record of"):
        SpoolReader(writer.directory, Position(1, start + 8, 2, 1))


def test_the_header_tells_whose_spool_it_is(three_rows: tuple[SpoolWriter, int]) -> None:
    header = SpoolReader(three_rows[0].directory).header
    assert (header.project, header.attempt, header.rank, header.writer_id) == ("próject", 2, 3, 77)
    assert (header.pid, header.process_start) == (os.getpid(), process_start(os.getpid()))
    assert three_rows[0].directory.name == "000000000000004d"
    assert three_rows[0].directory.parent.name == str(header.run_id)


def test_a_newer_format_is_named_as_such(three_rows: tuple[SpoolWriter, int]) -> None:
    path = segment_path(three_rows[0].directory, 1)
    data = bytearray(path.read_bytes())
    data[8] = 200
    path.write_bytes(data)
    with pytest.raises(SpoolVersionError, match="pip install -U"):
        SpoolReader(three_rows[0].directory)


@pytest.mark.parametrize("content", [b"", b"RSTSPOOL", b"x" * 5000, bytes(5000)])
def test_what_is_no_segment_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "00000001.seg").write_bytes(content)
    with pytest.raises(SpoolError):
        SpoolReader(tmp_path)


def test_a_damaged_header_is_refused(three_rows: tuple[SpoolWriter, int]) -> None:
    path = segment_path(three_rows[0].directory, 1)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(SpoolError, match="damaged"):
        SpoolReader(three_rows[0].directory)


def header_of(**changes: Any) -> SegmentHeader:
    fields: dict[str, Any] = {
        "run_id": uuid.uuid4(),
        "writer_id": 1,
        "segment": 1,
        "attempt": 0,
        "rank": 0,
        "pid": os.getpid(),
        "process_start": process_start(os.getpid()),
        "pid_namespace": pid_namespace(),
        "created_us": 0,
        "boot_id": boot_id(),
        "first_row_seq": 0,
        "first_event_seq": 0,
        "project": "p",
        "host": os.uname().nodename,
    }
    return SegmentHeader(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "lives"),
    [
        ({}, True),
        ({"process_start": 1}, False),  # the pid belongs to another process by now
        ({"pid": 2**22 + 5}, False),
        ({"boot_id": b"x" * 16}, False),  # the machine has been started anew
        ({"pid_namespace": 1}, False),  # another container, and nobody holds the lock
    ],
)
def test_a_writer_is_known_by_more_than_its_pid(tmp_path: Path, changes: dict[str, Any], lives: bool) -> None:
    assert spool.writer_lives(tmp_path, header_of(**changes)) is lives


def test_a_writer_of_another_container_is_known_by_its_lock(tmp_path: Path) -> None:
    fd = spool.hold_lock(tmp_path)
    assert spool.writer_lives(tmp_path, header_of(pid_namespace=1, pid=1))
    os.close(fd)
    assert not spool.writer_lives(tmp_path, header_of(pid_namespace=1, pid=1))


def test_a_writer_of_another_machine_lives_until_its_files_rest_for_a_day(tmp_path: Path) -> None:
    header = header_of(boot_id=b"y" * 16, host="elsewhere")
    file = tmp_path / "00000001.seg"
    file.write_bytes(b"")
    assert spool.writer_lives(tmp_path, header)
    os.utime(file, (1, 1))
    assert not spool.writer_lives(tmp_path, header)


def test_a_zombie_is_dead() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert process_start(pid) == 0
    finally:
        os.waitpid(pid, 0)


def test_acknowledged_segments_go_and_the_rest_stays(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    keys = KeySet(1, ("a",))
    while writer.position.segment < 4:
        writer.append_row(keys, writer.row_seq, [0.0])
    freed = spool.delete_acknowledged(writer.directory, Position(3, 500, 0, 0))
    assert freed == (1 << 16) + (1 << 17)
    assert segment_numbers(writer.directory) == [3, 4]


def test_a_deleted_spool_leaves_nothing_and_a_neighbour_stays(tmp_path: Path) -> None:
    run_id = new_run_id()
    writers = [writer_in(tmp_path, run_id=run_id, writer_id=i) for i in (1, 2)]
    for writer in writers:
        writer.append_event({"type": "RunStarted"})
    (writers[0].directory / "files" / "1").mkdir(parents=True)
    assert list(list_spools(tmp_path)) == [writer.directory for writer in writers]
    spool.delete_spool(writers[0].directory)
    assert list(list_spools(tmp_path)) == [writers[1].directory]
    spool.delete_spool(writers[1].directory)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_spool_takes_no_more_room_than_it_holds(three_rows: tuple[SpoolWriter, int]) -> None:
    writer, _ = three_rows
    assert not spool.is_closed(writer.directory)
    offset = writer.position.offset
    writer.close()
    assert segment_path(writer.directory, 1).stat().st_size == offset + spool.END_BYTES
    assert spool.is_closed(writer.directory)


def test_the_cursor_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    cursor = Cursor(
        position=Position(3, 4096, 17, 5),
        queryable=Position(1, 128, 3, 2),
        counts={"lóss": (17, 1, 0)},
        finished=True,
        sent={"p.metrics": (3, 2**40)},
        ending={"state": "killed", "time_us": 5},
        preempted=True,
    )
    cursor.save(tmp_path)
    assert Cursor.load(tmp_path) == cursor
    assert acknowledged(tmp_path) == cursor.position
    assert places(tmp_path) == (cursor.position, cursor.queryable, False, True)
    assert [path.name for path in tmp_path.iterdir()] == ["cursor"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"position": [1], "counts": {}, "finished": false}', '{"counts": 3}']
)
def test_a_cursor_that_cannot_be_read_means_from_the_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "cursor").write_text(content)
    assert Cursor.load(tmp_path) == Cursor()


def test_no_room_at_the_next_segment_writes_nothing_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = True

    def allocate(fd: int, size: int) -> None:
        if not room:
            raise OSError(28, "No space left on device")
        os.posix_fallocate(fd, 0, size)

    writer = writer_in(tmp_path, allocate=allocate)
    keys = KeySet(1, ("a",))
    writer.append_row(keys, 0, [0.0])
    room = False
    failed = -1
    while failed < 0:
        try:
            writer.append_row(keys, writer.row_seq, [0.0])
        except OSError:
            failed = writer.row_seq
    with pytest.raises(OSError, match="No space"):
        writer.append_row(keys, failed, [0.0])
    writer.append_event({"type": "RunFinished"})  # waits in memory
    assert [path.name for path in writer.directory.iterdir() if path.suffix != ""] == ["00000001.seg"]
    room = True
    monkeypatch.setattr("runstream.spool_room.RETRY_AFTER_S", 0.0)
    writer._room.retry_now()
    writer.append_row(keys, failed, [0.0])
    writer.close()
    reader = SpoolReader(writer.directory)
    records = everything(reader)
    assert [row[0] for row in rows_of(records)] == list(range(failed + 1))
    assert [r.body["type"] for r in records if isinstance(r, EventRecord)] == ["RunFinished"]
    assert reader.closed
    assert reader.damaged_segments == []


def test_a_file_system_that_cannot_reserve_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.posix_fallocate", fail)
    writer = writer_in(tmp_path, segment_bytes=(1 << 20) + 4096, segment_max_bytes=1 << 22)
    writer.append_row(KeySet(1, ("a",)), 0, [0.0])
    assert segment_path(writer.directory, 1).stat().st_blocks * 512 >= (1 << 20) + 4096
    assert len(rows_of(everything(SpoolReader(writer.directory)))) == 1


def test_the_cap_counts_what_is_not_sent_yet(tmp_path: Path) -> None:
    writer = writer_in(tmp_path, max_bytes=1 << 17)
    keys = KeySet(1, ("a",))
    for _ in range(1500):
        writer.append_row(keys, 0, [0.0])
    with pytest.raises(OSError, match="RUNSTREAM_SPOOL_MAX_BYTES"):
        writer.append_row(KeySet(2, tuple(map(str, range(4096)))), 0, [0.0] * 4096)
    assert segment_numbers(writer.directory) == [1]


def interrupted(writer: SpoolWriter, keys: KeySet) -> Callable[[], None]:
    """A write after which the bookkeeping did not happen, as when a signal handler raises."""

    def write() -> None:
        before = (writer._pos, writer.row_seq, writer.last_us)
        writer.append_row(keys, 5, [5.0])
        writer._pos, writer.row_seq, writer.last_us = before

    return write


def test_a_write_cut_short_by_an_exception_is_neither_lost_nor_overwritten(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    keys = KeySet(1, ("a",))
    writer.append_row(keys, 4, [4.0])
    interrupted(writer, keys)()
    writer.append_row(keys, 6, [6.0])
    interrupted(writer, keys)()
    writer.append_event({"type": "Params"})
    reader = SpoolReader(writer.directory)
    records = everything(reader)
    assert [row[:2] for row in rows_of(records)] == [(0, 4), (1, 5), (2, 6), (3, 5)]
    times = [t for r in records for t in (r.times_us if isinstance(r, RowBlock) else [r.time_us])]
    assert times == sorted(set(times))


def test_many_events_that_waited_come_once_and_in_order(tmp_path: Path) -> None:
    room = False

    def allocate(fd: int, size: int) -> None:
        if not room:
            raise OSError(28, "No space left on device")
        os.posix_fallocate(fd, 0, size)

    writer = writer_in(tmp_path, allocate=allocate)
    for i in range(200):
        writer.append_event({"type": "Params", "i": i, "text": "x" * 2000})
    room = True
    writer._room.retry_now()
    writer.append_row(KeySet(1, ("a",)), 0, [0.0])
    records = everything(SpoolReader(writer.directory))
    assert [r.body["i"] for r in records if isinstance(r, EventRecord)] == list(range(200))
    assert len(rows_of(records)) == 1
    assert len(segment_numbers(writer.directory)) > 2
