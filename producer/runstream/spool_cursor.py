"""The cursor: how far a writer's spool has been acknowledged."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from runstream.spool import Position

NAME = "cursor"


@dataclasses.dataclass(slots=True)
class Cursor:
    """The place up to which everything is acknowledged, and the counts of values up to there."""

    position: Position = dataclasses.field(default_factory=Position)
    counts: dict[str, tuple[int, int, int]] = dataclasses.field(default_factory=dict)
    """Metric name to (values, of them NaN, of them infinite), cumulative for this writer."""
    finished: bool = False
    """Everything of a writer that is gone has been acknowledged, its end included."""

    @classmethod
    def load(cls, directory: Path) -> Cursor:
        """The cursor of a writer's directory; the start when there is none, or none that can be read.

        Sending again from the start is safe: every row keeps its sequence.
        """
        try:
            data = json.loads((directory / NAME).read_bytes())
            counts = {name: (int(n), int(n_nan), int(n_inf)) for name, (n, n_nan, n_inf) in data["counts"].items()}
            return cls(Position(*map(int, data["position"])), counts, bool(data["finished"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def save(self, directory: Path) -> None:
        """Replace the cursor file at once (readers see the old or the new one). Raises OSError."""
        data = json.dumps({"position": self.position, "counts": self.counts, "finished": self.finished})
        temporary = directory / f".{NAME}.{os.getpid()}"
        temporary.write_text(data)
        temporary.replace(directory / NAME)
