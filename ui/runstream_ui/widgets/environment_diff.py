"""Why two runs differ, beside their curves: code, packages, config, data, machine, job, determinism."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from runstream_storage.errors import StorageError
from runstream_storage.queries.environment import Section as SectionName
from runstream_storage.queries.results import RunRow
from runstream_ui import artifact_data, formats, urls
from runstream_ui.differences import Change, differing
from runstream_ui.errors import UiError
from runstream_ui.markup import in_html, in_markdown
from runstream_ui.palette import run_colour
from runstream_ui.text_diff import changes, diff_html
from runstream_ui.widgets.table import Cell, Column, Row, table

# In the order in which a person looks for the reason of a difference.
TITLES: dict[SectionName, str] = {
    "git": "Code",
    "params": "Config",
    "data": "Data",
    "packages": "Packages",
    "sources": "Package sources",
    "determinism": "Determinism",
    "command": "Command",
    "machine": "Machine",
    "job": "Job",
    "container": "Container",
    "environment": "Environment variables",
}
_WORDS = {"added": "only at the right", "removed": "only at the left", "changed": "differs", "same": ""}
_SIGNS = {"added": "+", "removed": "−", "changed": "≠", "same": ""}


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with the facts of both sides, those that are the same included."""

    title: str
    changes: tuple[Change, ...]

    @property
    def differing(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.how != "same")


def environment_diff(project: str, runs: Sequence[RunRow]) -> None:
    """Two of `runs`: all there is of both, or only what differs; and their uncommitted changes."""
    if len(runs) < 2:
        st.markdown("Choose a second run above: two are compared here.")
        return
    left, right = _sides(runs)
    if left.run_id == right.run_id:
        st.markdown("Choose two different runs.")
        return
    with st.spinner("Comparing…", show_time=False):
        sections = _sections(project, left, right)
    if not sections:
        st.markdown("Nothing is known about the environment of either run.")
        return
    _summary(sections)
    search, everything = _bar()
    shown = False
    for section in sections:
        wanted = [
            change
            for change in (section.changes if everything else section.differing)
            if search in f"{section.title} {change.name} {change.before} {change.after}".lower()
        ]
        if wanted:
            _table(section, wanted, left, right)
            shown = True
    if not shown and search:
        st.markdown(f"Nothing {'' if everything else 'that differs '}has **{in_markdown(search)}** in it.")
    _patches(project, left, right)


def _sides(runs: Sequence[RunRow]) -> tuple[RunRow, RunRow]:
    """The two to compare: the first two, or what the address says where more are chosen."""
    if len(runs) == 2:
        return runs[0], runs[1]
    known = {run.run_id: run for run in runs}
    labels = formats.unique_labels({run.run_id: run.name for run in runs})
    chosen = []
    with st.container(horizontal=True, gap="small", key="sides"):
        for name, word, otherwise in (("left", "Left", runs[0]), ("right", "Right", runs[1])):
            linked = urls.get(name)
            st.session_state[f"side-{name}"] = linked if linked in known else otherwise.run_id
            run_id = st.selectbox(
                word,
                list(known),
                key=f"side-{name}",
                format_func=lambda run_id: formats.middle_cut(labels.get(str(run_id), ""), 40),
                on_change=_choose,
                args=(name,),
                width=340,
            )
            chosen.append(known[run_id])
    return chosen[0], chosen[1]


def _choose(name: str) -> None:
    urls.put(name, st.session_state[f"side-{name}"])


def _sections(project: str, left: RunRow, right: RunRow) -> list[Section]:
    """Every section that one side at least has anything in."""
    found = artifact_data.environments(project, (left.run_id, right.run_id))
    sides = [dict(found[run.run_id].sections) if run.run_id in found else {} for run in (left, right)]
    sections = (
        Section(title, tuple(differing(sides[0].get(name, {}), sides[1].get(name, {}))))
        for name, title in TITLES.items()
    )
    return [section for section in sections if section.changes]


def _summary(sections: Sequence[Section]) -> None:
    found = [(section.title, len(section.differing)) for section in sections if section.differing]
    total = sum(count for _, count in found)
    if not total:
        st.html('<div class="rs-line" role="status">All that is known of both environments is the same.</div>')
        return
    parts = " · ".join(f"{in_html(title)} <b>{count}</b>" for title, count in found)
    st.html(f'<div class="rs-line" role="status"><b>{formats.plural(total, "difference")}</b> · {parts}</div>')


def _bar() -> tuple[str, bool]:
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="environment-row"):
        search = st.text_input(
            "Search the environment",
            key="fact",
            type="search",
            placeholder="Search names and values",
            icon=":material/search:",
            live="250ms",
            label_visibility="collapsed",
            width=280,
            bind="query-params",
        )
        only = st.toggle("Only differences", key="differing", value=True, bind="query-params")
    return (search or "").strip().lower(), not only


def _table(section: Section, shown: Sequence[Change], left: RunRow, right: RunRow) -> None:
    differ, total = len(section.differing), len(section.changes)
    st.html(
        f'<div class="rs-section"><b>{in_html(section.title)}</b> '
        f'<span class="rs-line">{formats.count(differ)} of {formats.count(total)} differ</span></div>'
    )
    table(
        [
            Column("how", "", kind="muted"),
            Column("name", "Name", pin=True),
            Column("left", formats.middle_cut(left.name, 30), "wrap", left.name, swatch=run_colour(left.run_id)),
            Column("right", formats.middle_cut(right.name, 30), "wrap", right.name, swatch=run_colour(right.run_id)),
        ],
        [_row(change) for change in shown],
        key=f"environment-{section.title}",
        label=f"{section.title} of both runs",
        max_height="26rem",
    )


def _row(change: Change) -> Row:
    mark = "" if change.how == "same" else "differs"
    return Row(
        change.name,
        (
            Cell(_SIGNS[change.how], _WORDS[change.how]),
            Cell(formats.middle_cut(change.name, 48), change.name),
            _side(change.before, mark if change.how != "added" else ""),
            _side(change.after, mark if change.how != "removed" else ""),
        ),
    )


def _side(text: str | None, mark: str) -> Cell:
    return (
        Cell("–", "not there", mark="absent") if text is None else Cell(formats.middle_cut(text, 400), text, mark=mark)
    )


def _patches(project: str, left: RunRow, right: RunRow) -> None:
    """The uncommitted changes of both, beside each other."""
    texts = []
    for run in (left, right):
        try:
            texts.append(artifact_data.patch(project, run.run_id))
        except (StorageError, UiError) as error:
            st.html(f'<div class="rs-wrong" role="alert"><p>{in_html(run.name)}: {in_html(error)}</p></div>')
            return
    if not any(texts):
        return
    lost, won = changes(*texts)
    said = (
        "the same in both runs"
        if texts[0] == texts[1]
        else f"{formats.plural(lost, 'line')} only at the left, {won} at the right"
    )
    st.html(f'<div class="rs-section"><b>Uncommitted changes</b> <span class="rs-line">{said}</span></div>')
    if texts[0] == texts[1]:
        with st.expander("Show them", key="same-patch"):
            st.code(texts[0], language="diff", height=420)
        return
    heads = [f"{run.name}{'' if text else ' (none)'}" for run, text in zip((left, right), texts, strict=True)]
    st.html(diff_html(*texts, left=heads[0], right=heads[1], layout="side by side"))
