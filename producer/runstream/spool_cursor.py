"""The cursor: how far a writer's spool has been acknowledged."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from runstream.spool import Position

NAME = "cursor"
_PLACES = re.compile(
    rb'\{"position": \[(\d+), (\d+), (\d+), (\d+)\], "queryable": \[(\d+), (\d+), (\d+), (\d+)\], '
    rb'"tracked": (true|false), "finished": (true|false)'
)


@dataclasses.dataclass(slots=True)
class Cursor:
    """The place up to which everything is acknowledged, and the counts of values up to there."""

    position: Position = dataclasses.field(default_factory=Position)
    queryable: Position = dataclasses.field(default_factory=Position)
    """The place up to which everything is known to be in the database; not kept up where nobody asks for it."""
    tracked: bool = False
    """Whether `queryable` is kept up, and the spool kept until it is reached."""
    counts: dict[str, tuple[int, int, int]] = dataclasses.field(default_factory=dict)
    """Metric name to (values, of them NaN, of them infinite), cumulative for this writer through `position`."""
    finished: bool = False
    """Everything of a writer that is gone has been acknowledged, its end included."""
    sent: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    """Topic to the partition and offset of the last message before `position`."""
    ending: dict[str, Any] | None = None
    """The end that the agent gave a writer which is gone without one: kept before it is sent, so that it is one end,
    however often it has to be sent."""
    preempted: bool = False
    """The process said that its machine is being taken away."""

    @classmethod
    def load(cls, directory: Path) -> Cursor:
        """The cursor of a writer's directory; the start when there is none, or none that can be read.

        Sending again from the start is safe: every row keeps its sequence.
        """
        try:
            data = json.loads((directory / NAME).read_bytes())
            return cls(
                position=Position(*map(int, data["position"])),
                queryable=Position(*map(int, data["queryable"])),
                tracked=bool(data["tracked"]),
                counts={name: (int(n), int(n_nan), int(n_inf)) for name, (n, n_nan, n_inf) in data["counts"].items()},
                finished=bool(data["finished"]),
                sent={topic: (int(partition), int(offset)) for topic, (partition, offset) in data["sent"].items()},
                ending=data["ending"],
                preempted=bool(data["preempted"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def save(self, directory: Path) -> None:
        """Replace the cursor file at once (readers see the old or the new one). Raises OSError."""
        # The places stand first: who waits for them need not read the counts of 50,000 metrics.
        fields = ("position", "queryable", "tracked", "finished", "sent", "ending", "preempted", "counts")
        temporary = directory / f".{NAME}.{os.getpid()}"
        temporary.write_text(json.dumps({name: getattr(self, name) for name in fields}))
        temporary.replace(directory / NAME)


class Places(NamedTuple):
    """What a cursor says of places."""

    position: Position
    queryable: Position
    tracked: bool
    finished: bool


def places(directory: Path) -> Places | None:
    """The places of a cursor without the rest of it; None when there is none yet."""
    try:
        with (directory / NAME).open("rb") as file:
            found = _PLACES.match(file.read(400))
    except OSError:
        return None
    if found is None:
        return None
    numbers = [int(number) for number in found.groups()[:8]]
    return Places(Position(*numbers[:4]), Position(*numbers[4:]), found[9] == b"true", found[10] == b"true")


def acknowledged(directory: Path) -> Position | None:
    """The acknowledged place alone; None when there is no cursor yet."""
    found = places(directory)
    return found.position if found is not None else None
