"""All metrics of some runs as charts: searched, grouped by prefix, drawn only where somebody looks."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from runstream_storage.queries.results import RunHeader
from runstream_ui import data, formats
from runstream_ui.markup import in_markdown
from runstream_ui.widgets.empty import guarded
from runstream_ui.widgets.metric_grid import View, legend, metric_grid, view_controls

_OPEN_CHARTS = 18
_SECTION_CHARTS = 24
_GENERAL = "general"
_QUIET = ("system", "gpu", "cpu", "machine")
_REFRESH_S = 4


def metric_sections(
    project: str, runs: Sequence[RunHeader], *, key: str, with_legend: bool = False, metrics: Sequence[str] = ()
) -> None:
    """Charts of `runs` (all of one chart grid); only of `metrics` when some are named. Runs that go on are followed."""
    follow = _REFRESH_S if data.is_live(runs) else None
    st.fragment(guarded(_sections), run_every=follow, key=f"sections-{key}")(
        project, runs, key, with_legend, tuple(metrics)
    )


def by_section(metrics: Sequence[str]) -> dict[str, list[str]]:
    """Metrics under their first path component: those that stand alone come first together, machine metrics last."""
    sections: dict[str, list[str]] = {}
    for metric in metrics:
        prefix, slash, _ = metric.partition("/")
        sections.setdefault(prefix if slash and prefix else _GENERAL, []).append(metric)
    general = sections.pop(_GENERAL, [])
    for prefix in [name for name, members in sections.items() if len(members) == 1 and name not in _QUIET]:
        general += sections.pop(prefix)
    if general:
        sections[_GENERAL] = sorted(general)
    return dict(sorted(sections.items(), key=lambda item: (item[0] in _QUIET, item[0] != _GENERAL, item[0])))


def _sections(project: str, runs: Sequence[RunHeader], key: str, with_legend: bool, metrics: tuple[str, ...]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"{key}-metric-row"):
        search = st.text_input(
            "Search metrics",
            key="metric",
            placeholder="Search metrics",
            type="search",
            icon=":material/search:",
            live="250ms",
            label_visibility="collapsed",
            width=260,
            bind="query-params",
        )
        view = view_controls()
    logged = {summary.metric for summary in data.summaries(project, tuple(header.run.run_id for header in runs))}
    found = sorted(logged.intersection(metrics) if metrics else logged)
    shown = [name for name in found if (search or "").lower() in name.lower()]
    if not found:
        st.markdown("No points yet. They show up here within seconds of the first `run.log(...)`.")
        return
    if not shown:
        st.markdown(
            f"No metric has **{in_markdown(search)}** in its name; {formats.plural(len(found), 'metric')} do not."
        )
        return
    if with_legend:
        legend(runs)
    drawn = 0
    for prefix, members in by_section(shown).items():
        _section(project, runs, prefix, members, view, key, opened=drawn < _OPEN_CHARTS and prefix not in _QUIET)
        drawn += len(members)


def _section(
    project: str, runs: Sequence[RunHeader], prefix: str, members: Sequence[str], view: View, key: str, *, opened: bool
) -> None:
    title = f"{in_markdown(prefix)} · {len(members)}"
    box = st.expander(title, expanded=opened, key=f"section-{key}-{prefix}", on_change="rerun", type="compact")
    if not box.open:
        return
    with box:
        pages = -(-len(members) // _SECTION_CHARTS)
        number = 1
        if pages > 1:
            number = st.pagination(pages, key=f"section-page-{key}-{prefix}")
        first = (number - 1) * _SECTION_CHARTS
        page = members[first : first + _SECTION_CHARTS]
        metric_grid(project, runs, page, view, key=f"{key}-{prefix}", live=data.is_live(runs))
