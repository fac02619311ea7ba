"""Changes that people make on the pages: each is an event under their name, and most can be taken back.

The only module of the pages that writes. An edit waits for a few seconds until it is queryable, so that the page that
follows shows it; else it is told to be on its way. Texts for people are kept for the session as `Note`s.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import streamlit as st

from runstream.edits import ArtifactEdit, Edited, Editor, ModelEdit
from runstream.errors import RunstreamError
from runstream.identity import NO_RUN, lock_is_held
from runstream.identity import actor as this_user
from runstream_ui import context
from runstream_ui.errors import Nameless, ReadOnly, UiError

WAIT_S = 4.0
NIL = str(NO_RUN)
_NOTE = "edit-note"

Attributes = Mapping[str, str | bool | None]


@dataclass(frozen=True)
class Change:
    """What to write: attributes by run, and edits of artifacts and of models, all in one project."""

    project: str
    runs: Mapping[str, Attributes] = field(default_factory=dict)
    artifacts: Sequence[ArtifactEdit] = ()
    models: Sequence[ModelEdit] = ()


@dataclass
class Note:
    """What became of the last edit. `waiting` is what has been written and is not queryable yet."""

    text: str
    failed: bool = False
    undo: Change | None = None
    waiting: list[Edited] = field(default_factory=list)
    at: float = field(default_factory=time.monotonic)


def allowed() -> bool:
    """Whether these pages may change anything; where not, no page offers it."""
    return not context.settings().ui_read_only


def actor() -> str:
    """Under whose name an edit of this visit is kept. Raises Nameless."""
    settings = context.settings()
    if settings.ui_actor_header:
        name = str(st.context.headers.get(settings.ui_actor_header) or "").strip()
        if not name:
            raise Nameless(header=settings.ui_actor_header)
        return name
    return settings.ui_actor or this_user()


def apply(change: Change, said: str, *, undo: Change | None = None) -> bool:
    """Write `change` and remember `said` (what was done, in the past tense) for the page; False when it was refused."""
    try:
        written = _written(change)
    except (RunstreamError, UiError) as error:
        st.session_state[_NOTE] = Note(str(error), failed=True)
        return False
    deadline = time.monotonic() + WAIT_S
    # Where nobody serves the directory nothing arrives while we wait.
    patient = lock_is_held(context.producer().agent_lock)
    waiting = [edited for edited in written if not patient or not edited.wait(max(0.05, deadline - time.monotonic()))]
    st.session_state[_NOTE] = Note(said, undo=undo, waiting=waiting)
    st.cache_data.clear()
    return True


def note() -> Note | None:
    """What became of the last edit of this session, until it is dismissed."""
    found = st.session_state.get(_NOTE)
    return found if isinstance(found, Note) else None


def has_arrived(found: Note) -> bool:
    """Whether all of it is queryable now; asks only for what was not before."""
    found.waiting = [edited for edited in found.waiting if not edited.wait(0.0)]
    if found.waiting:
        return False
    st.cache_data.clear()
    return True


def dismiss() -> None:
    st.session_state.pop(_NOTE, None)


def undo() -> None:
    """Take the last edit back."""
    found = note()
    if found is not None and found.undo is not None:
        apply(found.undo, "Undone.")


def served() -> bool:
    """Whether an agent or `runstream up` sends what is edited now."""
    return lock_is_held(context.producer().agent_lock)


def _written(change: Change) -> list[Edited]:
    if not allowed():
        raise ReadOnly
    editor = _editor(actor(), str(context.settings().dir))
    written = []
    for values, run_ids in _alike(change.runs):
        written.append(editor.edit_runs(change.project, run_ids, values))
    if change.artifacts:
        written.append(editor.edit_artifacts(change.project, change.artifacts))
    if change.models:
        written.append(editor.edit_models(change.project, change.models))
    return written


def _alike(runs: Mapping[str, Attributes]) -> list[tuple[Attributes, list[str]]]:
    """Runs that get the same values, together."""
    found: dict[tuple[tuple[str, str | bool | None], ...], list[str]] = {}
    for run_id, values in runs.items():
        found.setdefault(tuple(sorted(values.items())), []).append(run_id)
    return [(dict(values), run_ids) for values, run_ids in found.items()]


@lru_cache(maxsize=64)
def _editor(name: str, _directory: str) -> Editor:
    return Editor(context.producer(), name)
