"""Runs grouped by a param or an attribute: a line a group in the table, and a mean with its interval in the charts."""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from runstream_storage.errors import FilterError
from runstream_storage.filters.columns import param_column
from runstream_storage.queries.results import Group, RunRow, Scalar, Spread
from runstream_ui import data, formats, urls
from runstream_ui.bands import RunGroup
from runstream_ui.columns import described
from runstream_ui.palette import RUN_COLOURS
from runstream_ui.widgets import empty
from runstream_ui.widgets.filter_bar import KEY as FILTER_KEY
from runstream_ui.widgets.filter_bar import show_error
from runstream_ui.widgets.metric_sections import metric_sections
from runstream_ui.widgets.table import Cell, Column, Row, table

ATTRIBUTES = ("group", "job_type", "user", "host", "state")
_GROUPS = 200
_DRAWN = 5
_MOST_DRAWN = 8
_RUNS_OF_GROUP = 20
_REFRESH_S = 10


def chooser(names: data.Names) -> str:
    """The select beside the filter; its choice is in the URL as `by`."""
    options = ["", *ATTRIBUTES, *(param_column(param.name) for param in names.params)]
    linked = urls.get("by")
    st.session_state["group-by"] = linked
    st.selectbox(
        "Group by",
        options if linked in options else [*options, linked],
        key="group-by",
        format_func=lambda text: f"by {formats.middle_cut(text.removeprefix('config.'), 20)}" if text else "No groups",
        label_visibility="collapsed",
        icon=":material/stacks:",
        width=190,
        on_change=_regroup,
    )
    return linked


def _regroup() -> None:
    urls.put("by", st.session_state["group-by"])
    urls.put("gsel", "")


def condition(by: str, key: Scalar) -> str:
    """The filter that the runs of a group pass."""
    if key is None:
        return f"{by} is null"
    if isinstance(key, bool):
        return f"{by} = {str(key).lower()}"
    if isinstance(key, str):
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'{by} = "{quoted}"'
    return f"{by} = {key!r}"


@st.fragment(run_every=_REFRESH_S, key="runs-groups")
@empty.guarded
def groups(project: str, where: str, by: str, chosen: Sequence[str]) -> None:
    """The table of groups with the mean of each chosen column, and the charts of those that are ticked."""
    numbers = tuple(text for text in chosen if text != by)
    try:
        found = data.groups(project, where, by, numbers, _GROUPS + 1)
    except FilterError as error:
        show_error(error)
        return
    if not found:
        st.markdown("**No run matches the filter.** Loosen or clear it.")
        return
    more, found = len(found) > _GROUPS, found[:_GROUPS]
    numeric = [text for text in numbers if any(group.values[text].n for group in found)]
    ids = {_id(group.key): group for group in found}
    colours = {group_id: RUN_COLOURS[place % len(RUN_COLOURS)] for place, group_id in enumerate(ids)}
    ticked = [group_id for group_id in urls.get_list("gsel") if group_id in ids][:_MOST_DRAWN]
    most = f"the {formats.plural(_GROUPS, 'largest group')}" if more else formats.plural(len(found), "group")
    st.html(f'<div class="rs-line" role="status"><b>{most}</b> of runs, means of each</div>')
    table(
        [
            Column("key", formats.middle_cut(by.removeprefix("config."), 28), pin=True),
            Column("runs", "Runs", kind="number"),
            *(_head(project, text) for text in numeric),
        ],
        [
            Row(
                group_id,
                (_key_cell(project, where, by, group, colours[group_id]), *_cells(group, numeric)),
                label=_name(group.key),
            )
            for group_id, group in ids.items()
        ],
        key="groups-table",
        label=f"Runs of {project} by {by}",
        selected=ticked,
        on_select=lambda chosen_ids: urls.put_list("gsel", chosen_ids),
        on_open=lambda group_id, _column: _show_runs(where, by, ids[group_id].key),
        max_height="min(40vh, 30rem)",
    )
    drawn = ticked or list(ids)[:_DRAWN]
    _charts(project, where, by, [(ids[group_id], colours[group_id]) for group_id in drawn])


def _charts(project: str, where: str, by: str, drawn: Sequence[tuple[Group, str]]) -> None:
    runs: list[RunRow] = []
    members = []
    cut = False
    for group, colour in drawn:
        text = f"({where}) and {condition(by, group.key)}" if where else condition(by, group.key)
        rows = data.runs(project, text, (), "created", True, _RUNS_OF_GROUP, 0)[0].rows
        runs += rows
        members.append(RunGroup(_name(group.key), colour, tuple(run.run_id for run in rows)))
        cut |= group.runs > len(rows)
    if cut:
        st.caption(f"Means and 95 % confidence intervals of the newest {_RUNS_OF_GROUP} runs of each group.")
    else:
        st.caption("Means and 95 % confidence intervals.")
    metric_sections(project, runs, key="groups", overlay=True, groups=members)


def _show_runs(where: str, by: str, key: Scalar) -> None:
    st.session_state[FILTER_KEY] = f"({where}) and {condition(by, key)}" if where else condition(by, key)
    for name in ("by", "gsel", "page"):
        urls.put(name, "")
    st.rerun("app")


def _head(project: str, text: str) -> Column:
    column = described(text, data.definitions(project))
    return Column(
        text,
        formats.middle_cut(column.label, 24),
        kind="number",
        origin=f"mean {column.origin}".strip(),
        hint=f"Mean of {text} over the runs of the group that have it; smallest and largest on hover",
    )


def _key_cell(project: str, where: str, by: str, group: Group, colour: str) -> Cell:
    text = f"({where}) and {condition(by, group.key)}" if where else condition(by, group.key)
    return Cell(
        formats.middle_cut(_name(group.key), 60),
        f"Runs with {text}",
        href=urls.page_link("runs", project=project, filter=text),
        swatch=colour,
    )


def _cells(group: Group, columns: Sequence[str]) -> list[Cell]:
    return [Cell(formats.count(group.runs)), *(_spread_cell(group.values[text]) for text in columns)]


def _spread_cell(spread: Spread) -> Cell:
    if not spread.n:
        return Cell("–", mark="absent")
    low, high = formats.number(spread.min), formats.number(spread.max)
    said = f"mean of {formats.plural(spread.n, 'run')}, from {low} to {high}"
    if spread.ci is not None:
        said += f"; ± {formats.number(spread.ci)} (95 % confidence)"
    return Cell(formats.number(spread.mean), said)


def _id(key: Scalar) -> str:
    return json.dumps(key)


def _name(key: Scalar) -> str:
    return "without" if key is None else formats.written(key) or '""'
