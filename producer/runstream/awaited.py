"""Events whose place in their writer's sequence is taken, and which are sent once files are in the object store.

    <writer directory>/awaited/
        <seq>.json   the record of one, until it has been sent and acknowledged
        sent         the place in Kafka of the last one that was, until it is known to be queryable

So the cursor passes them, and whatever the object store does holds back nothing but its files. Written by the agent
alone; a process that waits for its run looks here, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from runstream.errors import StagedFileLost
from runstream.messages import Place

DIRECTORY = "awaited"
SENT = "sent"
STAGED = "ArtifactStaged"
_RECORD = re.compile(r"(\d+)\.json")
_UNITS = ("KiB", "MiB", "GiB", "TiB")


class Awaited(NamedTuple):
    """An event's record in the spool: its place, its time, and `body` with the `type`."""

    seq: int
    time_us: int
    body: dict[str, Any]


class Amount(NamedTuple):
    """What waits for the object store."""

    artifacts: int = 0
    bytes: int = 0

    def __add__(self, other: object) -> Amount:
        if not isinstance(other, Amount):
            return NotImplemented
        return Amount(self.artifacts + other.artifacts, self.bytes + other.bytes)

    def __str__(self) -> str:
        many = f"{self.artifacts:,} artifact" + ("" if self.artifacts == 1 else "s")
        return f"{many}, {_size_text(self.bytes)}, {'waits' if self.artifacts == 1 else 'wait'} for the object store"


def keep(directory: Path, record: Awaited) -> None:
    """Write it down, at once or not at all. Raises OSError."""
    _replace(directory, f"{record.seq}.json", {"time_us": record.time_us, "body": record.body})


def remove(directory: Path, seq: int) -> None:
    """It needs no more care. Never raises."""
    with contextlib.suppress(OSError):
        (directory / DIRECTORY / f"{seq}.json").unlink(missing_ok=True)


def kept(directory: Path) -> list[int]:
    """The places of what is awaited, in the writer's order."""
    return sorted(_numbers(directory))


def read(directory: Path, seq: int) -> Awaited:
    """The record that was kept. Raises OSError, and ValueError when the file is damaged."""
    data = json.loads((directory / DIRECTORY / f"{seq}.json").read_bytes())
    try:
        return Awaited(seq, int(data["time_us"]), dict(data["body"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no record: {error!r}") from error


def damaged_text(directory: Path, seq: int) -> str:
    """What there is of a record that cannot be read."""
    try:
        return (directory / DIRECTORY / f"{seq}.json").read_text("utf-8", "replace")
    except OSError:
        return ""


def waits(body: Mapping[str, Any]) -> bool:
    """Whether an event gives up its place. Its record alone says so: whoever sends it again does the same."""
    return body.get("type") == STAGED or (body.get("type") == "ModelEdited" and bool(body.get("stage")))


def is_awaited(directory: Path, before_seq: int) -> bool:
    """Whether an event before this place is."""
    return any(seq < before_seq for seq in _numbers(directory))


def amount(directory: Path, before_seq: int | None = None) -> Amount:
    """The artifacts that wait, of those before this place when one is given."""
    total = Amount()
    for seq in _numbers(directory):
        if before_seq is None or seq < before_seq:
            with contextlib.suppress(OSError, ValueError):  # it has just arrived
                body = read(directory, seq).body
                if body.get("type") == STAGED:
                    total += Amount(1, extent(directory, body)[1])
    return total


def extent(directory: Path, staged: Mapping[str, Any]) -> tuple[int, int]:
    """How many files an ArtifactStaged brings, and their bytes; none when its list of them is gone."""
    from runstream.staging import files_of

    try:
        files, references = files_of(directory, staged)
    except StagedFileLost:
        return 0, 0
    return len(files) + len(references), sum(int(file.get("size", 0)) for file in files)


def note_sent(directory: Path, place: Place) -> None:
    """The last one that was acknowledged lies there. Raises OSError."""
    _replace(directory, SENT, list(place))


def sent(directory: Path) -> Place | None:
    """Where the last one lies that is not known to be queryable."""
    try:
        topic, partition, offset = json.loads((directory / DIRECTORY / SENT).read_bytes())
        return Place(str(topic), int(partition), int(offset))
    except (OSError, ValueError, TypeError):
        return None


def forget_sent(directory: Path) -> None:
    """All that was sent is queryable. Never raises."""
    with contextlib.suppress(OSError):
        (directory / DIRECTORY / SENT).unlink(missing_ok=True)


def _numbers(directory: Path) -> Iterator[int]:
    try:
        with os.scandir(directory / DIRECTORY) as entries:
            for entry in entries:
                if match := _RECORD.fullmatch(entry.name):
                    yield int(match[1])
    except OSError:
        return


def _replace(directory: Path, name: str, data: object) -> None:
    path = directory / DIRECTORY / name
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{name}")
    temporary.write_text(json.dumps(data))
    temporary.replace(path)


def _size_text(size: float) -> str:
    if size < 1024:
        return f"{size:.0f} bytes"
    for unit in _UNITS:
        size /= 1024
        if size < 1024 or unit == _UNITS[-1]:
            break
    return f"{size:,.1f} {unit}"
