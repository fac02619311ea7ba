"""History: every change that somebody made to the runs, artifacts and models of a project."""

from __future__ import annotations

import streamlit as st

from runstream_ui import artifact_data, formats, frame, urls
from runstream_ui.widgets import empty
from runstream_ui.widgets.changes import changes

_ABOUT = {
    "everything": (),
    "runs": ("Attributes", "RunRewound"),
    "artifacts": ("ArtifactEdited", "ArtifactLogged"),
    "models": ("ModelEdited",),
}
_ANYBODY = "anybody"


def page() -> None:
    project = frame.project()
    if project is None:
        empty.no_runs("")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="changes-row"):
        about = st.segmented_control(
            "About",
            list(_ABOUT),
            key="about",
            default="everything",
            required=True,
            bind="query-params",
            label_visibility="collapsed",
        )
        known = [actor.name for actor in artifact_data.actors(project)]
        linked = urls.get("by")
        st.session_state["changes-by"] = linked if linked in known else _ANYBODY
        st.selectbox(
            "By",
            [_ANYBODY, *known],
            key="changes-by",
            format_func=lambda name: f"by {formats.middle_cut(str(name), 36)}",
            label_visibility="collapsed",
            width=300,
            on_change=_by,
        )
        st.button(
            "Trash",
            icon=":material/delete:",
            key="to-trash",
            on_click=frame.go,
            args=("trash",),
            kwargs={"project": project},
        )
    actor = st.session_state["changes-by"]
    changes(
        project,
        key="project",
        kinds=_ABOUT[about or "everything"],
        actor="" if actor == _ANYBODY else actor,
        about=True,
        nothing="Nobody has changed anything of this kind yet. What people rename, tag, archive, promote or delete is "
        "listed here with who did it and when.",
    )


def _by() -> None:
    chosen = st.session_state["changes-by"]
    urls.put("by", "" if chosen == _ANYBODY else chosen)
