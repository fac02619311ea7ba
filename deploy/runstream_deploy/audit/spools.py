"""The spools of this host: how far each writer got, what of it waits to be acknowledged, what is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runstream.errors import SpoolError
from runstream.spool import Position, list_spools
from runstream.spool_cursor import Cursor
from runstream.spool_reader import RowBlock, SpoolReader
from runstream_ingest import stretches
from runstream_ingest.stretches import Stretches


@dataclass(frozen=True, slots=True)
class SpoolState:
    """One writer's directory."""

    directory: Path
    project: str
    run_id: str
    writer: int
    rows: int
    """Sequence numbers that it gave to rows so far."""
    rows_waiting: Stretches
    """Those of them that can be read here and are not acknowledged; what of a file that is gone is in no stretch."""
    events: int
    events_waiting: Stretches
    damaged: tuple[int, ...]
    """Segments whose rest cannot be read."""


def states(spool_dir: Path) -> Iterator[SpoolState | tuple[Path, str]]:
    """Each writer's state, or the directory and why it cannot be read. What is not acknowledged is read through."""
    for directory in list_spools(spool_dir):
        try:
            yield _state(directory)
        except (SpoolError, OSError) as error:
            # The agent removes what was acknowledged, also while we look.
            if directory.exists():
                yield directory, str(error)


def _state(directory: Path) -> SpoolState:
    acknowledged = Cursor.load(directory).position
    with SpoolReader(directory) as reader:
        header, first = reader.header, reader.position
    known = acknowledged != Position() and acknowledged.segment >= first.segment
    rows: Stretches = []
    events: Stretches = []
    with SpoolReader(directory, acknowledged if known else None) as reader:
        while found := reader.read():
            for one in found:
                if isinstance(one, RowBlock):
                    stretches.add(rows, one.first_seq, one.first_seq + one.n)
                else:
                    stretches.add(events, one.seq, one.seq + 1)
        end, damaged = reader.position, tuple(reader.damaged_segments)
    return SpoolState(
        directory=directory,
        project=header.project,
        run_id=str(header.run_id),
        writer=header.writer_id,
        rows=end.row_seq,
        rows_waiting=rows,
        events=end.event_seq,
        events_waiting=events,
        damaged=damaged,
    )
