"""Params of one run or of several side by side, with what differs marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from runstream_storage.queries.results import RunRow, Value
from runstream_ui import data, formats
from runstream_ui.markup import in_markdown
from runstream_ui.palette import run_colour
from runstream_ui.widgets.table import Cell, Column, Row, table

Params = Mapping[str, Mapping[str, Value]]


def param_table(project: str, runs: Sequence[RunRow], *, key: str) -> None:
    """A row a param and a column a run."""
    params = data.params(project, tuple(run.run_id for run in runs))
    names = sorted({name for values in params.values() for name in values})
    if not names:
        st.markdown("No params. Give them with `runstream.init(config={...})` or `run.config[...] = ...`.")
        return
    differing = differing_params(params, [run.run_id for run in runs])
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key=f"{key}-param-row"):
        search = st.text_input(
            "Search params",
            key="param",
            type="search",
            placeholder="Search params",
            icon=":material/search:",
            live="250ms",
            label_visibility="collapsed",
            width=260,
            bind="query-params",
        )
        only = len(runs) > 1 and st.toggle(
            f"Only the {len(differing)} that differ", key="diff", value=False, bind="query-params"
        )
    shown = [
        name
        for name in names
        if (not only or name in differing)
        and (search or "").lower() in " ".join([name, *(_text(params, run, name) for run in params)]).lower()
    ]
    if not shown:
        reason = f"has **{in_markdown(search)}** in its name or value" if search else "differs between these runs"
        st.markdown(f"No param {reason}.")
        return
    _draw(runs, params, shown, differing, key)


def differing_params(params: Params, run_ids: Sequence[str]) -> set[str]:
    """Names whose value is not the same in all the runs; a param that a run does not have differs, too."""
    names = {name for values in params.values() for name in values}
    seen = {
        name: {(value.kind, value.text) if (value := params.get(run, {}).get(name)) else None for run in run_ids}
        for name in names
    }
    return {name for name, values in seen.items() if len(values) > 1}


def _draw(runs: Sequence[RunRow], params: Params, names: Sequence[str], differing: set[str], key: str) -> None:
    single = len(runs) == 1
    heads = [
        Column(
            run.run_id,
            "Value" if single else formats.middle_cut(run.name, 22),
            kind="wrap" if single else "text",
            hint="" if single else run.name,
            swatch="" if single else run_colour(run.run_id),
        )
        for run in runs
    ]
    columns = [Column("name", "Param", pin=True), *heads]
    if single:
        columns.append(Column("kind", "Type"))
    rows = []
    for name in names:
        cells = [Cell(formats.middle_cut(name, 48), name)]
        for run in runs:
            value = params.get(run.run_id, {}).get(name)
            cells.append(_cell(value, whole=single, mark="differs" if name in differing else ""))
            if single and value is not None:
                cells.append(Cell(value.kind, mark="muted"))
        rows.append(Row(name, tuple(cells), label=name))
    table(columns, rows, key=f"{key}-params", label="Params", max_height="64vh")


def _cell(value: Value | None, *, whole: bool, mark: str) -> Cell:
    if value is None:
        return Cell("–", "not set", mark=mark or "absent")
    text = value.text if whole or isinstance(value.value, str) else formats.written(_scalar(value))
    return Cell(text if whole else formats.middle_cut(text, 28), value.text, mark=mark)


def _scalar(value: Value) -> bool | int | float | str | None:
    return value.value if isinstance(value.value, bool | int | float | str) else value.text


def _text(params: Params, run: str, name: str) -> str:
    value = params[run].get(name)
    return value.text if value else ""
