"""Who changed what and when: of a run, an artifact, a model, or of the whole project."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from runstream_storage.queries import Change
from runstream_ui import artifact_data, formats, frame, urls
from runstream_ui.palette import run_colour
from runstream_ui.widgets.table import Cell, Column, Row, table

_STEP = 100
_MAX = 5_000
_KINDS = {"ArtifactEdited": "artifact", "ArtifactLogged": "artifact", "ModelEdited": "model"}


def changes(
    project: str,
    *,
    key: str,
    run_ids: tuple[str, ...] = (),
    subjects: tuple[str, ...] = (),
    kinds: tuple[str, ...] = (),
    actor: str = "",
    about: bool = False,
    nothing: str = "Nobody has changed anything yet.",
) -> None:
    """A table of the changes, the newest first, with older ones on request; `about` adds what was changed."""
    shown = urls.get_int("changes", _STEP, _STEP, _MAX)
    page = artifact_data.audit(project, run_ids=run_ids, subjects=subjects, kinds=kinds, actor=actor, limit=shown)
    if not page.changes:
        st.markdown(nothing)
        return
    heads = [Column("when", "When", pin=True), Column("who", "Who")]
    heads += [Column("subject", "What"), Column("kind", "", kind="muted")] if about else []
    heads += [Column("action", "Change"), Column("value", "To", kind="wrap")]
    table(
        heads,
        _rows(project, page.changes, about=about),
        key=f"changes-{key}",
        label="Changes, the newest first",
        on_open=lambda row, _column: _open(project, row),
        max_height="64vh",
    )
    if page.more and shown < _MAX:
        st.button("Older changes", key=f"older-{key}", on_click=urls.put, args=("changes", str(shown + 4 * _STEP)))
    elif page.more:
        st.caption(f"The newest {formats.count(_MAX)}; ask the view v_audit on the SQL page for older ones.")


def _rows(project: str, found: Sequence[Change], *, about: bool) -> list[Row]:
    now = datetime.now(UTC)
    rows = []
    for change in found:
        cells = [Cell(formats.age(change.at, now), formats.utc(change.at)), Cell(change.actor, change.actor)]
        if about:
            cells += _subject(project, change)
        value = _value(change)
        cells += [Cell(change.action), Cell(formats.middle_cut(value, 200), change.value)]
        rows.append(Row(_id(change), tuple(cells), label=change.action))
    return rows


def _value(change: Change) -> str:
    """In one line; when something expires as a date, and not in microseconds."""
    value = " ".join(change.value.split())
    if change.action == "expires":
        moment, _, rest = value.partition(" ")
        if moment.isdigit():
            return f"{formats.utc(datetime.fromtimestamp(int(moment) / 1e6, UTC))} {rest}"
    return value


def _subject(project: str, change: Change) -> list[Cell]:
    if not change.subject and not change.run_id:
        return [Cell("views of the project"), Cell("view", mark="muted")]
    kind = _KINDS.get(change.kind, "run" if change.run_id and not change.subject else "")
    if kind == "run":
        name = change.run_name or change.run_id[:13]
        link = urls.run_link(project, change.run_id)
        return [Cell(formats.middle_cut(name, 40), name, href=link, swatch=run_colour(change.run_id)), Cell("run")]
    link = ""
    if kind == "artifact":
        link = urls.page_link("artifacts", project=project, artifact=change.subject)
    elif kind == "model":
        link = urls.page_link("models", project=project, model=change.subject)
    return [Cell(formats.middle_cut(change.subject, 40), change.subject, href=link), Cell(kind or change.kind)]


def _id(change: Change) -> str:
    """What a click needs to know, and what makes the row one of its own."""
    kind = _KINDS.get(change.kind, "run")
    return "\x1f".join((kind, change.subject or change.run_id, *map(str, change.place)))


def _open(project: str, row: str) -> None:
    kind, subject, *_ = row.split("\x1f")
    if not subject:
        frame.go("runs", project=project)
    if kind == "run":
        frame.go("run", project=project, run=subject)
    elif kind == "artifact":
        frame.go("artifacts", project=project, artifact=subject)
    else:
        frame.go("models", project=project, model=subject)
