"""Giving up the oldest rows of a spool for newer ones, and the record of what was given up."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from runstream.errors import SpoolError
from runstream.spool import (
    END,
    END_BODY,
    EVENT,
    FRAME,
    RECORD,
    ROW,
    SegmentHeader,
    aligned,
    segment_path,
)
from runstream.spool_cursor import acknowledged
from runstream.spool_records import record


def give_up_rows(directory: Path, number: int) -> tuple[int, int]:
    """Remove the rows of a segment that has a successor; first and end sequence of those that were not sent.

    Its events stay, under their sequences: in a smaller file that replaces it at once. A reader that has the old file
    open still reads that. Equal sequences, or an OSError or SpoolError on the way: nothing was lost.
    """
    path = segment_path(directory, number)
    try:
        data = path.read_bytes()
        header, start = SegmentHeader.unpack(path, data)
    except (OSError, SpoolError):
        return 0, 0  # the agent has just removed it
    events, rows, event_count = _parts_of(data, start)
    first, end = header.first_row_seq, header.first_row_seq + rows
    sent = acknowledged(directory)
    try:
        if events:
            last = record(END, 0, END_BODY.pack(end, header.first_event_seq + event_count))
            temporary = path.with_suffix(".kept")
            temporary.write_bytes(data[:start] + events + last)
            temporary.replace(path)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        return 0, 0  # no room even for the events: the segment stays as it is
    return max(first, min(sent.row_seq, end)) if sent is not None else first, end


def gap_event(writer_id: int, first: int, end: int, reason: str, actor: str) -> dict[str, Any]:
    """Why rows `first` to `end - 1` of a writer are missing, as the attribute `gap:<writer>:<first>` of its run."""
    why = json.dumps({"end": end, "reason": reason})
    return {"type": "Attributes", "values": {f"gap:{writer_id:016x}:{first}": why}, "actor": actor}


def _parts_of(data: bytes, at: int) -> tuple[bytes, int, int]:
    """The event records as they are, the number of rows, and the number of events."""
    events, rows, count = b"", 0, 0
    while at + RECORD.size <= len(data):
        length, crc, kind, _ = RECORD.unpack_from(data, at)
        end = at + FRAME.size + length
        if length < FRAME.size or end > len(data) or zlib.crc32(data[at + FRAME.size : end]) != crc or kind == END:
            break
        if kind == EVENT:
            events += data[at : aligned(end)]
            count += 1
        rows += kind == ROW
        at = aligned(end)
    return events, rows, count
