"""What questions about runs assume of their projects: which runs are hidden, which metrics have exact rows.

Both change rarely, and a question that looks for them itself takes a third more planning. So it is asked with what was
true before, and beside it what is true. If that differs, it is asked again, with what is true now. A row that is
written at the same moment is as one that is written a moment later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from runstream_storage.execution import at_once, rows

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

T = TypeVar("T")
MAX_HIDDEN = 200  # ids that a question brings along; more are looked for by each


@dataclass(frozen=True, slots=True)
class Assumed:
    """`exact`: some of the metrics have rows of summary_exact. `hidden`: the hidden runs; None: look for them."""

    exact: bool = True
    hidden: tuple[str, ...] | None = None


@dataclass(slots=True)
class Known:
    """What a client was last told: projects and metrics with exact rows, and hidden runs by project and which keys."""

    exact: set[tuple[str, str]] = field(default_factory=set)
    hidden: dict[tuple[str, tuple[str, ...]], tuple[str, ...] | None] = field(default_factory=dict)


_KNOWN: WeakKeyDictionary[Client, Known] = WeakKeyDictionary()


def with_assumed(
    client: Client,
    projects: Sequence[str],
    metrics: Iterable[str],
    hiding: Sequence[str],
    question: Callable[[Assumed], T],
) -> T:
    """`question` of what holds of `metrics` in `projects` and of the runs that an edit of a key in `hiding` hides."""
    known = _KNOWN.setdefault(client, Known())
    names = sorted(set(metrics))
    scope = {"projects": list(projects)}
    exact = any((project, name) in known.exact for project in projects for name in names)
    # An id may stand in several projects, and hidden in one of them: of several, the database looks.
    of_project = (projects[0], tuple(hiding)) if len(projects) == 1 else None
    hidden = known.hidden.get(of_project, ()) if of_project else None

    def corrected() -> Sequence[Sequence[Any]]:
        return rows(client, "corrected_metrics", **scope, metrics=names)

    def hiding_now() -> tuple[str, ...] | None:
        found = rows(client, "hidden_runs", **scope, keys=list(hiding), limit=MAX_HIDDEN + 1)
        return tuple(row[0] for row in found) if len(found) <= MAX_HIDDEN else None

    checks: list[Callable[[], Any]] = [corrected] if names and not exact else []
    if hidden is not None:
        checks.append(hiding_now)
    answer, *found = at_once(lambda: question(Assumed(exact, hidden)), *checks)
    now_hidden = found.pop() if hidden is not None else None
    now_exact = found.pop() if found else ()
    if not now_exact and now_hidden == hidden:
        return answer  # type: ignore[no-any-return]  # what `question` returned
    known.exact.update((project, name) for project, name in now_exact)
    if of_project:
        known.hidden[of_project] = now_hidden
    return question(Assumed(exact or bool(now_exact), now_hidden))
