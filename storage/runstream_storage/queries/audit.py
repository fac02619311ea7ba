"""Who changed what: edits of runs, artifacts and models, by whom and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from runstream_storage.execution import moment, rows
from runstream_storage.queries.console import microseconds
from runstream_storage.queries.curves import INT64_MAX
from runstream_storage.queries.models import NO_RUN
from runstream_storage.queries.results import Name

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class AuditPlace(NamedTuple):
    """Where a change stands in the history of its project."""

    ts_us: int
    writer: int
    seq: int
    subject: str
    action: str


@dataclass(frozen=True, slots=True)
class Change:
    """`actor` did `action`. It was done to the artifact or model `subject`, or, with an empty one, to the run `run_id`,
    which is empty where no run is meant; `kind` is the kind of the event that says so."""

    place: AuditPlace
    at: datetime
    actor: str
    run_id: str
    run_name: str
    kind: str
    subject: str
    action: str
    value: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Changes, the newest first; `more`: there are older ones."""

    changes: list[Change]
    more: bool


def audit(
    client: Client,
    project: str,
    *,
    run_ids: Sequence[str] = (),
    subjects: Sequence[str] = (),
    kinds: Sequence[str] = (),
    actor: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before: AuditPlace | None = None,
    limit: int = 100,
) -> AuditPage:
    """A page of the history of a project, of runs, or of artifacts and models by name; the newest first.

    `kinds` are kinds of events (Attributes, ArtifactEdited, ModelEdited, …), `actor` a part of who did it, `since` and
    `until` both included; `before` is the place of the last change of the page before. Deleted runs are in it.
    """
    start = before or AuditPlace(INT64_MAX, 0, 0, "", "")
    found = rows(
        client,
        "audit",
        project=project,
        run_ids=list(run_ids),
        subjects=list(subjects),
        kinds=list(kinds),
        actor=actor,
        **{"from": microseconds(since) if since else -INT64_MAX, "to": microseconds(until) if until else INT64_MAX},
        before_us=start.ts_us,
        before_writer=start.writer,
        before_seq=start.seq,
        before_subject=start.subject,
        before_action=start.action,
        limit=limit + 1,
    )
    changes = [
        Change(
            place=AuditPlace(ts_us, writer, seq, subject, action),
            at=moment(ts_us),
            actor=of_actor,
            run_id="" if run_id == NO_RUN else run_id,
            run_name=run_name,
            kind=kind,
            subject=subject,
            action=action,
            value=value,
        )
        for ts_us, writer, seq, of_actor, run_id, run_name, kind, subject, action, value in found[:limit]
    ]
    return AuditPage(changes, len(found) > limit)


def audit_actors(client: Client, project: str) -> list[Name]:
    """Who made changes, by name; `runs` counts changes."""
    return [Name(actor, changes) for actor, changes in rows(client, "audit_actors", project=project)]
