"""One stream of the companion, stopped between a write and its account."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runstream.companion.stream import FIELDS, Stream


class Written:
    def __init__(self) -> None:
        self.data = b""

    def record(self, stream: Stream, data: bytes) -> None:
        self.data += data

    def said(self, text: str) -> None:
        raise AssertionError(text)


@pytest.mark.parametrize("others", [b"", b"from elsewhere"])
def test_an_appended_piece_is_not_repeated_by_who_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: bytes
) -> None:
    out = tmp_path / "out"
    target = os.open(out, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    source, printing = os.pipe()
    stream, written = Stream(1, source, target, memoryview(bytearray(8 * FIELDS)).cast("q")), Written()
    accounted, killed = os.read, []

    def read(fd: int, size: int) -> bytes:
        if fd == stream._queue[0] and not killed:
            killed.append(fd)
            raise KeyboardInterrupt
        return accounted(fd, size)

    monkeypatch.setattr(os, "read", read)
    os.write(printing, b"first\n")
    with pytest.raises(KeyboardInterrupt):
        stream.advance(written)
    assert out.read_bytes() == b"first\n"
    if others:
        with out.open("ab") as file:
            file.write(others)
    stream.advance(written)
    for piece in (b"again\n", b"again\n"):
        os.write(printing, piece)
        stream.advance(written)
    # Rather twice than never, where somebody else has appended meanwhile.
    assert out.read_bytes() == b"first\n" + (others + b"first\n" if others else b"") + b"again\nagain\n"
    assert written.data == b"first\nagain\nagain\n"
    os.close(printing)
    stream.close_all()
