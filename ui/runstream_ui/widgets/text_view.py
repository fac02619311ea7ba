"""Texts by step: read, searched, and compared between two steps or runs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from runstream_storage.queries.results import RunRow
from runstream_storage.queries.texts import TextValue
from runstream_ui import data, formats, urls, values
from runstream_ui.markup import in_html, user_markdown
from runstream_ui.palette import run_colour
from runstream_ui.text_diff import changes, diff_html
from runstream_ui.widgets.empty import guarded, no_texts
from runstream_ui.widgets.step_slider import step_slider
from runstream_ui.widgets.table import Cell, Column, Row, table
from runstream_ui.widgets.two_sides import Place, two_sides

_NAMES = 8
_HITS = 50
_SHOWN = 60_000
_REFRESH_S = 5
_READ, _COMPARE = "Read", "Differences"
_LAYOUTS = ("side by side", "inline")


def text_view(project: str, runs: Sequence[RunRow], *, key: str) -> None:
    """Texts of `runs`, one under the other."""
    follow = _REFRESH_S if data.is_live(runs) else None
    st.fragment(guarded(_view), run_every=follow, key=f"texts-{key}")(project, runs, key)


def _view(project: str, runs: Sequence[RunRow], key: str) -> None:
    run_ids = tuple(run.run_id for run in runs)
    known = [entry.name for entry in values.text_series(project, run_ids)]
    if not known:
        no_texts()
        return
    labels = formats.unique_labels({run.run_id: run.name for run in runs})
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"{key}-text-row"):
        chosen = _name(known)
        mode = st.segmented_control(
            "What to do",
            (_READ, _COMPARE),
            default=_READ,
            required=True,
            key="text-mode",
            label_visibility="collapsed",
            bind="query-params",
        )
        search = ""
        if mode == _READ:
            search = str(
                st.text_input(
                    "Search texts",
                    key="text-search",
                    type="search",
                    placeholder="Search in all steps",
                    icon=":material/search:",
                    live="400ms",
                    label_visibility="collapsed",
                    width=260,
                    bind="query-params",
                )
                or ""
            )
    if mode == _COMPARE:
        _compare(project, runs, labels, chosen or known[0], key)
        return
    if search.strip():
        _hits(project, run_ids, labels, [chosen] if chosen else known[:_NAMES], search, key)
        return
    names = [chosen] if chosen else known[:_NAMES]
    step = step_slider(values.text_at_steps(project, run_ids, tuple(names)), key=f"{key}-text")
    found = values.text_at(project, run_ids, tuple(names), step)
    for name in names:
        _texts(name, [text for text in found if text.name == name], labels, step, several=len(runs) > 1)
    if not chosen and len(known) > _NAMES:
        st.caption(f"The first {_NAMES} of {len(known)} series; choose one above to see the others.")


def _name(known: Sequence[str]) -> str:
    """The one series that was chosen; empty: all."""
    linked = urls.get("text")
    st.session_state["text-name"] = linked if linked in known else None
    chosen = st.selectbox(
        "Series",
        known,
        key="text-name",
        placeholder=f"All {len(known)} series" if len(known) > 1 else known[0],
        label_visibility="collapsed",
        format_func=lambda name: formats.middle_cut(str(name), 46),
        width=300,
        on_change=lambda: urls.put("text", st.session_state["text-name"] or ""),
    )
    return str(chosen or (known[0] if len(known) == 1 else ""))


def _texts(name: str, found: Sequence[TextValue], labels: dict[str, str], step: int | None, *, several: bool) -> None:
    st.html(f'<div class="rs-chart-title" title="{in_html(name)}">{in_html(formats.middle_cut(name, 80))}</div>')
    if not found:
        st.caption("Nothing was logged up to here.")
    ranks = len({text.rank for text in found}) > 1
    for text in found:
        rank = f" · rank {text.rank}" if ranks else ""
        note = " (the last before)" if step is not None and text.step < step else ""
        who = ""
        if several:
            colour = run_colour(text.run_id)
            label = in_html(formats.middle_cut(labels[text.run_id], 40))
            who = f'<i class="rs-swatch" style="background:{colour}"></i> {label} · '
        st.html(
            f'<div class="rs-line">{who}step {formats.count(text.step)}{note}{rank} · '
            f'<span title="{formats.utc(text.at)}">{formats.plural(len(text.text), "character")}</span></div>'
        )
        _body(text)


def _body(text: TextValue) -> None:
    shown = text.text[:_SHOWN]
    with st.container(border=True):
        if not shown.strip():
            st.caption("An empty text." if not shown else "Only white space.")
        elif text.mime == "text/markdown":
            st.markdown(user_markdown(shown))
        else:
            st.html(f'<div class="rs-text">{in_html(shown)}</div>')
        if len(text.text) > _SHOWN:
            st.caption(f"The first {formats.count(_SHOWN)} of {formats.plural(len(text.text), 'character')}.")


def _hits(
    project: str, run_ids: Sequence[str], labels: dict[str, str], names: Sequence[str], search: str, key: str
) -> None:
    """Where the text was found: a click leads to that step."""
    found = [
        hit for name in names for run_id in run_ids for hit in values.text_hits(project, run_id, name, search, _HITS)
    ]
    more = " at least" if len(found) >= _HITS else ""
    st.html(
        f'<div class="rs-line">Found{more} <b>{formats.count(len(found))}</b> times, the newest first · '
        "click a step to read it</div>"
    )
    if not found:
        return
    table(
        [
            Column("step", "Step", kind="number"),
            Column("series", "Series"),
            *([Column("run", "Run")] if len(run_ids) > 1 else []),
            Column("text", "Text", kind="wrap"),
        ],
        [
            Row(
                f"{hit.name}\0{hit.step}\0{hit.run_id}\0{hit.rank}",
                (
                    Cell(formats.count(hit.step), href=urls.page_link("run", at=str(hit.step))),
                    Cell(formats.middle_cut(hit.name, 40), hit.name),
                    *(
                        [Cell(formats.middle_cut(labels[hit.run_id], 30), swatch=run_colour(hit.run_id))]
                        if len(run_ids) > 1
                        else []
                    ),
                    Cell(around(hit.text, search)),
                ),
            )
            for hit in found[: 4 * _HITS]
        ],
        key=f"{key}-text-hits",
        label="Texts that were found",
        on_open=_read_hit,
        max_height="32rem",
    )


def _read_hit(row: str, _column: str) -> None:
    name, step = row.split("\0")[:2]
    urls.put("text", name)
    urls.put("at", step)
    st.session_state["text-search"] = ""


def around(text: str, search: str, reach: int = 90) -> str:
    """The stretch of `text` around the first place of `search`, in one line."""
    place = max(0, text.lower().find(search.lower()))
    start, end = max(0, place - reach), place + len(search) + reach
    cut = " ".join(text[start:end].split())
    return f"{'…' if start else ''}{cut}{'…' if end < len(text) else ''}"


def _compare(project: str, runs: Sequence[RunRow], labels: dict[str, str], name: str, key: str) -> None:
    """Two texts of one series: of two runs, or of two steps of one."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"{key}-text-diff-row"):
        left, right = (
            _text_of(project, name, place)
            for place in two_sides(
                runs, labels, lambda run_id: values.text_at_steps(project, (run_id,), (name,)), key=f"{key}-text"
            )
        )
        layout = st.segmented_control(
            "Layout",
            _LAYOUTS,
            default=_LAYOUTS[0],
            required=True,
            key="text-layout",
            label_visibility="collapsed",
            bind="query-params",
        )
    st.html(f'<div class="rs-chart-title" title="{in_html(name)}">{in_html(formats.middle_cut(name, 80))}</div>')
    if left is None or right is None:
        st.caption("One of them has no text here yet.")
        return
    heads = [
        (f"{formats.middle_cut(labels[text.run_id], 40)} · " if len(runs) > 1 else "") + f"step {text.step:,}"
        for text in (left, right)
    ]
    removed, added = changes(left.text, right.text)
    if not removed and not added:
        st.html('<div class="rs-line">The two texts are the same.</div>')
        return
    st.html(
        f'<div class="rs-line">{formats.plural(removed, "line")} removed or changed, '
        f"{formats.plural(added, 'line')} added or changed</div>"
    )
    st.html(
        diff_html(
            left.text,
            right.text,
            left=heads[0],
            right=heads[1],
            layout="inline" if layout == "inline" else "side by side",
        )
    )


def _text_of(project: str, name: str, place: Place | None) -> TextValue | None:
    found = values.text_at(project, (place.run_id,), (name,), place.step) if place else []
    return found[0] if found else None
