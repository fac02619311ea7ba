"""All that was done with a model and its versions, with the notes of approval and rejection in full."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from runstream_storage.queries import ModelChange
from runstream_ui import artifact_data, formats
from runstream_ui.markup import in_html

_SAID = {
    "register": "registered",
    "alias": "alias",
    "unalias": "took away the alias",
    "stage": "moved to",
    "note": "noted",
    "approve": "approved",
    "reject": "rejected",
    "describe": "described",
    "tag": "tagged",
    "untag": "took away the tag",
    "delete": "deleted",
    "restore": "restored",
}
_SHOWN = 300
_LONG = 400


def model_history(project: str, model: str) -> None:
    """The newest first."""
    found = artifact_data.model_history(project, model)
    now = datetime.now(UTC)
    items = "".join(_item(project, change, now) for change in found[:_SHOWN])
    st.html(f'<ul class="rs-events" aria-label="History of the model">{items}</ul>')
    if len(found) > _SHOWN:
        st.caption(f"The newest {_SHOWN} of {formats.plural(len(found), 'change')}.")


def _item(project: str, change: ModelChange, now: datetime) -> str:
    what = in_html(_SAID.get(change.action, change.action))
    about = f" <b>{in_html(change.version)}</b>" if change.version else " the model"
    value = in_html(formats.middle_cut(change.value, _LONG))
    if change.action == "register":
        of = f"{change.artifact_project}/" if change.artifact_project != project else ""
        said = f"registered {in_html(of + change.artifact)} as{about}"
    elif change.action == "stage":
        said = f"moved{about} to <b>{value}</b>" if value else f"took{about} out of its stage"
    elif change.action == "alias":
        said = f"gave{about} the alias <b>{value}</b>"
    elif value:
        said = f"{what}{about}: {value}" if change.action == "describe" else f"{what} <b>{value}</b> ({about.strip()})"
    else:
        said = f"{what}{about}"
    note = f"<blockquote>{in_html(change.note)}</blockquote>" if change.note else ""
    when = f'<span class="rs-line" title="{formats.utc(change.at)}">{formats.age(change.at, now)}</span>'
    return f"<li><b>{in_html(change.actor)}</b> {said} · {when}{note}</li>"
