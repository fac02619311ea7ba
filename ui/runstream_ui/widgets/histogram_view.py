"""Histograms over steps, by name and section: heat maps or ridges, of one run or of several under each other."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from runstream_storage.queries.histograms import Histogram
from runstream_storage.queries.results import RunRow
from runstream_ui import data, formats, values
from runstream_ui.histogram_charts import (
    HEAT_BINS,
    HEAT_STEPS,
    RIDGE_BINS,
    RIDGES,
    heat_map_options,
    on_one_grid,
    ridge_options,
)
from runstream_ui.markup import in_html, in_markdown
from runstream_ui.palette import run_colour
from runstream_ui.widgets.echart import echart
from runstream_ui.widgets.empty import guarded, no_histograms

_FORMS = ("Heat map", "Ridges")
_HEIGHT_PX = 240
_MIN_WIDTH_PX = 380
_OPEN_CHARTS = 9
_SECTION_CHARTS = 12
_FLAT = 9
_REFRESH_S = 8
# As much of all values as a chart without its outliers shows.
_MIDDLE = 0.98


def histogram_view(project: str, runs: Sequence[RunRow], *, key: str) -> None:
    follow = _REFRESH_S if data.is_live(runs) else None
    st.fragment(guarded(_view), run_every=follow, key=f"histograms-{key}")(project, runs, key)


def _view(project: str, runs: Sequence[RunRow], key: str) -> None:
    run_ids = tuple(run.run_id for run in runs)
    known = [entry.name for entry in values.histogram_series(project, run_ids)]
    if not known:
        no_histograms()
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"{key}-histogram-row"):
        search = st.text_input(
            "Search histograms",
            key="histogram",
            type="search",
            placeholder="Search histograms",
            icon=":material/search:",
            live="250ms",
            label_visibility="collapsed",
            width=260,
            bind="query-params",
        )
        form = st.segmented_control(
            "Form",
            _FORMS,
            default=_FORMS[0],
            required=True,
            key="histogram-form",
            label_visibility="collapsed",
            bind="query-params",
        )
        log = form == _FORMS[0] and st.toggle("Log colour", key="histogram-log", bind="query-params")
        cut = st.toggle(
            "Without outliers",
            key="histogram-middle",
            bind="query-params",
            help=f"The axis spans {_MIDDLE:.0%} of the values of a typical step",
        )
    shown = [name for name in known if (search or "").lower() in name.lower()]
    if not shown:
        st.markdown(f"No histogram has that in its name; there are {formats.plural(len(known), 'histogram')}.")
        return
    view = _View(
        project, run_ids, formats.unique_labels({run.run_id: run.name for run in runs}), str(form), log, cut, key
    )
    if len(shown) <= _FLAT:
        view.grid(shown, "all")
        return
    drawn = 0
    for prefix, members in by_prefix(shown).items():
        title = f"{in_markdown(prefix)} · {len(members)}"
        opened = drawn < _OPEN_CHARTS
        drawn += len(members)
        box = st.expander(title, expanded=opened, key=f"{key}-histograms-{prefix}", on_change="rerun", type="compact")
        if box.open:
            with box:
                page = 1
                if len(members) > _SECTION_CHARTS:
                    page = st.pagination(-(-len(members) // _SECTION_CHARTS), key=f"{key}-histogram-page-{prefix}")
                view.grid(members[(page - 1) * _SECTION_CHARTS : page * _SECTION_CHARTS], prefix)


def by_prefix(names: Sequence[str]) -> dict[str, list[str]]:
    """Names under their first path component; gradients and weights, of which there are many, come last."""
    sections: dict[str, list[str]] = {}
    for name in names:
        prefix, slash, _ = name.partition("/")
        sections.setdefault(prefix if slash else "general", []).append(name)
    return dict(sorted(sections.items(), key=lambda item: (item[0] in {"gradients", "weights"}, item[0])))


class _View:
    """How histograms are drawn, the same for all charts of a tab."""

    def __init__(
        self, project: str, run_ids: tuple[str, ...], labels: dict[str, str], form: str, log: bool, cut: bool, key: str
    ) -> None:
        self._project = project
        self._run_ids = run_ids
        self._labels = labels
        self._ridges = form == _FORMS[1]
        self._log = log
        self._middle = _MIDDLE if cut else 1.0
        self._key = key

    def grid(self, names: Sequence[str], section: str) -> None:
        found = values.histograms_of(self._project, self._run_ids, tuple(names))
        with st.grid(
            3, min_column_width=_MIN_WIDTH_PX, gap="small", key=f"{self._key}-histogram-grid-{section}"
        ) as grid:
            for name in names:
                for run_id in self._run_ids:
                    of_run = [histogram for histogram in found[name] if histogram.run_id == run_id]
                    if of_run:
                        with grid.cell():
                            self._chart(name, run_id, of_run)

    def _chart(self, name: str, run_id: str, found: Sequence[Histogram]) -> None:
        bins, steps = (RIDGE_BINS, RIDGES) if self._ridges else (HEAT_BINS, HEAT_STEPS)
        grid = on_one_grid(found, bins=bins, steps=steps, middle=self._middle)
        odd = sum(grid.not_finite)
        hints = [f"{formats.count(odd)} values not finite"] if odd else []
        if len(self._run_ids) > 1:
            label = in_html(formats.middle_cut(self._labels[run_id], 26))
            hints.insert(0, f'<i class="rs-swatch" style="background:{run_colour(run_id)}"></i> {label}')
        st.html(
            f'<div class="rs-chart-title" title="{in_html(name)}">{in_html(formats.middle_cut(name, 44))}'
            f'<span class="rs-zoomed">{" · ".join(hints)}</span></div>'
        )
        if not grid.counts.any():
            st.caption("No value is finite." if odd else "All bins are empty.")
            return
        options = ridge_options(name, grid) if self._ridges else heat_map_options(name, grid, log=self._log)
        echart(options, key=f"{self._key}-histogram-{name}-{run_id}", height_px=_HEIGHT_PX)
