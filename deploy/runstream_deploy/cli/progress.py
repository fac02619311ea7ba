"""Progress of what takes long, where a person watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


def progress_of(*columns: ProgressColumn, transient: bool = True) -> Progress:
    """On standard error; where that is no terminal, nothing: in a log a bar is noise."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=transient, disable=not console.is_terminal)
