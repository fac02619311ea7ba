"""Media by step: pictures with boxes and masks, sound, video, HTML, figures, points and files, of one run or several.

One slider moves all panels. At a step where a name has nothing, what it had last is shown, with its own step.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import streamlit as st

from runstream_storage.queries.media import MediaItem, MediaName
from runstream_storage.queries.results import RunRow
from runstream_ui import data, formats, urls, values
from runstream_ui.errors import NoSuchFile, UiError
from runstream_ui.markup import in_html, in_markdown
from runstream_ui.media_items import Classes, item_json, plotly_figure, shown_as, top_level
from runstream_ui.palette import run_colour
from runstream_ui.widgets.arrivals import await_bytes
from runstream_ui.widgets.empty import guarded, no_media
from runstream_ui.widgets.step_slider import step_slider

_HERE = Path(__file__).parent
_draw = st.components.v2.component(
    "runstream_media",
    html='<div class="rs-media"></div>',
    css=(_HERE / "media.css").read_text(encoding="utf-8"),
    js=(_HERE / "media.js").read_text(encoding="utf-8"),
)
_PANELS = 12
_ITEMS = 64
_REFRESH_S = 5
_MAX_TEXT = 128 << 10
_MAX_FIGURE = 24 << 20
_FIGURES = 12


def media_view(project: str, runs: Sequence[RunRow], *, key: str) -> None:
    """The media of `runs`; live runs are followed while no step was chosen."""
    follow = _REFRESH_S if data.is_live(runs) else None
    st.fragment(guarded(_view), run_every=follow, key=f"media-{key}")(project, runs, key)


def _view(project: str, runs: Sequence[RunRow], key: str) -> None:
    run_ids = tuple(run.run_id for run in runs)
    known = values.media_series(project, run_ids)
    tables = [entry.name for entry in known if entry.kind == "table"]
    offered = [entry for entry in known if entry.kind != "table"]
    if not offered:
        no_media(tables)
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"{key}-media-row"):
        names = _chosen(offered, tables)
    if not names:
        st.markdown(f"No media has that in its name; there are {formats.plural(len(offered), 'name')}.")
        return
    if len(names) > _PANELS:
        page = st.pagination(-(-len(names) // _PANELS), key="media-page", bind="query-params")
        names = names[(page - 1) * _PANELS : page * _PANELS]
    step = step_slider(values.media_at_steps(project, run_ids, tuple(names)), key=f"{key}-media")
    found = values.media_at(project, run_ids, tuple(names), step)
    labels = formats.unique_labels({run.run_id: run.name for run in runs})
    panels = [_panel(name, [item for item in found if item.name == name], run_ids, labels, step) for name in names]
    _draw(key=f"{key}-media-panels", data={"panels": [panel for panel in panels if panel["rows"]]})
    _figures([item for item in found if shown_as(item) == "plotly"], labels, len(runs) > 1, key)
    await_bytes(project, run_ids, (item.sha256 for item in found if item.state == "pending"), key=f"{key}-media")


def _chosen(offered: Sequence[MediaName], tables: Sequence[str]) -> list[str]:
    """The names that are searched for, of the kinds that are picked."""
    search = st.text_input(
        "Search media",
        key="media",
        type="search",
        placeholder="Search media",
        icon=":material/search:",
        live="250ms",
        label_visibility="collapsed",
        width=260,
        bind="query-params",
    )
    kinds = sorted({entry.kind for entry in offered})
    picked = list[str]()
    if len(kinds) > 1:
        chosen = st.pills(
            "Kinds", kinds, selection_mode="multi", key="kinds", label_visibility="collapsed", bind="query-params"
        )
        picked = [str(kind) for kind in chosen or ()]
    wanted = (search or "").lower()
    of_kind = [entry.name for entry in offered if not picked or entry.kind in picked]
    names = list(dict.fromkeys(of_kind))
    logged = top_level(names, tables)
    # Masks and cells of tables are found by their own names alone.
    return [name for name in logged if wanted in name.lower()] or [name for name in names if wanted in name.lower()]


def _panel(
    name: str, found: Sequence[MediaItem], run_ids: Sequence[str], labels: dict[str, str], step: int | None
) -> dict[str, Any]:
    """For media.js: of one run its items, of several a row for each; each rank that logged has a row of its own."""
    classes = Classes()
    by_row = {place: list(items) for place, items in groupby(found, key=lambda item: (item.run_id, item.rank))}
    drawn = {place: [item for item in items if shown_as(item) != "plotly"] for place, items in by_row.items()}
    drawn = {place: items for place, items in drawn.items() if items}
    named = len(run_ids) > 1 or len(drawn) > 1
    rows = []
    for run_id in run_ids if drawn else ():
        places = [place for place in drawn if place[0] == run_id]
        for place in places or [(run_id, 0)]:
            items = drawn.get(place, [])
            rank = f" · rank {place[1]}" if len(places) > 1 else ""
            rows.append(
                {
                    "label": formats.middle_cut(labels[run_id], 34) + rank if named else "",
                    "hover": labels[run_id] + rank,
                    "colour": run_colour(run_id),
                    "note": _when(items, step) if items and named else "",
                    "items": [item_json(item, classes, _read(item)) for item in items[:_ITEMS]],
                }
            )
    items = [item for of_row in drawn.values() for item in of_row]
    more = sum(max(0, len(of_row) - _ITEMS) for of_row in drawn.values())
    note = [] if named or not items else [_when(items, step)]
    note += [f"{formats.count(more)} more are not shown"] if more else []
    return {
        "title": formats.middle_cut(name, 90),
        "hover": name,
        "note": " · ".join(note),
        "classes": classes.as_json(),
        "rows": rows,
    }


def _when(items: Sequence[MediaItem], step: int | None) -> str:
    """The step of what is shown, which may be older than the one asked for."""
    own = items[0].step
    count = f" · {len(items)} items" if len(items) > 1 else ""
    return f"step {formats.count(own)}{' (the last before)' if step is not None and own < step else ''}{count}"


def _read(item: MediaItem) -> dict[str, Any]:
    """What is drawn from the bytes themselves and not by the browser, else why it is not."""
    try:
        shown = shown_as(item)
        if shown == "shape":
            return {"shape": values.shape(item.mime, item.sha256)}
        if shown == "text":
            return {"text": _text(item)}
    except NoSuchFile as error:
        return {"why": "" if item.state != "stored" else str(error)}  # media.js says what is missing
    except (UiError, ValueError) as error:
        return {"why": str(error)}
    return {}


def _text(item: MediaItem) -> str:
    """As much of a text as a page can show; its download has all."""
    head = values.head(item.sha256, _MAX_TEXT)
    text = head.decode("utf-8", "replace" if item.size <= len(head) else "ignore")
    if item.size <= len(head):
        return text
    return f"{text}\n… the first {formats.size(len(head))} of {formats.size(item.size)}; download it to read on."


def _figures(items: Sequence[MediaItem], labels: dict[str, str], several: bool, key: str) -> None:
    """Plotly figures, which Streamlit draws."""
    for item in items[:_FIGURES]:
        who = f"{in_html(labels[item.run_id])} · " if several else ""
        link = urls.file_link(item.sha256, f"{item.name.rsplit('/', 1)[-1]}.json")
        st.html(
            f'<div class="rs-chart-title" title="{in_html(item.name)}">{in_html(formats.middle_cut(item.name, 70))}'
            f'<span class="rs-zoomed">{who}step {formats.count(item.step)} · {in_html(item.caption)} '
            f'<a href="{link}" download>download</a></span></div>'
        )
        try:
            figure = plotly_figure(values.content_of(item, _MAX_FIGURE))
            st.plotly_chart(
                figure, key=f"{key}-figure-{item.name}-{item.run_id}-{item.rank}-{item.index}", alt=item.name
            )
        except (UiError, ValueError, TypeError, KeyError) as error:
            st.markdown(f"Not drawn: {in_markdown(error)}")
    if len(items) > _FIGURES:
        st.caption(f"The first {_FIGURES} of {len(items)} figures; search for the others by name.")
