"""Views of the runs table under a name: filter, sort, columns and grouping, for everybody in the project."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl, urlencode

import streamlit as st

from runstream_storage.queries import SavedView
from runstream_ui import artifact_data, edits, formats, urls
from runstream_ui.edits import NIL, Change
from runstream_ui.markup import in_markdown
from runstream_ui.widgets.dialogs import buttons, open_dialog

KEPT = ("filter", "sort", "cols", "by", "size", "archived")
"""What of the page's address a view keeps."""
_KEY = "saved-views"


@dataclass(frozen=True)
class ViewForm:
    """The name under which what is shown now is kept."""

    project: str
    query: str
    title: str = "Save this view"

    def draw(self) -> None:
        name = (st.text_input("Name", key="view-name", max_chars=100, placeholder="Best of the sweep") or "").strip()
        known = {view.name: view for view in artifact_data.saved_views(self.project)}
        if name in known:
            st.caption(f"Replaces the view of this name, saved by {in_markdown(known[name].actor)}.")
        before = known[name].query if name in known else None
        buttons("Save", partial(save, self.project, name, self.query, before), disabled=not name)


def saved_views(project: str) -> None:
    """A popover with all views of the project; one click brings one back."""
    found = artifact_data.saved_views(project)
    with st.popover("Views", icon=":material/bookmarks:", key=_KEY, on_change="rerun"):
        if not found:
            st.markdown("No saved views yet. A view keeps filter, sorting, columns and grouping for everybody.")
        for view in found:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.button(
                    in_markdown(formats.middle_cut(view.name, 40)),
                    key=f"view:{view.name}",
                    help=f"Saved by {in_markdown(view.actor)}",
                    type="tertiary",
                    width="stretch",
                    on_click=_show,
                    args=(view.query,),
                )
                if edits.allowed():
                    st.button(
                        "",
                        key=f"remove:{view.name}",
                        icon=":material/close:",
                        type="tertiary",
                        help=f"Remove the view {in_markdown(view.name)}",
                        on_click=_remove,
                        args=(project, view),
                    )
        if edits.allowed():
            form = ViewForm(project, shown_now())
            st.button("Save this view…", key="save-view", icon=":material/add:", on_click=_name, args=(form,))


def _name(form: ViewForm) -> None:
    st.session_state[_KEY] = False  # it would lie above the dialog
    open_dialog(form)


def shown_now() -> str:
    """The state of the page that a view keeps, as in its address."""
    return urlencode([(name, st.query_params[name]) for name in KEPT if st.query_params.get(name)])


def state_of(query: str) -> dict[str, str]:
    """What a saved view sets; anything else in it is left out, whoever wrote it."""
    return {name: value for name, value in parse_qsl(query) if name in KEPT}


def save(project: str, name: str, query: str, before: str | None) -> None:
    key = f"view:{name}"
    edits.apply(
        Change(project, {NIL: {key: query}}),
        f"The view {formats.middle_cut(name, 40)} is saved.",
        undo=Change(project, {NIL: {key: before}}),
    )


def _remove(project: str, view: SavedView) -> None:
    key = f"view:{view.name}"
    edits.apply(
        Change(project, {NIL: {key: None}}),
        f"The view {formats.middle_cut(view.name, 40)} is removed.",
        undo=Change(project, {NIL: {key: view.query}}),
    )


def _show(query: str) -> None:
    st.session_state[_KEY] = False
    wanted = state_of(query)
    for name in ("sort", "cols", "by", "size", "page"):
        urls.put(name, wanted.get(name, ""))
    # What widgets are bound to, they put into the address themselves.
    st.session_state["filter"] = wanted.get("filter", "")
    st.session_state["archived"] = wanted.get("archived") == "true"
