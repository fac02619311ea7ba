"""Which runs are deleted, and so show nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from runstream_storage.execution import rows

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def kept(client: Client, project: str, run_ids: Sequence[str], *, include_deleted: bool = False) -> list[str]:
    """`run_ids` without those that people deleted, each once, in their order."""
    wanted = list(dict.fromkeys(str(UUID(run_id)) for run_id in run_ids))
    if include_deleted or not wanted:
        return wanted
    gone = {run_id for (run_id,) in rows(client, "deleted_runs", project=project, run_ids=wanted)}
    return [run_id for run_id in wanted if run_id not in gone]
