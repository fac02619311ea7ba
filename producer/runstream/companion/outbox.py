"""Outboxes: what a companion process records for the agent, in append-only files of the writer's directory.

    console.00000001.out, console.00000002.out, …     what was printed
    system.00000001.out, …                            samples of the machine
    companion.lock                                    held by flock while something may still be added

A file is MAGIC, then records, little-endian, each at a multiple of 8:

    length u32, CRC-32 u32 of what follows, kind u32, argument u32, body, zeros up to a multiple of 8

`length` counts kind, argument and body. Nothing is ever changed; a torn record at the end of the last file is cut off
by whoever writes on, and is the end where nobody does. The agent removes a file that has a successor and is sent.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import time
import zlib
from collections.abc import Iterator
from typing import NamedTuple

MAGIC = b"RSOUTBX1"
OUTPUT = 1
"""What was printed. Argument: 1 stdout, 2 stderr, 3 what a notebook shows; body: time_us i64, round u64, the bytes."""
NOTE = 2
"""What this library has to say in between, such as how much was left out. Argument as of OUTPUT; body: time_us i64,
UTF-8."""
KEYS = 3
"""What the samples that follow hold, in every file again: JSON `{"node": …, "keys": [[metric, device], …]}`."""
SAMPLE = 4
"""Body: time_us i64, one f64 a key (NaN: could not be read)."""
END = 5
"""The last record of a file. Argument: 1 when nothing follows, 0 when the next file does."""

CONSOLE, SYSTEM = "console", "system"
LOCK = "companion.lock"
RECORD = struct.Struct("<IIII")
OUTPUT_HEAD = struct.Struct("<qQ")
TIME = struct.Struct("<q")
FILE_BYTES = 4 << 20
LOOK_EVERY_S = 0.5
_NAME = re.compile(r"(console|system)\.(\d{8})\.out")


class Record(NamedTuple):
    """One record, and the place behind it in its file."""

    kind: int
    argument: int
    body: memoryview
    end: int


def file_name(name: str, number: int) -> str:
    return f"{name}.{number:08d}.out"


def numbers(directory: str | os.PathLike[str], name: str) -> list[int]:
    """Numbers of the files of the outbox `name`, ascending; empty when there is none, or no directory."""
    try:
        entries = os.listdir(directory)
    except OSError:
        return []
    return sorted(int(match[2]) for entry in entries if (match := _NAME.fullmatch(entry)) and match[1] == name)


def pack(kind: int, argument: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    head = struct.pack("<II", kind, argument)
    crc = zlib.crc32(body, zlib.crc32(head))
    size = len(body) + 8
    return b"".join((struct.pack("<II", size, crc), head, body, bytes(-(size + 8) % 8)))


def parse(data: memoryview, start: int) -> Iterator[Record]:
    """The complete records of `data`, the content of a file from `start` on; ends before the first that is none."""
    at = 0
    while at + RECORD.size <= len(data):
        length, crc, kind, argument = RECORD.unpack_from(data, at)
        end = at + 8 + length
        padded = end + 7 & ~7
        if length < 8 or padded > len(data) or zlib.crc32(data[at + 8 : end]) != crc:
            return
        yield Record(kind, argument, data[at + RECORD.size : end], start + padded)
        at = padded


class OutboxWriter:
    """Appends to an outbox. It goes on where an earlier process, that was killed, left off.

    `max_bytes`: what may lie in the directory; then `append` raises OSError(EDQUOT), as it does with ENOSPC for a full
    disk; in both cases nothing is added and a later call may succeed. `anew`: begin another file, whoever has the last.
    """

    def __init__(
        self,
        directory: str,
        name: str,
        *,
        max_bytes: int = 1 << 62,
        file_bytes: int = FILE_BYTES,
        anew: bool = False,
    ) -> None:
        self._directory = directory
        self._name = name
        self._max_bytes = max_bytes
        self._file_bytes = file_bytes
        self._fd = -1
        self._size = 0
        self._other_bytes = 0
        self._look_at = 0.0
        self.head = b""
        """A record that opens every further file."""
        self.last_rounds: dict[int, int] = {}
        """Stream to the round of its last output in the last file."""
        found = numbers(directory, name)
        self._number = found[-1] if found else 0
        if found and not anew:
            self._go_on()
        self._look()

    def append(self, record: bytes, *, beyond_max: bool = False) -> None:
        """Add a record (or several) whole, or raise OSError and add nothing. `beyond_max`: however much there is."""
        if self._fd < 0 or self._size >= self._file_bytes:
            self._next_file()
        over = self._other_bytes + self._size + len(record) > self._max_bytes
        if over and not beyond_max and not self._has_room(len(record)):
            raise OSError(errno.EDQUOT, f"more than {self._max_bytes:,} bytes wait to be sent")
        self._write(record)

    def close(self) -> None:
        """Say that nothing follows. Raises OSError when there is no room for that; the outbox then just ends."""
        if self._fd >= 0:
            try:
                self._write(pack(END, 1))
            finally:
                os.close(self._fd)
                self._fd = -1

    def _next_file(self) -> None:
        if self._fd >= 0:
            self._write(pack(END, 0))
            os.close(self._fd)
            self._fd = -1
            self._other_bytes += self._size
        self._number += 1
        path = os.path.join(self._directory, file_name(self._name, self._number))
        self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        self._size = 0
        self._look_at = 0.0
        try:
            self._write(MAGIC + self.head)
        except OSError:
            os.close(self._fd)
            self._fd = -1
            self._number -= 1
            os.unlink(path)
            raise

    def _has_room(self, size: int) -> bool:
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_EVERY_S
        self._look()
        return self._other_bytes + self._size + size <= self._max_bytes

    def _look(self) -> None:
        self._other_bytes = 0
        for number in numbers(self._directory, self._name):
            if number != self._number or self._fd < 0:
                try:
                    self._other_bytes += os.stat(self._path(number)).st_size
                except OSError:
                    continue  # the agent has just removed it

    def _path(self, number: int) -> str:
        return os.path.join(self._directory, file_name(self._name, number))

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self._fd, data)
        except OSError:
            self._take_back()
            raise
        if written < len(data):
            self._take_back()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def _take_back(self) -> None:
        os.ftruncate(self._fd, self._size)
        os.lseek(self._fd, self._size, os.SEEK_SET)

    def _go_on(self) -> None:
        fd = os.open(self._path(self._number), os.O_RDWR | os.O_CLOEXEC)
        data = os.pread(fd, os.fstat(fd).st_size, 0)
        end, closed = len(MAGIC), False
        if data[: len(MAGIC)] == MAGIC:
            for record in parse(memoryview(data)[len(MAGIC) :], len(MAGIC)):
                end, closed = record.end, record.kind == END
                if record.kind == OUTPUT:
                    self.last_rounds[record.argument] = OUTPUT_HEAD.unpack_from(record.body)[1]
        else:
            os.pwrite(fd, MAGIC, 0)
        if closed:
            os.close(fd)
            return
        os.ftruncate(fd, end)
        os.lseek(fd, end, os.SEEK_SET)
        self._fd, self._size = fd, end


class OutboxReader:
    """Reads an outbox from a place on. `at` is the number of the file and the place in it of the next record."""

    def __init__(self, directory: str, name: str, at: tuple[int, int] = (0, 0)) -> None:
        self.at = at
        self._directory = directory
        self._name = name
        self._fd = -1
        self._open_number = -1

    def read(self, max_bytes: int = 1 << 20) -> list[Record]:
        """The next complete records, about `max_bytes` of them; empty when there are none yet."""
        if not self._opened():
            return []
        number, offset = self.at
        records = self._parsed(max_bytes, offset)
        if not records and any(later > number for later in numbers(self._directory, self._name)):
            records = self._parsed(max_bytes, offset)  # what came since; nobody adds to a file that has a successor
            if not records:
                self.at = (number + 1, 0)
                return self.read(max_bytes)
        if records:
            last = records[-1]
            self.at = (number + 1, 0) if last.kind == END and not last.argument else (number, last.end)
        return records

    def _parsed(self, max_bytes: int, offset: int) -> list[Record]:
        data = os.pread(self._fd, max_bytes, offset)
        records = list(parse(memoryview(data), offset))
        if not records and len(data) == max_bytes:  # one record is larger
            data = os.pread(self._fd, os.fstat(self._fd).st_size, offset)
            records = list(parse(memoryview(data), offset))
        return records

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = self._open_number = -1

    def _opened(self) -> bool:
        number, offset = self.at
        if number != self._open_number:
            self.close()
            found = [n for n in numbers(self._directory, self._name) if n >= number]
            if not found:
                return False
            if found[0] != number:
                number, offset = found[0], 0
            try:
                self._fd = os.open(
                    os.path.join(self._directory, file_name(self._name, number)), os.O_RDONLY | os.O_CLOEXEC
                )
            except OSError:
                return False
            self._open_number = number
            self.at = (number, offset)
        if offset == 0:
            if len(os.pread(self._fd, len(MAGIC), 0)) < len(MAGIC):
                return any(later > number for later in numbers(self._directory, self._name))
            self.at = (number, len(MAGIC))
        return True


def remove_before(directory: str, name: str, number: int) -> None:
    """Remove the files of an outbox that lie before file `number`."""
    for earlier in numbers(directory, name):
        if earlier < number:
            try:
                os.unlink(os.path.join(directory, file_name(name, earlier)))
            except FileNotFoundError:
                continue
