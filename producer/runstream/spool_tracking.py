"""What a writer's directory says of itself by a file: keep it until it is queryable; it belongs to an editor."""

from __future__ import annotations

import contextlib
from pathlib import Path

NAME = "until-queryable"
EDITOR = "editor"


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
