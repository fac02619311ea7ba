"""Outboxes: append-only files that survive the death of their writer at any byte."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runstream.companion.outbox import (
    CONSOLE,
    NOTE,
    OUTPUT,
    OUTPUT_HEAD,
    OutboxReader,
    OutboxWriter,
    file_name,
    numbers,
    pack,
    remove_before,
)


def read_all(directory: Path, at: tuple[int, int] = (0, 0)) -> list[bytes]:
    reader = OutboxReader(str(directory), CONSOLE, at)
    found: list[bytes] = []
    while records := reader.read():
        found += [bytes(record.body) for record in records if record.kind == NOTE]
    reader.close()
    return found


@given(
    texts=st.lists(st.binary(max_size=300), max_size=30),
    file_bytes=st.integers(1, 2000),
    dies_after=st.sets(st.integers(0, 29)),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_added_is_read_whoever_died_in_between(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], file_bytes: int, dies_after: set[int]
) -> None:
    directory = tmp_path_factory.mktemp("outbox")
    writer = OutboxWriter(str(directory), CONSOLE, file_bytes=file_bytes)
    for i, text in enumerate(texts):
        writer.append(pack(NOTE, 1, text))
        if i in dies_after:
            last = directory / file_name(CONSOLE, numbers(directory, CONSOLE)[-1])
            with last.open("ab") as file:
                file.write(pack(NOTE, 1, b"torn")[: 1 + i % 20])
            writer = OutboxWriter(str(directory), CONSOLE, file_bytes=file_bytes)
    assert read_all(directory) == texts


def test_a_reader_goes_on_where_it_was(tmp_path: Path) -> None:
    writer = OutboxWriter(str(tmp_path), CONSOLE, file_bytes=64)
    for i in range(5):
        writer.append(pack(NOTE, 1, b"%d" % i))
    reader = OutboxReader(str(tmp_path), CONSOLE)
    reader.read()
    place = reader.at
    rest = read_all(tmp_path, place)
    assert rest == [b"%d" % i for i in range(5)][-len(rest) :]
    remove_before(str(tmp_path), CONSOLE, place[0])
    assert read_all(tmp_path, place) == rest
    assert numbers(tmp_path, CONSOLE)[0] == place[0]


def test_a_torn_end_of_a_file_with_a_successor_is_passed(tmp_path: Path) -> None:
    OutboxWriter(str(tmp_path), CONSOLE).append(pack(NOTE, 1, b"first"))
    with (tmp_path / file_name(CONSOLE, 1)).open("ab") as file:
        file.write(b"\x99" * 13)
    OutboxWriter(str(tmp_path), CONSOLE, anew=True).append(pack(NOTE, 1, b"second"))
    assert read_all(tmp_path) == [b"first", b"second"]


@pytest.mark.parametrize("content", [b"", b"RST", b"not an outbox at all", b"RSOUTBX1"])
def test_a_file_that_is_none_holds_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / file_name(CONSOLE, 1)).write_bytes(content)
    assert read_all(tmp_path) == []


def test_a_full_outbox_takes_nothing_until_files_are_removed(tmp_path: Path) -> None:
    writer = OutboxWriter(str(tmp_path), CONSOLE, max_bytes=3000, file_bytes=500)
    for _ in range(20):
        writer.append(pack(NOTE, 1, b"x" * 100))
    with pytest.raises(OSError, match="wait to be sent") as refused:
        writer.append(pack(NOTE, 1, b"x" * 2000))
    assert refused.value.errno == errno.EDQUOT
    held = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert held <= 3000
    remove_before(str(tmp_path), CONSOLE, numbers(tmp_path, CONSOLE)[-1])
    added = False
    while not added:  # it looks again every half a second
        try:
            writer.append(pack(NOTE, 1, b"later"))
            added = True
        except OSError as error:
            assert error.errno == errno.EDQUOT  # noqa: PT017
    assert read_all(tmp_path)[-1] == b"later"


def test_on_a_full_disk_nothing_is_added_in_part(tmp_path: Path) -> None:
    import resource
    import signal

    writer = OutboxWriter(str(tmp_path), CONSOLE)
    writer.append(pack(NOTE, 1, b"first"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        with pytest.raises(OSError, match=r"."):
            writer.append(pack(NOTE, 1, b"x" * 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    writer.append(pack(NOTE, 1, b"second"))
    assert read_all(tmp_path) == [b"first", b"second"]


def test_who_goes_on_knows_the_last_round_of_each_stream(tmp_path: Path) -> None:
    writer = OutboxWriter(str(tmp_path), CONSOLE)
    for stream, number in ((1, 7), (2, 3), (1, 8)):
        writer.append(pack(OUTPUT, stream, OUTPUT_HEAD.pack(1, number), b"text"))
    assert OutboxWriter(str(tmp_path), CONSOLE).last_rounds == {1: 8, 2: 3}


def test_a_directory_that_is_gone_raises(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(FileNotFoundError):
        OutboxWriter(str(gone), CONSOLE).append(pack(NOTE, 1, b""))
    assert OutboxReader(str(gone), CONSOLE).read() == []
    assert list(tmp_path.iterdir()) == []
