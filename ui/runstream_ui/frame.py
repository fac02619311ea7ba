"""What all pages share: the project they look at, and how they lead to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from runstream_ui import data, formats, urls

PROJECT_KEY = "project"
_PENDING = "pending-page"
_PENDING_TAB = "pending-tab"


def project() -> str | None:
    """The chosen project; None while no project has a run."""
    return st.session_state.get("current-project")


def project_switch() -> None:
    """The project select in the top bar of every page; its choice is in the URL."""
    known = [entry.name for entry in data.projects()]
    linked = urls.get(PROJECT_KEY)
    if linked and linked != st.session_state.get("linked-project"):
        st.session_state[PROJECT_KEY] = linked
    if (current := st.session_state.get(PROJECT_KEY)) and current not in known:
        known.append(current)
    if not known:
        st.session_state["current-project"] = None
        return
    with st.container(key="project-switch"):
        chosen = st.selectbox(
            "Project",
            known,
            key=PROJECT_KEY,
            format_func=lambda name: formats.middle_cut(name, 28),
            label_visibility="collapsed",
            icon=":material/folder:",
            on_change=_forget_page_state,
        )
    st.session_state["current-project"] = chosen
    st.session_state["linked-project"] = chosen
    if linked != chosen:
        urls.put(PROJECT_KEY, chosen)


def _forget_page_state() -> None:
    """Another project has other runs, columns and pages; what the URL says about the old one would mislead."""
    st.query_params.clear()
    st.session_state.pop("filter", None)


def register(pages: Mapping[str, Any]) -> None:
    st.session_state["pages"] = dict(pages)


def go(page: str, **params: str) -> None:
    """Lead to another page, from a callback or from a page; the state named in `params` is its link."""
    st.session_state[_PENDING] = (page, params)
    st.rerun("app")


def follow_pending() -> None:
    """Carry out what `go` asked for; called once a run, before anything is drawn."""
    pending = st.session_state.pop(_PENDING, None)
    if pending is None:
        return
    page, params = pending
    st.switch_page(st.session_state["pages"][page], query_params={key: value for key, value in params.items() if value})


def open_tab(name: str) -> None:
    """Lead to another tab of the same page, from a callback. The address of a tab is its widget's own, so the page
    takes the name over by `follow_tab` when it is drawn again."""
    st.session_state[_PENDING_TAB] = name
    st.rerun("app")


def follow_tab(key: str) -> None:
    """Carry out what `open_tab` asked for; called before the tabs with this key are drawn."""
    name = st.session_state.pop(_PENDING_TAB, None)
    if name is not None:
        st.session_state[key] = name
