"""What a storm does to spool directories: tears their ends and keeps copies to send again."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from runstream.spool import RECORD, aligned, read_header, segment_numbers, segment_path
from runstream.spool_cursor import NAME as CURSOR


def tear(writer: Path, dice: random.Random) -> bool:
    """Leave half a record behind the last whole one, as a process does that dies while it writes."""
    numbers = segment_numbers(writer)
    if not numbers:
        return False
    path = segment_path(writer, numbers[-1])
    _, at = read_header(path)
    with path.open("r+b") as segment:
        data = segment.read()
        while at + RECORD.size <= len(data):
            length = RECORD.unpack_from(data, at)[0]
            if not length:
                break
            at = aligned(at + 8 + length)
        room = len(data) - at
        if room < 128:
            return False
        body = dice.randbytes(dice.randint(1, 40))
        segment.seek(at)
        segment.write(RECORD.pack(56, dice.getrandbits(32), 2, 0)[: dice.randint(4, RECORD.size)] + body)
    return True


def keep_copy(writer: Path, directory: Path) -> bool:
    """A data directory that holds the writer's spool as it is, to be sent again later.

    A spool that is whole goes without its cursor, so that all of it is sent again. Without its first segment it keeps
    the cursor: the cumulative counts in it cannot be had from the rest.
    """
    if not segment_numbers(writer):
        return False
    copy = directory / "spool" / writer.parent.name / writer.name
    shutil.copytree(writer, copy)
    if segment_numbers(copy)[:1] == [1]:
        (copy / CURSOR).unlink(missing_ok=True)
    return True
