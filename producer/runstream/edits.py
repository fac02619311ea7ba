"""Changes from outside a run: names, tags and deletion of runs, artifacts and the model registry.

An edit is an event with an actor. It is put into a spool of its own, so it survives an outage as a point does, and the
agent (or `runstream up`) sends it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from runstream import labels
from runstream.delivery import Part, wait_for
from runstream.errors import EditNotWritten, EditRefused, SettingsError
from runstream.identity import NO_RUN, new_writer_id
from runstream.identity import actor as this_user
from runstream.launch import ensure_agent
from runstream.settings import Settings
from runstream.spool import delete_spool, writer_dir
from runstream.spool_tracking import mark_editor, track
from runstream.spool_writer import SpoolWriter

SEGMENT_BYTES = 1 << 14
SEGMENT_MAX_BYTES = 16 << 20
FORGET_ABOVE = 256
"""Edits that the editor remembers, before it looks which of them have arrived."""
ARTIFACT_ACTIONS: dict[str, Callable[[Any], str]] = {
    "alias": labels.alias,
    "unalias": labels.alias,
    "tag": labels.tag,
    "untag": labels.tag,
    "metadata": labels.metadata,
    "description": labels.note,
    "expires": lambda value: _moment_us(value),
    "delete": lambda value: labels.note(value),
    "restore": lambda value: labels.note(value),
}
"""What is done to a version of an artifact, and how its value is checked; of delete and restore it is the reason."""
MODEL_ACTIONS: dict[str, Callable[[Any], str]] = {
    "register": lambda value: "",
    "alias": labels.alias,
    "unalias": labels.alias,
    "stage": labels.stage,
    "note": lambda value: "",
    "approve": lambda value: "",
    "reject": lambda value: "",
    "describe": labels.note,
    "tag": labels.tag,
    "untag": labels.tag,
    "delete": lambda value: "",
    "restore": lambda value: "",
}
_OF_THE_MODEL = ("describe", "tag", "untag", "delete", "restore", "note")
"""Actions that may mean the model as a whole; the others need a version."""


class ArtifactEdit(NamedTuple):
    """`value`: the alias, the tag, the metadata (a mapping or JSON text), the description, or when it expires
    (microseconds since 1970; empty: never)."""

    name: str
    digest: str
    action: str
    value: Any = ""


class ModelEdit(NamedTuple):
    """`artifact` and `digest` say which version; without, the model itself is meant. `value`: alias, tag, stage or
    description; `note` says why. `artifact_project`: which has the artifact; empty: that of the model."""

    model: str
    action: str
    artifact: str = ""
    digest: str = ""
    value: Any = ""
    note: str = ""
    artifact_project: str = ""


class Edited:
    """What one call of an editor has written."""

    def __init__(self, settings: Settings, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        self._settings = settings

    def wait(self, timeout: float | None = 30.0, durability: str = "clickhouse") -> bool:
        """Wait until it is queryable (`clickhouse`) or acknowledged (`kafka`); False: not within `timeout` seconds.

        Ends early, with a warning, when nobody serves the data directory. What was written is sent in any case.
        """
        return wait_for(self._settings, self.parts, durability, timeout, tracked=True)


class Editor:
    """Edits runs, artifacts and models under one actor; from any thread, for as long as one likes.

    `settings`: by default those of the environment. `actor`: who edits, by default `user@host`. Each call is checked
    first: EditRefused means that a value cannot be used, and nothing was changed. EditNotWritten means that there was
    no room; of a change to several runs, those before it may be written. The last change in time wins, whoever made it.
    """

    def __init__(self, settings: Settings | None = None, actor: str = "") -> None:
        self.settings = settings or Settings.from_env(os.environ)
        self.actor = labels.actor(actor) if actor else this_user()
        if self.settings.mode == "disabled":
            raise SettingsError("mode", "disabled", "an edit needs online or offline")
        self._lock = threading.Lock()
        self._last_us = 0
        self._written: list[Part] = []
        self._closed = False

    def edit_runs(self, project: str, run_ids: Iterable[str], values: Mapping[str, str | bool | None]) -> Edited:
        """Set attributes of runs, or remove those whose value is None.

        Keys: `name`, `notes`, `group`, `job_type` (text); `tag:<tag>`, `archived`, `deleted`, `starred` (True or None,
        False is as None). A removed name, group or note is again what the run was started with. Deleted runs are hidden
        until `deleted` is removed.
        """
        changes = {labels.attribute(key): _attribute_value(key, value) for key, value in values.items()}
        if not changes:
            raise EditRefused("values", dict(values), "one attribute at least")
        runs = [_run_id(run_id) for run_id in dict.fromkeys(run_ids)]
        event = {"type": "Attributes", "values": changes}
        return self._write([(labels.project(project), run, [event]) for run in runs])

    def edit_artifacts(self, project: str, edits: Iterable[ArtifactEdit]) -> Edited:
        """Change versions of artifacts, in this order."""
        return self._write([(labels.project(project), NO_RUN, [artifact_event(edit) for edit in edits])])

    def edit_models(self, project: str, edits: Iterable[ModelEdit]) -> Edited:
        """Change models and their versions, in this order."""
        return self._write([(labels.project(project), NO_RUN, [model_event(edit) for edit in edits])])

    def put(self, project: str, make: Callable[[Path], dict[str, Any]], run_id: str | None = None) -> Edited:
        """Write one event with files: `make` gets the writer's directory, fills it and returns the event."""
        return self._write([(labels.project(project), _run_id(run_id) if run_id else NO_RUN, [make])])

    def wait(self, timeout: float | None = 30.0, durability: str = "clickhouse") -> bool:
        """As `Edited.wait`, for all that this editor has written."""
        with self._lock:
            parts = self._written
        if not wait_for(self.settings, parts, durability, timeout, tracked=True):
            return False
        with self._lock:
            self._written = [part for part in self._written if part not in parts]
        return True

    def close(self) -> None:
        """No further edits; those written are sent."""
        self._closed = True

    def __enter__(self) -> Editor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _write(self, spools: list[tuple[str, uuid.UUID, list[Any]]]) -> Edited:
        if self._closed:
            raise EditRefused("editor", self.actor, "it is closed; make another one")
        parts = []
        for project, run_id, events in spools:
            if events:
                parts.append(self._put_down(project, run_id, events))
        with self._lock:
            if len(self._written) > FORGET_ABOVE:
                self._written = [part for part in self._written if part.directory.exists()]
            self._written = [*self._written, *parts]
        if parts:
            ensure_agent(self.settings, os.environ)
        return Edited(self.settings, parts)

    def _put_down(self, project: str, run_id: uuid.UUID, events: list[Any]) -> Part:
        """One spool, written and closed: whoever finds it has all of it."""
        directory = writer_dir(self.settings.spool_dir, run_id, writer_id := new_writer_id())
        writer = SpoolWriter(
            self.settings.spool_dir,
            run_id=run_id,
            writer_id=writer_id,
            project=project,
            attempt=0,
            rank=0,
            segment_bytes=SEGMENT_BYTES,
            segment_max_bytes=SEGMENT_MAX_BYTES,
            actor=self.actor,
        )
        try:
            _make(directory)
            mark_editor(directory)
            track(directory)
            bodies = [event(directory) if callable(event) else event for event in events]
            with self._lock:  # so that times rise from edit to edit, also where the clock was set back
                writer.last_us = self._last_us
                for body in bodies:
                    writer.append_event({**body, "actor": self.actor})
                if writer.waiting_events:
                    writer.make_room()
                self._last_us = writer.last_us
            writer.close()
        except BaseException as error:
            writer.abandon()
            with contextlib.suppress(OSError):
                delete_spool(directory)
            if isinstance(error, OSError):
                raise EditNotWritten(directory, error.strerror or str(error)) from error
            raise
        return Part(directory, writer.position, 0)


