"""Runs: the home. Which run is best, and is my job healthy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from runstream_storage.errors import FilterError
from runstream_storage.queries import Best, MetricDefinitions
from runstream_storage.queries.results import RunRow, RunsPage
from runstream_ui import columns, data, edits, formats, frame, run_edits, urls
from runstream_ui.columns import described
from runstream_ui.listing import DEFAULT_SIZE, PAGE_SIZES, Listing
from runstream_ui.markup import in_html
from runstream_ui.palette import run_colour, state_colour
from runstream_ui.views import groups
from runstream_ui.widgets import empty
from runstream_ui.widgets.filter_bar import filter_input, offer_completions, show_error
from runstream_ui.widgets.metric_sections import metric_sections
from runstream_ui.widgets.run_forms import runs_actions
from runstream_ui.widgets.saved_views import saved_views
from runstream_ui.widgets.table import Cell, Chip, Column, Row, table

_REFRESH_S = 5
_MAX_CHARTED = 30
_PAGING_PX = 400
_FIXED = (
    Column("starred", "★", hint="Starred by hand: click to sort", sortable=True, name="Starred"),
    Column("name", "Name", sortable=True, pin=True),
    Column("state", "State", sortable=True),
    Column("tags", "Tags"),
    Column("created", "Created", sortable=True),
    Column("duration", "Duration", kind="number", sortable=True),
)


def page() -> None:
    project = frame.project()
    if project is None:
        empty.no_runs("")
        return
    names = data.names(project)
    chosen = columns.of_link(project, urls.get("cols"))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="filter-row"):
        text = filter_input()
        by = groups.chooser(names)
        columns.chooser(names, chosen)
        saved_views(project)
        st.toggle("Archived", key="archived", bind="query-params", help="Show archived runs, too")
    offer_completions(project, text)
    if by:
        groups.groups(project, text, by, chosen)
        return
    _runs(project, text)
    _charts(project)


@st.fragment(run_every=_REFRESH_S, key="runs-list")
@empty.guarded
def _runs(project: str, where: str) -> None:
    """Summary line, table and paging, asked for again every few seconds."""
    shown = {"filter": where, "archived": "true" if st.session_state.get("archived") else ""}
    listing = Listing.of_link(project, st.query_params.to_dict() | shown)
    try:
        answer, best = listing.answer()
    except FilterError as error:
        show_error(error)
        listing = listing.filtered(st.session_state.get("good-filter", ""))
        answer, best = listing.answer()
    else:
        st.session_state["good-filter"] = listing.where
    if answer.total == 0:
        empty.no_runs(project)
        return
    selected = urls.get_list("sel")
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="summary-row"):
        st.html(_summary(answer, listing, best), width="stretch")
        _actions(project, selected)
    if not answer.matched:
        empty.no_match(answer.total)
        return
    missing: Counter[str] = Counter()
    for gap in data.gaps(project, tuple(run.run_id for run in answer.rows)):
        missing[gap.run_id] += 0 if gap.on_its_way else gap.rows
    table(
        _columns(listing, answer.rows, data.definitions(project)),
        [_row(project, run, listing.columns, missing.get(run.run_id, 0)) for run in answer.rows],
        key="runs-table",
        label=f"Runs of {project}",
        selected=selected,
        on_select=_select,
        on_sort=_sort,
        on_open=lambda run_id, _column: frame.go("run", project=project, run=run_id),
        on_press=lambda run_id, _column: _star(answer.rows, run_id),
        max_height="min(58vh, 44rem)",
    )
    _paging(answer.matched, listing.size, listing.number)


@st.fragment(key="runs-charts")
@empty.guarded
def _charts(project: str) -> None:
    selected = urls.get_list("sel")
    runs = data.chosen_runs(project, tuple(selected[:_MAX_CHARTED]))
    if not runs:
        return
    if len(selected) > _MAX_CHARTED:
        st.caption(f"The first {_MAX_CHARTED} of {len(selected)} selected runs are drawn.")
    metric_sections(project, runs, key="runs", overlay=True)


def _summary(answer: RunsPage, listing: Listing, best: Best | None) -> str:
    goal = listing.goal
    if listing.where:
        parts = [f"<b>{formats.count(answer.matched)}</b> of {formats.plural(answer.total, 'run')}"]
    else:
        parts = [f"<b>{formats.count(answer.total)}</b> run{'' if answer.total == 1 else 's'}"]
    running = next((entry.running for entry in data.projects() if entry.name == listing.project), 0)
    if running:
        parts.append(f"{formats.count(running)} running")
    if goal is not None and best is not None:
        parts.append(
            f'best {in_html(goal.label)} <b title="{formats.exact(best.value)}">{formats.number(best.value)}</b> '
            f'by <span title="{in_html(best.run_name)}">{in_html(formats.middle_cut(best.run_name, 28))}</span>'
        )
    return f'<div class="rs-line" role="status">{" · ".join(parts)}</div>'


def _actions(project: str, selected: Sequence[str]) -> None:
    if not selected:
        return
    runs_actions(data.chosen_runs(project, tuple(selected)))
    st.button("Clear selection", on_click=_select, args=([],), key="clear", type="tertiary")
    if len(selected) == 1:
        st.button(
            "Open run",
            icon=":material/monitoring:",
            on_click=frame.go,
            args=("run",),
            kwargs={"project": project, "run": selected[0]},
            key="open-selected",
        )
    else:
        st.button(
            f"Compare {len(selected)}",
            icon=":material/compare_arrows:",
            type="primary",
            on_click=frame.go,
            args=("compare",),
            kwargs={"project": project, "runs": urls.join_list(selected)},
            key="compare-selected",
        )


def _columns(listing: Listing, rows: Sequence[RunRow], definitions: MetricDefinitions) -> list[Column]:
    drawn, sort = list(_FIXED), listing.sort
    for text in listing.columns:
        column = described(text, definitions)
        values = [run.values.get(text) for run in rows]
        numeric = bool(column.aggregate) or not any(isinstance(value, str | bool) for value in values)
        drawn.append(
            Column(
                text,
                formats.middle_cut(column.label, 24),
                kind="number" if numeric else "text",
                origin=column.origin,
                hint=column.hint,
                sortable=True,
            )
        )
    name, way = sort.removeprefix("-"), "desc" if sort.startswith("-") else "asc"
    return [Column(**{**vars(column), "sorted": way}) if column.id == name else column for column in drawn]


def _row(project: str, run: RunRow, chosen: Sequence[str], missing: int) -> Row:
    now = datetime.now(UTC)
    elapsed = formats.elapsed_s(run.duration_s, run.created_at, run.state, now)
    cells = [
        _starred(run),
        Cell(
            text=formats.middle_cut(run.name, 44),
            hover=f"{run.name}{' (archived)' if run.archived else ''}",
            href=urls.run_link(project, run.run_id),
            swatch=run_colour(run.run_id),
        ),
        Cell(
            text=run.state,
            dot=state_colour(run.state),
            pulse=run.state == "running",
            flag=f"{formats.plural(missing, 'row')} missing" if missing else "",
        ),
        Cell(chips=tuple(Chip(formats.middle_cut(tag, 20), tag) for tag in run.tags)),
        Cell(text=formats.age(run.created_at, now), hover=formats.utc(run.created_at)),
        Cell(text=formats.duration(elapsed), hover=f"{elapsed:.3f} s"),
    ]
    cells += [value_cell(run.values.get(text), logged=bool(described(text).aggregate)) for text in chosen]
    return Row(run.run_id, tuple(cells), label=run.name)


def _starred(run: RunRow) -> Cell:
    """A star to click; where pages are read-only, whether there is one."""
    if not edits.allowed():
        return Cell("★", "starred", mark="star") if run.starred else Cell()
    does = f"{'Remove the star of' if run.starred else 'Star'} {run.name}"
    return Cell("★" if run.starred else "☆", press=does, pressed=run.starred)


def _star(rows: Sequence[RunRow], run_id: str) -> None:
    run = next((row for row in rows if row.run_id == run_id), None)
    if run is not None:
        run_edits.star([run], starred=not run.starred)
        st.rerun("app")


def value_cell(value: bool | int | float | str | None, *, logged: bool) -> Cell:
    """A value with the exact one on hover: four digits for what was `logged`, the shorter of that and what was written
    for a param; a long text is cut in the middle."""
    if value is None:
        return Cell(text="–", mark="absent")
    shown = formats.scalar(value) if logged else formats.written(value)
    return Cell(text=formats.middle_cut(shown, 28), hover=value if isinstance(value, str) else repr(value))


def _paging(matched: int, size: int, number: int) -> None:
    pages = max(1, -(-matched // size))
    first, last = min(matched, (number - 1) * size + 1), min(matched, number * size)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="paging-row"):
        st.html(f'<div class="rs-line">{formats.count(first)}–{formats.count(last)} of {formats.count(matched)}</div>')
        if pages > 1:
            st.session_state["page-number"] = min(number, pages)
            st.pagination(pages, key="page-number", on_change=_turn_page, width=_PAGING_PX)
        if matched > PAGE_SIZES[0]:
            st.session_state["page-size"] = size if size in PAGE_SIZES else DEFAULT_SIZE
            st.selectbox(
                "Rows a page",
                PAGE_SIZES,
                key="page-size",
                format_func=lambda rows: f"{rows} rows",
                label_visibility="collapsed",
                width=120,
                on_change=_resize,
            )


def _select(run_ids: list[str]) -> None:
    urls.put_list("sel", run_ids)
    st.rerun(["runs-list", "runs-charts"])


def _sort(column: str) -> None:
    """The first click puts the best, largest or newest first; the next one turns it round."""
    project = frame.project()
    goal = described(column, data.definitions(project)).goal if project else None
    first, second = (column, f"-{column}") if goal == "min" else (f"-{column}", column)
    urls.put("sort", second if urls.get("sort", "-created") == first else first)
    urls.put("page", "")


def _turn_page() -> None:
    urls.put("page", str(st.session_state["page-number"]))


def _resize() -> None:
    urls.put("size", str(st.session_state["page-size"]))
    urls.put("page", "")
