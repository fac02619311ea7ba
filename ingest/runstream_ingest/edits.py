"""What people and programs change later, as rows, with a line in `audit` for each change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runstream_ingest.errors import MessageUnusable
from runstream_ingest.event_rows import Header, TableRow, label, one_of

OF_THE_LIBRARY = ("gap:", "preempted:")
"""Attributes by which a process tells of itself: nobody's change."""
MODEL_ACTIONS = frozenset(
    {
        *("register", "alias", "unalias", "stage", "note", "approve", "reject", "describe", "tag", "untag"),
        *("delete", "restore"),
    }
)
SHOWN_DIGITS = 12
"""Of a digest, in the audit."""


def attributes(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    for key, value in e["values"].items():
        row = (h.project, h.run, label(key, "an attribute"), value or "", h.actor, h.edit_ver, int(value is None))
        yield "run_attrs", row
        if not key.startswith(OF_THE_LIBRARY):
            yield audit_row(h, "Attributes", "", f"{'remove' if value is None else 'set'} {key}", value or "")


def artifact_edited(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    name, digest, value = label(e["name"], "an artifact"), e["digest"], e["value"]
    action = one_of(e["action"], ARTIFACT_ACTIONS, "the action")
    if action in ("alias", "unalias"):
        alias = (h.project, name, label(value, "an alias"), digest, h.actor, h.edit_ver)
        yield "artifact_aliases", (*alias, int(action == "unalias"))
    else:
        key, gone = ARTIFACT_ACTIONS[action]
        if action in ("tag", "untag"):
            key, value = key + label(value, "a tag"), ""
        elif action == "expires" and not (value.isdecimal() and len(value) < 19):
            raise MessageUnusable("invalid", f"expires is {value[:100]!r}; it is in microseconds since 1970, 0: never")
        elif action == "delete":
            value = "true"
        yield "artifact_attrs", (h.project, name, digest, key, value, h.actor, h.edit_ver, gone)
    yield audit_row(h, "ArtifactEdited", name, action, said(e["value"], digest[:SHOWN_DIGITS]))


ARTIFACT_ACTIONS = {
    "alias": ("", 0),
    "unalias": ("", 1),
    "tag": ("tag:", 0),
    "untag": ("tag:", 1),
    "metadata": ("metadata", 0),
    "description": ("description", 0),
    "expires": ("expires_us", 0),
    "delete": ("deleted", 0),
    "restore": ("deleted", 1),
}
"""The attribute of the version that an action sets, or, with 1, takes away."""


def model_edited(h: Header, e: Mapping[str, Any]) -> Iterator[TableRow]:
    model, artifact = label(e["model"], "a model"), label(e["artifact"], "an artifact")
    action = one_of(e["action"], MODEL_ACTIONS, "the action")
    holder = label(e["artifact_project"], "a project") or h.project
    what = (action, artifact, e["digest"], e["value"], e["note"], h.actor, h.run, h.edit_ver, holder)
    yield "model_events", (h.project, model, h.time_us, h.writer, *what)
    of = f"{holder}/" if holder != h.project else ""
    version = f"{of}{artifact}@{e['digest'][:SHOWN_DIGITS]}" if artifact else ""
    yield audit_row(h, "ModelEdited", model, action, said(e["value"], version, e["note"]))


def audit_row(h: Header, kind: str, subject: str, action: str, value: str) -> TableRow:
    """A line of `audit`. Of one event, each has an action of its own."""
    return "audit", (h.project, h.time_us, h.writer, h.seq, h.actor, h.run, kind, subject, action, value)


def said(*parts: str) -> str:
    """What of it there is to say, for people."""
    return " · ".join(part for part in parts if part)
