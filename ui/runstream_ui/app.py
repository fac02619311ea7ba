"""The frame of the pages: navigation, project switch, and one place where errors of the surroundings are shown."""

from __future__ import annotations

import streamlit as st

from runstream_storage.errors import StorageError
from runstream_ui import frame, style
from runstream_ui.errors import UiError
from runstream_ui.logo import ICON, WORDMARK
from runstream_ui.views import artifacts, changes, compare, health, models, run, runs, sql, trash
from runstream_ui.widgets import dialogs, empty
from runstream_ui.widgets.edit_note import edit_note

st.set_page_config(page_title="Runstream", page_icon=ICON, layout="wide", initial_sidebar_state="collapsed")
style.inject()
st.logo(WORDMARK, size="medium")

pages = {
    "runs": st.Page(
        empty.guarded_page(runs.page), title="Runs", icon=":material/table_rows:", url_path="runs", default=True
    ),
    "run": st.Page(empty.guarded_page(run.page), title="Run", icon=":material/monitoring:", url_path="run"),
    "compare": st.Page(
        empty.guarded_page(compare.page), title="Compare", icon=":material/compare_arrows:", url_path="compare"
    ),
    "artifacts": st.Page(
        empty.guarded_page(artifacts.page), title="Artifacts", icon=":material/deployed_code:", url_path="artifacts"
    ),
    "models": st.Page(
        empty.guarded_page(models.page), title="Models", icon=":material/inventory_2:", url_path="models"
    ),
    "sql": st.Page(empty.guarded_page(sql.page), title="SQL", icon=":material/database:", url_path="sql"),
    "health": st.Page(
        empty.guarded_page(health.page), title="Health", icon=":material/vital_signs:", url_path="health"
    ),
    "changes": st.Page(
        empty.guarded_page(changes.page), title="History", icon=":material/history:", url_path="changes"
    ),
    "trash": st.Page(
        empty.guarded_page(trash.page),
        title="Trash",
        icon=":material/delete:",
        url_path="trash",
        visibility="hidden",
    ),
}
page = st.navigation(list(pages.values()), position="top")
frame.register(pages)
frame.follow_pending()
try:
    frame.project_switch()
except (StorageError, UiError) as error:
    empty.failure(error)
else:
    page.run()
    dialogs.opened()
    edit_note()
