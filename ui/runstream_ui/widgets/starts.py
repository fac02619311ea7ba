"""The processes of a run, start by start: how each began, how it ended, and what of it is missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from runstream_storage.queries import Gap, Rewind
from runstream_storage.queries.results import RunHeader, Writer
from runstream_ui import data, formats
from runstream_ui.palette import state_colour
from runstream_ui.widgets.missing import missing_total
from runstream_ui.widgets.table import Cell, Column, Row, table

_COLUMNS = (
    Column("start", "Start", kind="number", hint="1 is the first start of the run; each resume and rewind is one more"),
    Column("rank", "Rank", kind="number"),
    Column("how", "Began as"),
    Column("started", "Started"),
    Column("state", "State"),
    Column("code", "Exit code", kind="number"),
    Column("reason", "Why it ended"),
    Column("duration", "Duration", kind="number"),
    Column("rows", "Rows", kind="number", hint="Calls of log() that it made, or sent so far"),
    Column("missing", "Missing", kind="number", hint="Rows and events that are not in the database"),
    Column("host", "Host"),
    Column("pid", "Process", kind="number"),
    Column("user", "By"),
    Column("writer", "Writer", kind="code"),
)


def starts(project: str, header: RunHeader) -> None:
    """A table of all processes, the newest start first."""
    if not header.writers:
        st.markdown("Nothing is known about the processes yet.")
        return
    run_id = header.run.run_id
    gaps, rewinds = data.gaps(project, (run_id,)), data.history(project, run_id).rewinds
    now = datetime.now(UTC)
    table(
        _COLUMNS,
        [_row(header, writer, gaps, rewinds, now) for writer in header.writers],
        key="run-starts",
        label="Starts of the run",
        max_height="60vh",
    )
    if header.attempts > 1:
        st.caption(
            "What a rewind takes back, and what a later start logs again, is kept: turn on Earlier attempts above the "
            "charts, or ask v_points_all."
        )


def _row(header: RunHeader, writer: Writer, gaps: Sequence[Gap], rewinds: Sequence[Rewind], now: datetime) -> Row:
    lost = missing_total([gap for gap in gaps if gap.writer == writer.writer])
    state = writer.state or (header.run.state if writer.attempt + 1 == header.attempts else "no end known")
    elapsed = ((now if state == "running" else writer.last_at) - writer.started_at).total_seconds()
    return Row(
        f"{writer.writer}",
        (
            Cell(str(writer.attempt + 1)),
            Cell(str(writer.rank)),
            _how(writer, rewinds),
            Cell(formats.age(writer.started_at, now), formats.utc(writer.started_at)),
            Cell(state, dot=state_colour(state), pulse=state == "running"),
            Cell(str(writer.exit_code) if writer.state else ""),
            Cell(formats.middle_cut(writer.reason, 60), writer.reason),
            Cell(formats.duration(max(elapsed, 0.0)), f"{elapsed:.3f} s"),
            Cell(formats.count(writer.rows) if writer.rows >= 0 else ""),
            Cell(formats.count(lost), mark="differs") if lost else Cell("–", mark="absent"),
            Cell(writer.host),
            Cell(str(writer.pid)),
            Cell(writer.user),
            Cell(f"{writer.writer:016x}"),
        ),
    )


def _how(writer: Writer, rewinds: Sequence[Rewind]) -> Cell:
    rewind = next((entry for entry in rewinds if (entry.attempt, entry.rank) == (writer.attempt, writer.rank)), None)
    if rewind:
        by = f" by {rewind.actor}" if rewind.actor else ""
        return Cell(f"rewind to step {formats.count(rewind.step)}{by}", formats.utc(rewind.at))
    return Cell("resume" if writer.attempt else "first start")
