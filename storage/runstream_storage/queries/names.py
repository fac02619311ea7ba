"""Names that exist: for pickers, the search box and the completion of filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from runstream_storage.execution import rows
from runstream_storage.filters.completion import Completion, Names, complete
from runstream_storage.queries.results import Name

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Attribute = Literal["group", "job_type", "user", "host", "state"]


def param_names(client: Client, projects: Sequence[str], *, prefix: str = "", limit: int = 500) -> list[Name]:
    """Params of the projects' runs, those of most runs first; `prefix` may also stand behind a '/', in any case."""
    return _names(client, "param_names", projects, prefix, limit)


def summary_names(client: Client, projects: Sequence[str], *, prefix: str = "", limit: int = 500) -> list[Name]:
    """As param_names, of run.summary."""
    return _names(client, "summary_names", projects, prefix, limit)


def metric_names(client: Client, projects: Sequence[str], *, prefix: str = "", limit: int = 500) -> list[Name]:
    """As param_names, of metrics."""
    return _names(client, "metric_names", projects, prefix, limit)


def tag_names(client: Client, projects: Sequence[str], *, prefix: str = "", limit: int = 500) -> list[Name]:
    """Tags of the projects' runs, those of most runs first."""
    return _names(client, "tag_names", projects, prefix, limit)


def attribute_values(
    client: Client, projects: Sequence[str], attribute: Attribute, *, prefix: str = "", limit: int = 500
) -> list[Name]:
    """Values of an attribute that are not empty, those of most runs first."""
    found = rows(client, "attribute_values", projects=list(projects), attribute=attribute, prefix=prefix, limit=limit)
    return [Name(name, runs) for name, runs in found]


def completions(
    client: Client, projects: Sequence[str], text: str, cursor: int | None = None, *, limit: int = 20
) -> Completion:
    """What may stand at `cursor` (default: the end) of the filter `text`, from the names these projects have."""

    def lookup(kind: Names, prefix: str) -> list[str]:
        match kind:
            case "config":
                found = param_names(client, projects, prefix=prefix, limit=limit)
            case "summary":
                found = summary_names(client, projects, prefix=prefix, limit=limit)
            case "metric":
                found = metric_names(client, projects, prefix=prefix, limit=limit)
            case "tags":
                found = tag_names(client, projects, prefix=prefix, limit=limit)
            case _:
                found = attribute_values(client, projects, kind, prefix=prefix, limit=limit)
        return [name.name for name in found]

    return complete(text, len(text) if cursor is None else cursor, lookup, limit=limit)


def _names(client: Client, question: str, projects: Sequence[str], prefix: str, limit: int) -> list[Name]:
    found = rows(client, question, projects=list(projects), prefix=prefix, limit=limit)
    return [Name(name, runs) for name, runs in found]
