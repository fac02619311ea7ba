"""The wish of a process that its spool be kept until it is queryable: a file in the writer's directory."""

from __future__ import annotations

import contextlib
from pathlib import Path

NAME = "until-queryable"


def track(directory: Path) -> None:
    """Ask the agent to keep this writer's spool until it is queryable, and to say so in the cursor. Never raises."""
    with contextlib.suppress(OSError):
        (directory / NAME).touch()


def is_tracked(directory: Path) -> bool:
    """Whether somebody asked for it."""
    return (directory / NAME).exists()
