"""The spools of this host: how far each writer got, how far it was acknowledged, what is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runstream.errors import SpoolError
from runstream.spool import Position, list_spools
from runstream.spool_cursor import Cursor
from runstream.spool_reader import SpoolReader


@dataclass(frozen=True, slots=True)
class SpoolState:
    """One writer's directory. `rows` and `events`: (first in the spool, acknowledged up to, written up to)."""

    directory: Path
    project: str
    run_id: str
    writer: int
    rows: tuple[int, int, int]
    events: tuple[int, int, int]
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
    with SpoolReader(directory, acknowledged if known else None) as reader:
        while reader.read():
            pass
        end, damaged = reader.position, tuple(reader.damaged_segments)
    done = acknowledged if known else first
    return SpoolState(
        directory=directory,
        project=header.project,
        run_id=str(header.run_id),
        writer=header.writer_id,
        rows=(first.row_seq, done.row_seq, end.row_seq),
        events=(first.event_seq, done.event_seq, end.event_seq),
        damaged=damaged,
    )
