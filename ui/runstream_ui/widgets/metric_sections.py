"""All metrics of some runs as charts: searched, grouped by prefix, drawn only where somebody looks."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from runstream_storage.queries import MetricDefinitions
from runstream_storage.queries.results import RunRow
from runstream_ui import data, formats, urls
from runstream_ui.bands import RunGroup
from runstream_ui.columns import decisive_first, is_decisive
from runstream_ui.markup import in_markdown
from runstream_ui.widgets.empty import guarded, no_points
from runstream_ui.widgets.metric_grid import View, legend, metric_grid, view_controls

# Few metrics need no sections.
_FLAT = 9
_OPEN_CHARTS = 18
_SECTION_CHARTS = 24
_GENERAL = "general"
_FIRST = ("val", "valid", "validation", "eval", "test", "train")
_QUIET = ("system", "gpu", "cpu", "machine")
_REFRESH_S = 4


def metric_sections(
    project: str,
    runs: Sequence[RunRow],
    *,
    key: str,
    overlay: bool = False,
    earlier: bool = False,
    groups: Sequence[RunGroup] = (),
) -> None:
    """Charts of `runs`, all in each chart; runs that go on are followed. With `overlay`, metrics are picked from a list
    (none picked: all), and a legend names the runs. `earlier`: of a single run that was started more than once, what
    its earlier attempts logged can be seen. `groups` are drawn as a mean with its interval each."""
    follow = _REFRESH_S if data.is_live(runs) else None
    st.fragment(guarded(_sections), run_every=follow, key=f"sections-{key}")(
        project, runs, key, overlay, earlier, groups
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
    return dict(sorted(sections.items(), key=lambda item: _order(*item)))


def _order(prefix: str, members: Sequence[str]) -> tuple[int, str]:
    """Losses and scores of their own, then validation before training, then the others, machine metrics last."""
    if prefix in _QUIET:
        return (20, prefix)
    if prefix == _GENERAL:
        return (0 if any(is_decisive(name) for name in members) else 10, prefix)
    return (1 + _FIRST.index(prefix) if prefix in _FIRST else 11, prefix)


def _sections(
    project: str, runs: Sequence[RunRow], key: str, overlay: bool, earlier: bool, groups: Sequence[RunGroup]
) -> None:
    run_ids = tuple(run.run_id for run in runs)
    definitions = data.definitions(project, run_ids)
    found = sorted({summary.metric for summary in data.summaries(project, run_ids)})
    if not found:
        no_points(project, run_ids)
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"{key}-metric-row"):
        shown = _picked(found, definitions) if overlay else _searched(found, definitions)
        view = view_controls(definitions, earlier=earlier, groups=groups)
    if not shown:
        st.markdown(f"No metric has that in its name; there are {formats.plural(len(found), 'metric')}.")
        return
    if overlay:
        legend(runs, groups)
    if len(shown) <= _FLAT:
        flat = [name for members in by_section(shown).values() for name in members]
        metric_grid(project, runs, decisive_first(flat), view, key=f"{key}-all", live=data.is_live(runs))
        return
    drawn = 0
    for prefix, members in by_section(shown).items():
        _section(project, runs, prefix, members, view, key, opened=drawn < _OPEN_CHARTS and prefix not in _QUIET)
        drawn += len(members)


def _searched(found: Sequence[str], definitions: MetricDefinitions) -> list[str]:
    """Metrics with the searched text in their name; hidden ones only when searched for."""
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
    wanted = (search or "").lower()
    return [name for name in found if (wanted in name.lower() if wanted else not definitions.of(name).hidden)]


def _picked(found: Sequence[str], definitions: MetricDefinitions) -> list[str]:
    """The picked metrics; while none is, all that are not hidden."""
    st.session_state["picked-metrics"] = [name for name in urls.get_list("metrics") if name in found]
    picked = st.multiselect(
        "Metrics",
        found,
        key="picked-metrics",
        placeholder="All metrics",
        label_visibility="collapsed",
        select_all=False,
        width=420,
        on_change=lambda: urls.put_list("metrics", st.session_state["picked-metrics"]),
    )
    return picked or [name for name in found if not definitions.of(name).hidden]


def _section(
    project: str, runs: Sequence[RunRow], prefix: str, members: Sequence[str], view: View, key: str, *, opened: bool
) -> None:
    title = f"{in_markdown(prefix)} · {len(members)}"
    box = st.expander(title, expanded=opened, key=f"section-{key}-{prefix}", on_change="rerun", type="compact")
    if not box.open:
        return
    with box:
        pages = -(-len(members) // _SECTION_CHARTS)
        number = 1
        if pages > 1:
            number = st.pagination(pages, key=f"section-page-{key}-{prefix}", width=400)
        first = (number - 1) * _SECTION_CHARTS
        page = members[first : first + _SECTION_CHARTS]
        metric_grid(project, runs, page, view, key=f"{key}-{prefix}", live=data.is_live(runs))
