"""What the start of a process's part of a run says."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Which run this is a part of."""

    project: str
    run_id: uuid.UUID
    external_id: str
    attempt: int
    name: str
    group: str = ""
    job_type: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    parent_run: str = ""
    forked_from: str = ""
    """Run id of the run whose history up to `fork_step` this one shows as its own, or empty."""
    fork_step: int = 0

    def started(self, captured: Mapping[str, Any], *, created_us: int, actor: str) -> dict[str, Any]:
        """The RunStarted event of a writer, as it is spooled."""
        return {
            "type": "RunStarted",
            **captured,
            "name": self.name,
            "external_id": self.external_id,
            "created_us": created_us,
            "group": self.group,
            "job_type": self.job_type,
            "notes": self.notes,
            "tags": list(self.tags),
            "parent_run": self.parent_run,
            "forked_from": self.forked_from,
            "fork_step": self.fork_step,
            "actor": actor,
        }
