"""After the end of a run: waiting for the agent, and saying what is left."""

from __future__ import annotations

import time
from pathlib import Path

from runstream.launch import agent_wanted
from runstream.notices import note, warn
from runstream.settings import Settings
from runstream.spool import Position, segment_numbers
from runstream.spool_cursor import NAME, Cursor
from runstream.spool_writer import SpoolWriter

POLL_S = 0.05


def say_what_is_left(settings: Settings, name: str, url: str | None, writer: SpoolWriter, dropped: int) -> None:
    """Wait for the agent, when this run has one, and say in one line what became of the run's rows."""
    lost = f" {dropped:,} rows or events are lost, for lack of room." if dropped else ""
    rows = f"{writer.row_seq:,} rows"
    if not agent_wanted(settings):
        where = f"see {url}" if url else f"kept in {settings.spool_dir}; `runstream up` shows them"
        if settings.mode == "offline":
            where = f"kept in {writer.directory}; send them with `runstream sync {settings.dir}`"
        (warn if lost else note)(f"run {name} is over: {rows}, {where}.{lost}")
        return
    left = wait_until_sent(writer.directory, writer.position, settings.finish_timeout_s)
    if left is None:
        (warn if lost else note)(f"run {name} is over: {rows}, all sent{f', see {url}' if url else ''}.{lost}")
    else:
        warn(
            f"run {name} is over: {left:,} of {rows} wait in {writer.directory}. The agent goes on sending them "
            f"(log: {settings.logs_dir / 'agent.log'}); `runstream sync {settings.dir}` sends them too.{lost}"
        )


def wait_until_sent(directory: Path, end: Position, timeout_s: float) -> int | None:
    """Wait until the cursor has passed `end` or the spool is gone; None then, else the number of rows left.

    Ctrl-C ends the wait only: what is in the spool is safe.
    """
    deadline = time.monotonic() + timeout_s
    seen = -1
    cursor = Cursor()
    try:
        while True:
            changed = _changed_at(directory / NAME)
            if changed != seen:
                seen, cursor = changed, Cursor.load(directory)
            if cursor.finished or not segment_numbers(directory) or cursor.position[2:] >= end[2:]:
                return None
            if time.monotonic() >= deadline:
                break
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        pass
    return max(0, end.row_seq - cursor.position.row_seq)


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
