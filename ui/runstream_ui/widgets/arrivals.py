"""Bytes that are on their way when a page is drawn: it shows them once they are there."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from runstream_ui import values
from runstream_ui.widgets.empty import guarded

_ASK_EVERY_S = 5


def await_bytes(project: str, run_ids: Iterable[str], pending: Iterable[str], *, key: str) -> None:
    """Draw the page again when one of the contents `pending`, named by their sha256, has come or is lost.

    Also of runs that are over: an agent that was away, or `runstream sync`, sends them days later.
    """
    awaited = tuple(sorted(set(pending)))
    if awaited:
        part = st.fragment(guarded(_ask), run_every=_ASK_EVERY_S, key=f"{key}-arrivals")
        part(project, tuple(run_ids), awaited)


def _ask(project: str, run_ids: tuple[str, ...], awaited: tuple[str, ...]) -> None:
    states = values.media_contents(project, run_ids, awaited)
    if any(states.get(sha256, "pending") != "pending" for sha256 in awaited):
        values.media_at.clear()
        st.rerun("app")
