"""Where the running `runstream up` of a data directory is, from the `up.json` that it keeps while it runs."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from runstream.identity import process_lives

UP_FILE = "up.json"


@dataclasses.dataclass(frozen=True, slots=True)
class UpInfo:
    """What a running `runstream up` says of itself. The file has mode 0600, because of `database_url`."""

    pid: int
    process_start: int
    """As `runstream.identity.process_start` tells it, so that a pid used again is not taken for it."""
    directory: str
    ui_url: str
    sql_url: str
    """`http://reader@host:port/runstream`: may read, without a password where it is embedded."""
    database_url: str = dataclasses.field(repr=False)
    """`http://user:password@host:port/runstream`: may write."""
    objects_url: str = dataclasses.field(repr=False)


def find_up(directory: Path) -> UpInfo | None:
    """The `runstream up` that runs on `directory` now; None when there is none, or another user's."""
    try:
        found = UpInfo(**json.loads((directory / UP_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if process_lives(found.pid, found.process_start) else None


def write_up(directory: Path, info: UpInfo) -> None:
    """Publishes `info`, for the owner of the process alone. Raises OSError."""
    temporary = directory / f"{UP_FILE}.{info.pid}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        json.dump(dataclasses.asdict(info), stream)
    temporary.replace(directory / UP_FILE)


def remove_up(directory: Path, pid: int) -> None:
    """Takes back what `pid` published; another process's file stays."""
    path = directory / UP_FILE
    try:
        if json.loads(path.read_text(encoding="utf-8")).get("pid") == pid:
            path.unlink()
    except (OSError, ValueError):
        return
