"""What the command line and the embedded stack raise.

DeployError
└── NoDatabase   neither a named ClickHouse nor a running `runstream up`
"""

from __future__ import annotations

from pathlib import Path


class DeployError(Exception):
    """Base of everything this package raises on purpose."""


class NoDatabase(DeployError):
    """No ClickHouse is named and no `runstream up` serves `directory`."""

    def __init__(self, *, directory: Path) -> None:
        super().__init__(
            f"There is no database: RUNSTREAM_CLICKHOUSE is not set and no `runstream up` serves {directory}. "
            "Start `runstream up`, or set RUNSTREAM_CLICKHOUSE=http://user:password@host:port/runstream."
        )
        self.directory = directory
