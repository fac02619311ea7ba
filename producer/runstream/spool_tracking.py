"""What a writer's directory says of itself by a file: keep it until it is queryable; an editor's; a worker's."""

from __future__ import annotations

import contextlib
from pathlib import Path

NAME = "until-queryable"
EDITOR = "editor"
WORKER = "worker"


def track(directory: Path) -> None:
    """Ask the agent to keep this writer's spool until it is queryable, and to say so in the cursor. Never raises."""
    with contextlib.suppress(OSError):
        (directory / NAME).touch()


def is_tracked(directory: Path) -> bool:
    """Whether somebody asked for it."""
    return (directory / NAME).exists()


def mark_editor(directory: Path) -> None:
    """Say that this writer edits from outside: it is no part of a run that lives or ends. Raises OSError."""
    (directory / EDITOR).touch()


def is_editor(directory: Path) -> bool:
    return (directory / EDITOR).exists()


def mark_worker(directory: Path) -> None:
    """Say that this writer is a forked worker, whose death does not decide how its run ends. Never raises."""
    with contextlib.suppress(OSError):
        (directory / WORKER).touch()


def is_worker(directory: Path) -> bool:
    return (directory / WORKER).exists()