def artifact_event(edit: ArtifactEdit) -> dict[str, Any]:
    """The event of an edit. Raises EditRefused."""
    check = ARTIFACT_ACTIONS.get(edit.action)
    if check is None:
        raise EditRefused("action", edit.action, f"one of {', '.join(ARTIFACT_ACTIONS)}")
    return {
        "type": "ArtifactEdited",
        "name": labels.name(edit.name),
        "digest": labels.digest(edit.digest),
        "action": edit.action,
        "value": check(edit.value),
    }


def model_event(edit: ModelEdit) -> dict[str, Any]:
    """The event of an edit. Raises EditRefused."""
    check = MODEL_ACTIONS.get(edit.action)
    if check is None:
        raise EditRefused("action", edit.action, f"one of {', '.join(MODEL_ACTIONS)}")
    if not edit.digest and edit.action not in _OF_THE_MODEL:
        raise EditRefused("action", edit.action, "say which version: artifact and digest")
    return {
        "type": "ModelEdited",
        "model": labels.name(edit.model, "model"),
        "action": edit.action,
        "artifact": labels.name(edit.artifact) if edit.digest else "",
        "digest": labels.digest(edit.digest) if edit.digest else "",
        "value": check(edit.value),
        "note": labels.note(edit.note),
        "artifact_project": labels.project(edit.artifact_project) if edit.digest and edit.artifact_project else "",
    }


def _attribute_value(key: str, value: str | bool | None) -> str | None:
    if value is None or value is False:
        return None
    return "true" if value is True else labels.note(value)


def _run_id(text: object) -> uuid.UUID:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        raise EditRefused("run", text, "the whole run id, a UUID") from None


def _moment_us(value: Any) -> str:
    """Microseconds since 1970 as text; 0: never."""
    try:
        moment = int(value or 0)
    except (TypeError, ValueError):
        raise EditRefused("expires", value, "microseconds since 1970, or empty for never") from None
    if not 0 <= moment < 1 << 62:
        raise EditRefused("expires", value, "microseconds since 1970, or empty for never")
    return str(moment)


def _make(directory: Path) -> None:
    """The agent may remove the run's directory, when it was empty, while a new writer's is made in it."""
    for attempt in range(10):
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError:
            if attempt == 9:
                raise
        else:
            return
