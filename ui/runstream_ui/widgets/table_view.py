"""Tables that runs logged: sorted, filtered and searched, paged, and compared between two steps or runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from runstream_storage.queries.media import MediaItem
from runstream_storage.queries.results import RunRow
from runstream_ui import data, formats, logged_tables, urls, values
from runstream_ui.errors import WHY_MISSING, NoSuchFile, NotArrived, UiError
from runstream_ui.logged_tables import Cells, LoggedTable, WrongFilter
from runstream_ui.markup import in_html, in_markdown
from runstream_ui.widgets.arrivals import await_bytes
from runstream_ui.widgets.empty import guarded, no_tables
from runstream_ui.widgets.step_slider import step_slider
from runstream_ui.widgets.table import Cell, Column, Row, table
from runstream_ui.widgets.two_sides import Place, two_sides

_PAGE = 50
_DIFFERENCES = 400
_CELL = 160
_REFRESH_S = 8
_ROWS, _COMPARE = "Rows", "Differences"
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/apng"})
_MARKS = {"added": "＋", "removed": "−", "changed": "≠", "same": ""}


def table_view(project: str, runs: Sequence[RunRow], *, key: str) -> None:
    follow = _REFRESH_S if data.is_live(runs) else None
    st.fragment(guarded(_view), run_every=follow, key=f"tables-{key}")(project, runs, key)


def _view(project: str, runs: Sequence[RunRow], key: str) -> None:
    run_ids = tuple(run.run_id for run in runs)
    known = [entry.name for entry in values.media_series(project, run_ids) if entry.kind == "table"]
    if not known:
        no_tables()
        return
    labels = formats.unique_labels({run.run_id: run.name for run in runs})
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"{key}-table-row"):
        name = _name(known)
        mode = st.segmented_control(
            "What to do",
            (_ROWS, _COMPARE),
            default=_ROWS,
            required=True,
            key="table-mode",
            label_visibility="collapsed",
            bind="query-params",
        )
        if mode == _ROWS and len(runs) > 1:
            run_ids = (_run(labels),)
    if mode == _COMPARE:
        _compare(project, runs, labels, name, key)
        return
    step = step_slider(values.media_at_steps(project, run_ids, (name,)), key=f"{key}-table")
    items = [item for item in values.media_at(project, run_ids, (name,), step) if item.kind == "table"]
    if not items:
        st.caption("This run has no such table here.")
        return
    item = items[0]
    if len(items) > 1:
        ranks = {f"rank {entry.rank}, {entry.index + 1}": entry for entry in items}
        item = ranks[str(st.selectbox("Which", list(ranks), key=f"{key}-table-which", width=160))]
    try:
        read = _read(item)
    except NotArrived as error:
        st.markdown(in_markdown(error))
        await_bytes(project, [item.run_id], [item.sha256] if item.state == "pending" else [], key=f"{key}-table")
        return
    _rows(project, item, read, key)


def _name(known: Sequence[str]) -> str:
    linked = urls.get("table")
    st.session_state["table-name"] = linked if linked in known else known[0]
    st.selectbox(
        "Table",
        known,
        key="table-name",
        label_visibility="collapsed",
        format_func=lambda name: formats.middle_cut(str(name), 46),
        width=300,
        on_change=_another,
    )
    return str(st.session_state["table-name"])


def _another() -> None:
    urls.put("table", st.session_state["table-name"])
    urls.put("sort", "")


def _run(labels: dict[str, str]) -> str:
    linked = urls.get("left-run")
    st.session_state["table-run"] = linked if linked in labels else next(iter(labels))
    st.selectbox(
        "Run",
        list(labels),
        key="table-run",
        label_visibility="collapsed",
        format_func=lambda run: formats.middle_cut(labels.get(str(run), str(run)), 40),
        width=260,
        on_change=lambda: urls.put("left-run", st.session_state["table-run"]),
    )
    return str(st.session_state["table-run"])


@st.cache_data(ttl=3_600, show_spinner="Reading the table", max_entries=12)
def _parsed(sha256: str) -> LoggedTable:
    return logged_tables.read(values.content(sha256, logged_tables.MAX_BYTES))


def _read(item: MediaItem) -> LoggedTable:
    try:
        found: LoggedTable = _parsed(item.sha256)
    except NoSuchFile:
        if item.state != "stored":
            raise NotArrived(state=item.state) from None
        raise
    return found


def _missing(project: str, run_ids: Sequence[str], rows: Iterable[Iterable[Any]]) -> dict[str, str]:
    """Content to why its bytes are not there, of those in `rows` of which that is known."""
    contents = {str(cell["sha256"]) for row in rows for cell in row if logged_tables.is_media(cell)}
    if not contents:
        return {}
    states = values.media_contents(project, tuple(run_ids), tuple(sorted(contents)))
    return {sha256: WHY_MISSING[state] for sha256, state in states.items() if state != "stored"}


def _rows(project: str, item: MediaItem, found: LoggedTable, key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key=f"{key}-table-find-row"):
        search = st.text_input(
            "Search the table",
            key="table-search",
            type="search",
            placeholder="Search in all cells",
            icon=":material/search:",
            live="300ms",
            label_visibility="collapsed",
            width=240,
            bind="query-params",
        )
        numbers = [name for name, kind in found.columns if kind in {"number", "integer"}]
        example = f"{numbers[0] if numbers else found.names[0] if found.names else 'score'} > 0.5 and …"
        condition = st.text_input(
            "Filter the table",
            key="table-filter",
            placeholder=f"Filter: {example}",
            icon=":material/filter_alt:",
            label_visibility="collapsed",
            width=380,
            bind="query-params",
        )
        link = urls.file_link(item.sha256, f"{item.name.rsplit('/', 1)[-1]}.jsonl")
        st.html(
            f'<div class="rs-line rs-at"><a href="{link}" download>Download</a> · {formats.size(item.size)}</div>',
            width="content",
        )
    shown = logged_tables.searched(found, search or "")
    try:
        shown = logged_tables.filtered(shown, condition or "")
    except WrongFilter as error:
        st.html(f'<div class="rs-wrong"><p>{in_html(error)}</p></div>')
    column, descending = urls.get("sort").lstrip("-"), urls.get("sort").startswith("-")
    if column in shown.names:
        shown = logged_tables.ordered(shown, column, descending=descending)
    total = len(shown.rows)
    given = item.metadata.get("rows_given")
    left_out = f" · {given:,} were given, the others were left out" if isinstance(given, int) else ""
    pages = max(1, -(-total // _PAGE))
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key=f"{key}-table-pages-row"):
        of = f" of {formats.count(len(found.rows))}" if total != len(found.rows) else ""
        st.html(
            f'<div class="rs-line"><b>{formats.count(total)}</b>{of} rows{left_out}</div>',
            width="content",
        )
        page = min(st.pagination(pages, key="table-page", bind="query-params") if pages > 1 else 1, pages)
    if not found.rows:
        st.markdown(f"The table is empty: {formats.plural(len(found.columns), 'column')}, no rows.")
        return
    if not total:
        st.markdown("No row matches; loosen or clear search and filter.")
        return
    first = (page - 1) * _PAGE
    on_page = shown.rows[first : first + _PAGE]
    missing = _missing(project, [item.run_id], on_page)
    pending = (sha256 for sha256, why in missing.items() if why == WHY_MISSING["pending"])
    await_bytes(project, [item.run_id], pending, key=f"{key}-table")
    table(
        [
            Column(
                name,
                formats.middle_cut(name, 32),
                kind="number" if kind in {"number", "integer"} else "text",
                hint=f"{name}: {kind}",
                sortable=True,
                sorted=("desc" if descending else "asc") if name == column else "",
            )
            for name, kind in found.columns
        ],
        [
            Row(str(first + place), tuple(_cell(cell, missing=missing) for cell in row))
            for place, row in enumerate(on_page)
        ],
        key=f"{key}-table-rows",
        label=f"Table {item.name}",
        on_sort=_sort,
        max_height="70vh",
    )


def _sort(column: str) -> None:
    urls.put("sort", {column: f"-{column}", f"-{column}": ""}.get(urls.get("sort"), column))


def _cell(cell: Any, *, mark: str = "", hover: str = "", missing: Mapping[str, str] | None = None) -> Cell:
    if logged_tables.is_media(cell):
        return _media_cell(cell, mark, hover, (missing or {}).get(str(cell["sha256"]), ""))
    text = logged_tables.text_of(cell)
    if cell is None:
        return Cell("–", hover, mark=mark or "absent")
    exact = formats.exact(cell) if isinstance(cell, float) else text
    return Cell(formats.middle_cut(text, _CELL), hover or exact[:2_000], mark=mark)


def _media_cell(cell: dict[str, Any], mark: str, hover: str, missing: str) -> Cell:
    """A picture in small, or a link; or why its bytes are not there."""
    sha256, mime = str(cell["sha256"]), str(cell.get("mime", ""))
    caption = str(cell.get("caption") or "")
    name = f"{cell['kind']}.{mime.rsplit('/', 1)[-1].split('+')[0] or 'bin'}"
    told = hover or caption or f"{mime} · {formats.size(int(cell.get('size') or 0))}"
    if missing:
        return Cell(caption or str(cell["kind"]), told, flag=missing, mark=mark)
    if mime in _PICTURES:
        return Cell(caption, told, image=urls.image_link(sha256, name), mark=mark)
    if mime == "image/svg+xml":
        return Cell(caption, told, image=urls.drawing_link(sha256, name), mark=mark)
    if mime.startswith(("audio/", "video/")):
        return Cell(caption, told, play=urls.media_link(sha256, name), mark=mark)
    link = urls.file_link(sha256, name)
    return Cell(caption or str(cell["kind"]), told, href=link, download=True, mark=mark)


def _compare(project: str, runs: Sequence[RunRow], labels: dict[str, str], name: str, key: str) -> None:
    """What changed from one table to another."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"{key}-table-diff-row"):
        places = two_sides(
            runs, labels, lambda run_id: values.media_at_steps(project, (run_id,), (name,)), key=f"{key}-table"
        )
        left, right = (_table_of(project, name, place) for place in places)
        chosen, only = "", True
        if left and right:
            keys = logged_tables.key_columns(left, right)
            chosen = str(
                st.selectbox(
                    "Rows are the same by",
                    [*keys, ""],
                    key=f"{key}-table-key",
                    width=180,
                    format_func=lambda column: column or "their place",
                )
            )
            only = st.toggle("Only differences", value=True, key=f"{key}-table-only")
    if left is None or right is None:
        st.caption("One of them has no such table here.")
        return
    changes = logged_tables.compared(left, right, chosen)
    counts = {how: sum(1 for change in changes if change.how == how) for how in ("added", "removed", "changed", "same")}
    told = ", ".join(f"{formats.count(number)} {how}" for how, number in counts.items())
    dropped = [column for column in left.names if column not in right.names]
    new = [column for column in right.names if column not in left.names]
    columns = [
        f"column {in_html(column)} {how}" for names, how in ((dropped, "dropped"), (new, "new")) for column in names
    ]
    st.html(f'<div class="rs-line">Rows: {told}{" · " if columns else ""}{", ".join(columns)}</div>')
    shown = [change for change in changes if not only or change.how != "same"]
    if not shown:
        st.markdown("The two tables are the same." if only else "Both tables are empty.")
        return
    table(
        [
            Column("\0how", "", hint="added, removed or changed"),
            *(Column(column, formats.middle_cut(column, 32)) for column in right.names),
        ],
        [
            Row(
                f"{change.how}-{change.key}",
                (
                    Cell(_MARKS[change.how], change.how),
                    *(
                        _difference(left, right, change.before, change.after, column, column in change.differs)
                        for column in right.names
                    ),
                ),
            )
            for change in shown[:_DIFFERENCES]
        ],
        key=f"{key}-table-diff",
        label=f"Differences of {name}",
        max_height="70vh",
    )
    if len(shown) > _DIFFERENCES:
        st.caption(f"The first {_DIFFERENCES} of {formats.count(len(shown))} rows.")


def _difference(
    left: LoggedTable, right: LoggedTable, before: Cells | None, after: Cells | None, column: str, differs: bool
) -> Cell:
    was = before[left.place(column)] if before is not None and column in left.names else None
    if after is None:
        return _cell(was, mark="muted")
    now = after[right.place(column)]
    if not differs:
        return _cell(now)
    if logged_tables.is_media(now):
        return _cell(now, mark="differs", hover="another content than before")
    sides = [logged_tables.text_of(cell) or "–" for cell in (was, now)]
    return Cell(" → ".join(formats.middle_cut(side, 60) for side in sides), " → ".join(sides)[:2_000], mark="differs")


def _table_of(project: str, name: str, place: Place | None) -> LoggedTable | None:
    if place is None:
        return None
    items = [item for item in values.media_at(project, (place.run_id,), (name,), place.step) if item.kind == "table"]
    try:
        return _read(items[0]) if items else None
    except UiError as error:
        st.markdown(in_markdown(error))
        return None
