"""Editing runs: one with all its texts and tags, many with what they are to have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st

from runstream_storage.queries.results import RunRow
from runstream_ui import data, edits, formats, run_edits
from runstream_ui.markup import user_markdown
from runstream_ui.widgets.dialogs import Question, buttons, open_dialog

_ACTIONS = ("Tags and group…", "Star", "Unstar", "Archive", "Unarchive", "Delete…")


@dataclass(frozen=True)
class RunForm:
    """Name, tags, group, job type and notes of one run."""

    run: RunRow
    title: str = "Edit run"

    def draw(self) -> None:
        run = self.run
        name = st.text_input("Name", run.name, key=f"form-name-{run.run_id}", max_chars=256)
        known = [tag.name for tag in data.names(run.project).tags]
        tags = st.multiselect(
            "Tags",
            list(dict.fromkeys([*run.tags, *known])),
            default=list(run.tags),
            key=f"form-tags-{run.run_id}",
            accept_new_options=True,
            placeholder="Choose or type a tag, then Enter",
        )
        left, right = st.columns(2)
        group = left.text_input("Group", run.group, key=f"form-group-{run.run_id}", max_chars=256)
        job_type = right.text_input("Job type", run.job_type, key=f"form-job-{run.run_id}", max_chars=256)
        notes = st.text_area("Notes (Markdown)", run.notes, key=f"form-notes-{run.run_id}", height=160)
        if notes:
            with st.expander("Preview of the notes", key=f"form-look-{run.run_id}"):
                st.markdown(user_markdown(notes))
        texts = {"name": name or "", "group": group or "", "job_type": job_type or "", "notes": notes or ""}
        chosen = [tag.strip() for tag in tags if tag.strip()]
        buttons("Save", partial(self._save, texts, chosen), disabled=not (name or "").strip())

    def _save(self, texts: Mapping[str, str], tags: Sequence[str]) -> None:
        run_edits.edit_one(self.run, texts=texts, tags=tags, now=data.run_now(self.run))


@dataclass(frozen=True)
class RunsForm:
    """Tags and group for several runs at once."""

    runs: Sequence[RunRow]

    @property
    def title(self) -> str:
        return f"Edit {formats.plural(len(self.runs), 'run')}"

    def draw(self) -> None:
        project = self.runs[0].project
        present = sorted({tag for run in self.runs for tag in run.tags})
        add = st.multiselect(
            "Add tags",
            [tag.name for tag in data.names(project).tags],
            key="bulk-add",
            accept_new_options=True,
            placeholder="Choose or type a tag, then Enter",
        )
        remove = st.multiselect("Remove tags", present, key="bulk-remove", disabled=not present, placeholder="None")
        group = st.text_input("Group", key="bulk-group", placeholder="as they are", max_chars=256)
        buttons("Save", partial(self._save, add, remove, group or ""), disabled=not (add or remove or group))

    def _save(self, add: Sequence[str], remove: Sequence[str], group: str) -> None:
        run_edits.edit_many(self.runs, add=[tag.strip() for tag in add if tag.strip()], remove=remove, group=group)


def ask_to_delete(runs: Sequence[RunRow]) -> None:
    """From a callback."""
    open_dialog(
        Question(
            title=f"Delete {formats.plural(len(runs), 'run')}?",
            names=[run.name for run in runs],
            consequence="They are hidden from pages and views at once. The **Trash** keeps them and brings them back.",
            yes="Delete",
            then=partial(run_edits.delete, runs),
        )
    )


def run_actions(run: RunRow) -> None:
    """Star, edit, archive and delete one run; nothing where pages are read-only."""
    if not edits.allowed():
        return
    with st.container(horizontal=True, gap="xsmall", width="content", key="run-actions"):
        word = "Remove the star" if run.starred else "Star"
        st.button(
            "★" if run.starred else "☆",
            key="star-run",
            help=word,
            on_click=run_edits.star,
            args=([run],),
            kwargs={"starred": not run.starred},
        )
        st.button(
            "Edit", key="edit-run", icon=":material/edit:", on_click=open_dialog, args=(RunForm(run),), shortcut="e"
        )
        st.menu_button(
            "More",
            ["Unarchive" if run.archived else "Archive", "Delete…"],
            key="more-of-run",
            on_click=_chosen,
            args=("more-of-run", [run]),
        )


def runs_actions(runs: Sequence[RunRow]) -> None:
    """The same for the selected runs of a table."""
    if not edits.allowed() or not runs:
        return
    flagged = {
        "Star": any(not run.starred for run in runs),
        "Unstar": any(run.starred for run in runs),
        "Archive": any(not run.archived for run in runs),
        "Unarchive": any(run.archived for run in runs),
    }
    st.menu_button(
        f"Edit {len(runs)}",
        [action for action in _ACTIONS if flagged.get(action, True)],
        key="edit-selected",
        icon=":material/edit:",
        on_click=_chosen,
        args=("edit-selected", runs),
    )


def _chosen(key: str, runs: Sequence[RunRow]) -> None:
    action = st.session_state.get(key)
    if action == "Delete…":
        ask_to_delete(runs)
    elif action == "Tags and group…":
        open_dialog(RunsForm(runs))
    elif action in ("Star", "Unstar"):
        run_edits.star(runs, starred=action == "Star")
    elif action in ("Archive", "Unarchive"):
        run_edits.archive(runs, archived=action == "Archive")
    st.rerun("app")
