"""Forms and questions above the page. One is open at a time; the page is drawn anew when it closes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import streamlit as st

from runstream_ui import edits, formats
from runstream_ui.markup import in_markdown

_KEY = "open-dialog"
_NAMED = 8


class Dialog(Protocol):
    @property
    def title(self) -> str: ...

    def draw(self) -> None: ...


@dataclass(frozen=True)
class Question:
    """Before what is hard to take back: `title` asks, `names` say what it is about, `consequence` (markdown) what
    follows; a yes carries out `then`."""

    title: str
    names: Sequence[str]
    consequence: str
    yes: str
    then: Callable[[], object]

    def draw(self) -> None:
        for name in self.names[:_NAMED]:
            st.markdown(f"- {in_markdown(formats.middle_cut(name, 60))}")
        if len(self.names) > _NAMED:
            st.markdown(f"- and {formats.count(len(self.names) - _NAMED)} more")
        st.markdown(self.consequence)
        buttons(self.yes, self.then)


def open_dialog(dialog: Dialog) -> None:
    """Open it above the whole page; from a callback."""
    st.session_state[_KEY] = dialog
    st.rerun("app")


def opened() -> None:
    """Draw the dialog that is open; called once a run, after the page."""
    dialog = st.session_state.get(_KEY)
    if dialog is not None:
        st.dialog(dialog.title, on_dismiss=close)(dialog.draw)()


def buttons(yes: str, then: Callable[[], object], *, disabled: bool = False) -> None:
    """Cancel, and the button that carries out `then` and closes the dialog; refused, it stays open and says why."""
    note = edits.note()
    if note is not None and note.failed:
        st.error(in_markdown(note.text))
    with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        if st.button("Cancel", key="dialog-no"):
            close()
            st.rerun()
        if st.button(yes, key="dialog-yes", type="primary", disabled=disabled):
            edits.dismiss()
            then()
            note = edits.note()
            if note is not None and note.failed:
                st.rerun("fragment")
            close()
            st.rerun()


def close() -> None:
    st.session_state.pop(_KEY, None)
