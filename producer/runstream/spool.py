"""The spool's format on disk: directories, segment headers and record kinds.

    <spool dir>/<run_id>/<writer_id as 16 hex digits>/
        00000001.seg …   segments, mapped by the writer
        lock             held by flock while the writer lives
        cursor           what has been acknowledged (written by the agent)
        files/<n>/…      staged artifact files
        awaited/…        events that wait for those (written by the agent)

A segment is a header and records, little-endian, each at a multiple of 8:

    length u32, CRC-32 u32 of what follows, kind u32, argument u32, body, zeros up to a multiple of 8

`length` counts kind, argument and body. A record is complete when its CRC holds; a length of 0 is "not written yet".
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import re
import struct
import time
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from runstream.errors import SpoolError, SpoolVersionError
from runstream.identity import NO_BOOT, boot_id, host_name, lock_is_held, pid_namespace, process_lives

VERSION = 6
"""Rises with every change of the files or of what an event may hold: an agent that knows neither leaves the spool to a
newer one. 1: until 0.1; 2: RunRewound, forks, sequences that were given up; 5: MediaStored;
6: EventAwaited and what is in `awaited/`, artifacts of other projects in ModelEdited."""
MAGIC = b"RSTSPOOL"
KEYS = 1
"""A set of metric names; argument: its number; body: a JSON array of the names."""
ROW = 2
"""One log() call; argument: the key set's number; body: step i64, time_us i64, one f64 a metric."""
EVENT = 3
"""A control event; body: time_us i64, then a JSON object."""
END = 4
"""The last record; argument: 1 when the writer is closed, 0 when the next segment follows; body: next row seq, next
event seq."""

RECORD = struct.Struct("<IIII")
FRAME = struct.Struct("<II")
ROW_BODY = struct.Struct("<qq")
EVENT_BODY = struct.Struct("<q")
END_BODY = struct.Struct("<qq")
END_BYTES = RECORD.size + END_BODY.size
MAX_ROW_METRICS = 4096
"""A log() call with more metrics becomes several rows, so that a row always fits a broker's message."""
MAX_ROW_NAME_BYTES = 256 * 1024
MAX_EVENT_BYTES = 768 * 1024

FOREIGN_WRITER_SILENT_S = 24 * 3600.0
SEGMENT_NAME = re.compile(r"(\d{8})\.seg")
WRITER_NAME = re.compile(r"[0-9a-f]{16}")

_HEADER = struct.Struct("<8sHH16sQIIIQQQQ16sqqHH")
_START = struct.Struct("<8sHH")


class Position(NamedTuple):
    """A place between two records: `row_seq` and `event_seq` are the sequences of the next row and event."""

    segment: int = 1
    offset: int = 0
    """Bytes from the start of the segment; 0 stands for the first record."""
    row_seq: int = 0
    event_seq: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment says of itself and of the process that writes it."""

    run_id: uuid.UUID
    writer_id: int
    segment: int
    attempt: int
    rank: int
    pid: int
    process_start: int
    """Clock ticks from boot to the start of the process; 0: unknown."""
    pid_namespace: int
    created_us: int
    boot_id: bytes
    first_row_seq: int
    first_event_seq: int
    project: str
    host: str

    def pack(self) -> bytes:
        project, host = self.project.encode(), self.host.encode()
        size = aligned(_HEADER.size + len(project) + len(host) + 4)
        packed = _HEADER.pack(
            MAGIC,
            VERSION,
            size,
            self.run_id.bytes,
            self.writer_id,
            self.segment,
            self.attempt,
            self.rank,
            self.pid,
            self.process_start,
            self.pid_namespace,
            self.created_us,
            self.boot_id,
            self.first_row_seq,
            self.first_event_seq,
            len(project),
            len(host),
        )
        body = (packed + project + host).ljust(size - 4, b"\0")
        return body + zlib.crc32(body).to_bytes(4, "little")

    @classmethod
    def unpack(cls, path: Path, data: bytes) -> tuple[SegmentHeader, int]:
        """The header at the start of `data` and its size in bytes.

        Older formats are read as well. Raises SpoolVersionError for a newer one, SpoolError for anything else that is
        not a complete header.
        """
        if len(data) < _START.size or data[:8] != MAGIC:
            raise SpoolError(path, "not a spool segment")
        _, version, size = _START.unpack_from(data)
        if version > VERSION:
            raise SpoolVersionError(path, version, VERSION)
        if size < _HEADER.size + 4 or len(data) < size:
            raise SpoolError(path, "the segment's header is cut off")
        if zlib.crc32(data[: size - 4]) != int.from_bytes(data[size - 4 : size], "little"):
            raise SpoolError(path, "the segment's header is damaged")
        fields = _HEADER.unpack_from(data)
        names = _HEADER.size
        project_bytes, host_bytes = fields[-2:]
        project = data[names : names + project_bytes].decode()
        host = data[names + project_bytes : names + project_bytes + host_bytes].decode()
        header = cls(*(uuid.UUID(bytes=fields[3]), *fields[4:-2], project, host))
        return header, size


def aligned(size: int) -> int:
    return size + 7 & ~7


def read_header(segment: Path) -> tuple[SegmentHeader, int]:
    """The header of the file `segment` and the offset of its first record. Raises SpoolError or OSError."""
    with segment.open("rb") as file:
        return SegmentHeader.unpack(segment, file.read(4096))


def writer_dir(spool_dir: Path, run_id: uuid.UUID, writer_id: int) -> Path:
    return spool_dir / str(run_id) / f"{writer_id:016x}"


def segment_path(directory: Path, number: int) -> Path:
    return directory / f"{number:08d}.seg"


def segment_numbers(directory: Path) -> list[int]:
    """Numbers of the segments in a writer's directory, ascending; empty when there is none or no directory."""
    try:
        names = [entry.name for entry in os.scandir(directory)]
    except OSError:
        return []
    return sorted(int(match[1]) for name in names if (match := SEGMENT_NAME.fullmatch(name)))


