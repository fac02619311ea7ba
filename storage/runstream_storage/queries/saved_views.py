"""Views of the runs table under a name, for everybody in the project: attributes `view:<name>` of the NIL run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runstream_storage.execution import rows

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True, slots=True)
class SavedView:
    """`query` is the state of the page as in its address; `actor` saved it last."""

    name: str
    query: str
    actor: str


def saved_views(client: Client, project: str) -> list[SavedView]:
    """The views that people saved in the project, by name."""
    return [SavedView(*found) for found in rows(client, "saved_views", project=project)]
