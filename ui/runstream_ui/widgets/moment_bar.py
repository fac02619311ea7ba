"""A moment that a link names, above the charts and the machine's samples: what it is, and where else it leads."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from runstream_storage.queries.results import RunRow
from runstream_ui import formats, moments, urls, values
from runstream_ui.charts import XAxis
from runstream_ui.markup import in_html


def moment_bar(project: str, run: RunRow) -> None:
    """Nothing while no moment is named."""
    moment_us = moments.chosen_us()
    if moment_us is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="moment-row"):
        st.html(f'<div class="rs-line">{told(project, run, moment_us)}</div>', width="content")
        st.button("Clear the mark", key="clear-moment", on_click=moments.choose, args=(None,), type="tertiary")


def told(project: str, run: RunRow, moment_us: int) -> str:
    """The moment as HTML, with a link to the console lines of it."""
    clock = values.clock(project, run.run_id)
    at = moments.at(moment_us)
    step = f" · step {formats.count(clock.step_at(at))}" if clock else ""
    after = formats.duration((moment_us - _start_us(run.created_at)) / 1e6)
    link = urls.page_link("run", project=project, run=run.run_id, tab="Console", moment=str(moment_us))
    return (
        f'<span class="rs-mark"></span> <span title="{formats.utc(at)}">{after} after the start</span>'
        f'{step} · <a href="{in_html(link)}" target="_self">console lines</a>'
    )


def x_of(project: str, run: RunRow, moment_us: int, x_axis: XAxis) -> float | None:
    """Where the moment lies on an axis; None where the run has no steps yet."""
    if x_axis == "time":
        return moment_us / 1e3
    if x_axis == "relative":
        return (moment_us - _start_us(run.created_at)) / 1e6
    clock = values.clock(project, run.run_id)
    return float(clock.step_at(moments.at(moment_us))) if clock else None


def moment_of(project: str, run: RunRow, x: float, x_axis: XAxis) -> int | None:
    """The moment at a place of an axis, in microseconds since 1970."""
    if x_axis == "time":
        return int(x * 1e3)
    if x_axis == "relative":
        return _start_us(run.created_at) + int(x * 1e6)
    clock = values.clock(project, run.run_id)
    return clock.time_us(x) if clock else None


def _start_us(created_at: datetime) -> int:
    return int(created_at.timestamp() * 1e6)