def list_spools(spool_dir: Path) -> Iterator[Path]:
    """The writers' directories that hold at least one segment, in order of run and writer."""
    for run in _directories(spool_dir):
        for writer in _directories(run):
            if WRITER_NAME.fullmatch(writer.name) and segment_numbers(writer):
                yield writer


def _directories(path: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def is_closed(directory: Path) -> bool:
    """Whether the writer has put down its last record; it then also cut the segment off behind it."""
    numbers = segment_numbers(directory)
    try:
        with segment_path(directory, numbers[-1] if numbers else 0).open("rb") as file:
            file.seek(-END_BYTES, os.SEEK_END)
            record = file.read()
    except OSError:
        return False
    length, crc, kind, argument = RECORD.unpack_from(record)
    whole: bool = length == END_BYTES - FRAME.size and zlib.crc32(record[8:]) == crc
    return whole and (kind, argument) == (END, 1)


def writer_lives(directory: Path, header: SegmentHeader) -> bool:
    """Whether the process that writes this spool still runs.

    On this machine: by pid and start time, or, from another container, by the lock that the writer holds. A writer of
    another machine (a shared directory) counts as alive until its files have not changed for a day.
    """
    here = boot_id()
    if header.boot_id == here != NO_BOOT or (here == NO_BOOT and header.host == host_name()):
        if header.pid_namespace == pid_namespace():
            return process_lives(header.pid, header.process_start)
        return lock_is_held(directory / "lock")
    if header.host == host_name():
        return False  # this machine has been started anew since
    return time.time() - _last_change(directory) < FOREIGN_WRITER_SILENT_S


def _last_change(directory: Path) -> float:
    try:
        return max((entry.stat().st_mtime for entry in os.scandir(directory)), default=0.0)
    except OSError:
        return 0.0


def delete_acknowledged(directory: Path, position: Position) -> int:
    """Remove the segments that lie wholly before `position`; the bytes freed."""
    freed = 0
    for number in segment_numbers(directory):
        if number < position.segment:
            path = segment_path(directory, number)
            with contextlib.suppress(FileNotFoundError):  # its writer gave it up
                freed += path.stat().st_size
                path.unlink()
    return freed


def delete_spool(directory: Path) -> None:
    """Remove a writer's directory with its staged files, and the run's directory when it was the last one.

    Segments go last and in order, so that what an interrupted call leaves is still a spool with its position.
    """
    import shutil

    shutil.rmtree(directory / "files", ignore_errors=True)
    for number in segment_numbers(directory)[:-1]:
        segment_path(directory, number).unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)
    try:
        directory.parent.rmdir()
    except OSError:
        return  # other writers of the run are there


def hold_lock(directory: Path) -> int:
    """Create and lock the writer's `lock` file; the descriptor, to be kept open while the writer lives."""
    fd = os.open(directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd
