"""What became of the last edit, at the foot of the window: done, on its way, or refused; with a way back."""

from __future__ import annotations

import time

import streamlit as st

from runstream_ui import edits
from runstream_ui.markup import in_html

_LOOK_S = 2
_SHOWN_S = 12.0


def edit_note() -> None:
    """Nothing until somebody edits; drawn last, so that it moves nothing."""
    if edits.note() is not None:
        _drawn()


@st.fragment(run_every=_LOOK_S, key="edit-note")
def _drawn() -> None:
    note = edits.note()
    if note is None:
        return
    if note.waiting and edits.has_arrived(note):
        st.rerun("app")
    if not note.waiting and not note.failed and time.monotonic() - note.at > _SHOWN_S:
        edits.dismiss()
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="edit-note-bar"):
        st.html(
            f'<div class="rs-said" role="{"alert" if note.failed else "status"}">{_said(note)}</div>', width="content"
        )
        if note.undo is not None:
            st.button("Undo", key="undo-edit", type="tertiary", icon=":material/undo:", on_click=_undo)
        st.button(
            "", key="dismiss-edit", type="tertiary", icon=":material/close:", help="Dismiss", on_click=edits.dismiss
        )


def _said(note: edits.Note) -> str:
    if note.failed or not note.waiting:
        return in_html(note.text)
    if edits.served():
        return f"{in_html(note.text)} It is on its way and shows here in a moment."
    return (
        f"{in_html(note.text)} It is kept on the server and is sent when an agent runs there: "
        "<code>runstream up</code> or <code>runstream agent</code>."
    )


def _undo() -> None:
    edits.undo()
    st.rerun("app")
