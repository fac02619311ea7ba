"""What can go wrong while a page is made, beside what storage raises.

UiError
├── NoServer     nothing to read from was named or is running
├── NoSuchFile   an artifact file is not in the object store
├── NotArrived   the bytes of a logged value are on their way, or lost
├── Nameless     nobody is named under whom an edit could be kept
├── NotReadable  a file is not what its name says, or too large to be looked at
└── ReadOnly     these pages change nothing, by their settings
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runstream_storage.queries.media import MediaState


class UiError(Exception):
    """Base of the errors of the pages. The text is written for the person in front of the browser."""


class NoServer(UiError):
    """No ClickHouse is named and no `runstream up` serves `directory`."""

    def __init__(self, *, directory: Path) -> None:
        super().__init__(
            f"RUNSTREAM_CLICKHOUSE is not set and no `runstream up` is running for {directory}. "
            "Start one, or name the server to read from."
        )
        self.directory = directory


class NoSuchFile(UiError):
    """The object store has no file with this sha256."""

    def __init__(self, *, sha256: str) -> None:
        super().__init__(
            f"The file {sha256[:12]} is not in the object store. It may still be uploading, or was deleted; "
            "check that RUNSTREAM_S3 (or RUNSTREAM_DIR) names the store that the runs use."
        )
        self.sha256 = sha256


WHY_MISSING: dict[MediaState, str] = {
    "pending": "Its bytes are on their way: the agent where it was logged, or runstream sync there, sends them.",
    "lost": "Its bytes are lost: their file was gone before they were sent.",
    "stored": "",
}


class NotArrived(UiError):
    """The object store does not have the bytes of a value yet, or never will."""

    def __init__(self, *, state: MediaState) -> None:
        super().__init__(WHY_MISSING[state])
        self.state = state


class NotReadable(UiError):
    """A file cannot be shown as `what`."""

    def __init__(self, *, what: str, why: str) -> None:
        super().__init__(f"This cannot be shown as {what}: {why}. Download it to look at it.")
        self.what = what


class ReadOnly(UiError):
    """RUNSTREAM_UI_READ_ONLY is set; nothing was changed."""

    def __init__(self) -> None:
        super().__init__("These pages are read-only (RUNSTREAM_UI_READ_ONLY=1): nothing was changed.")


class Nameless(UiError):
    """The proxy that is to name visitors named none; nothing was changed."""

    def __init__(self, *, header: str) -> None:
        super().__init__(
            f"Nothing was changed: your visit came without the header {header}, which says who you are. Come through "
            "the proxy, or unset RUNSTREAM_UI_ACTOR_HEADER."
        )
        self.header = header
