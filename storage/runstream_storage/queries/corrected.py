"""Which metrics have exact rows in place of sums: few have any, and asking without them takes a third less planning.

A question is asked as if there were none, and beside it whether that is so. If it is not, it is asked again, and from
then on in full. A row that is written at the same moment is as one that is written a moment later: ingest itself writes
it seconds after the points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from runstream_storage.execution import at_once, rows

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

T = TypeVar("T")
_KNOWN: WeakKeyDictionary[Client, set[tuple[str, str]]] = WeakKeyDictionary()
"""Project and metric: those that had exact rows when they were asked for."""


def with_exact_if_any(
    client: Client, projects: Sequence[str], metrics: Iterable[str], question: Callable[[bool], T]
) -> T:
    """`question(exact)`, where `exact` says whether rows of summary_exact have to be looked at for `metrics`."""
    names = sorted(set(metrics))
    if not names:
        return question(False)
    known = _KNOWN.setdefault(client, set())
    if any((project, name) in known for project in projects for name in names):
        return question(True)
    answer, found = at_once(
        lambda: question(False),
        lambda: rows(client, "corrected_metrics", projects=list(projects), metrics=names),
    )
    if not found:
        return answer  # type: ignore[no-any-return]  # what `question` returned
    known.update((project, name) for project, name in found)
    return question(True)
