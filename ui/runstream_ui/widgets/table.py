"""A table drawn by the page and sorted by the server.

`st.dataframe` sorts in the browser, so with paging it would sort one page of many; it has no exact value on hover and
no links that keep the session. This one is a plain HTML table: real header cells for screen readers, links that open in
a new tab when asked to, and clicks that come back as events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

_HERE = Path(__file__).parent
_draw = st.components.v2.component(
    "runstream_table",
    html='<div class="rs-scroll"><table></table></div>',
    css=(_HERE / "table.css").read_text(encoding="utf-8"),
    js=(_HERE / "table.js").read_text(encoding="utf-8"),
)

Kind = Literal["text", "number", "code", "wrap", "muted"]


@dataclass(frozen=True)
class Column:
    """`pin` keeps the column in view when the table scrolls sideways; one column at most. `origin` stands small above
    the label; `name` is what a sign for a label is called."""

    id: str
    label: str
    kind: Kind = "text"
    hint: str = ""
    sortable: bool = False
    sorted: Literal["asc", "desc", ""] = ""
    pin: bool = False
    swatch: str = ""
    origin: str = ""
    name: str = ""


@dataclass(frozen=True)
class Chip:
    text: str
    hover: str = ""


@dataclass(frozen=True)
class Cell:
    """`dot` and `swatch` are CSS colours; `mark` is differs, absent or muted; `hover` is the whole or exact text;
    `flag` says what is wrong, behind a small mark. `image` and `play` are addresses of a picture, shown in small, and
    of a sound or video. `press` makes the text a button and says what it does; `pressed` is its state."""

    text: str = ""
    hover: str = ""
    href: str = ""
    download: bool = False
    dot: str = ""
    pulse: bool = False
    swatch: str = ""
    chips: tuple[Chip, ...] = ()
    mark: str = ""
    flag: str = ""
    image: str = ""
    play: str = ""
    press: str = ""
    pressed: bool = False


@dataclass(frozen=True)
class Row:
    id: str
    cells: tuple[Cell, ...]
    label: str = ""


def table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    key: str,
    label: str,
    selected: Sequence[str] = (),
    on_select: Callable[[list[str]], None] | None = None,
    on_sort: Callable[[str], None] | None = None,
    on_open: Callable[[str, str], None] | None = None,
    on_press: Callable[[str, str], None] | None = None,
    max_height: str = "none",
) -> None:
    """Draw the table; the callbacks get the selected row ids, the id of the clicked column, (row id, column id) of a
    link or a button.

    They run before the script or fragment that drew the table runs again.
    """

    def event(name: str) -> Any:
        return getattr(st.session_state.get(key), name, None)

    def selected_changed() -> None:
        payload = event("select")
        if on_select and isinstance(payload, dict):
            st.session_state[f"{key}-selected-at"] = payload.get("at", 0)
            on_select([str(row_id) for row_id in payload.get("ids", [])])

    def sort_clicked() -> None:
        payload = event("sort")
        if on_sort and isinstance(payload, dict):
            on_sort(str(payload.get("column", "")))

    def opened() -> None:
        payload = event("open")
        if on_open and isinstance(payload, dict):
            on_open(str(payload.get("id", "")), str(payload.get("column", "")))

    def pressed() -> None:
        payload = event("press")
        if on_press and isinstance(payload, dict):
            on_press(str(payload.get("id", "")), str(payload.get("column", "")))

    _draw(
        key=key,
        data={
            "label": label,
            "columns": [asdict(column) for column in columns],
            "rows": [{"id": row.id, "label": row.label, "cells": [_slim(cell) for cell in row.cells]} for row in rows],
            "selected": list(selected),
            "selected_at": st.session_state.get(f"{key}-selected-at", 0),
            "selectable": on_select is not None,
            "max_height": max_height,
        },
        on_select_change=selected_changed,
        on_sort_change=sort_clicked,
        on_open_change=opened,
        on_press_change=pressed,
    )


def _slim(cell: Cell) -> dict[str, Any]:
    """The fields that say something: most cells are a text and nothing else."""
    slim: dict[str, Any] = {name: value for name, value in vars(cell).items() if value}
    if cell.chips:
        slim["chips"] = [vars(chip) for chip in cell.chips]
    return slim
