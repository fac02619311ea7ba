"""The console of a run: read anywhere, searched, followed, and tied to the charts.

The page holds a stretch of lines around a place; scrolling to an end of it asks the database for the next one. Without
a place it is the newest lines, which are followed while the run lives.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import streamlit as st

from runstream_storage.errors import QueryError
from runstream_storage.queries.console import ConsoleFilter, ConsoleLine, ConsolePlace, ConsoleWriter
from runstream_storage.queries.results import RunRow
from runstream_ui import ansi, data, formats, frame, moments, urls, values
from runstream_ui.markup import in_html
from runstream_ui.widgets.empty import guarded, no_console

_HERE = Path(__file__).parent
_draw = st.components.v2.component(
    "runstream_console",
    html='<div class="rs-console" tabindex="0" role="log"></div>',
    css=(_HERE / "console.css").read_text(encoding="utf-8"),
    js=(_HERE / "console.js").read_text(encoding="utf-8"),
)
_AROUND = 400
_NEWEST = 800
_HITS = 200
_MAX_LINE = 20_000
_REFRESH_S = 2
_STREAMS = ("stdout", "stderr")


def console_view(project: str, run: RunRow) -> None:
    follow = _REFRESH_S if data.is_live([run]) else None
    st.fragment(guarded(_view), run_every=follow, key="console")(project, run)


def _view(project: str, run: RunRow) -> None:
    writers = values.consoles(project, run.run_id)
    if not writers:
        no_console()
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="console-row"):
        which, pattern = _controls(writers)
        _jumps(project, run, which)
    if which.search:
        _hits(project, run.run_id, which, pattern, several=_several(writers))
    _lines(project, run, ConsoleFilter(rank=which.rank, stream=which.stream), pattern, several=_several(writers))


def _several(writers: Sequence[ConsoleWriter]) -> bool:
    return len({writer.rank for writer in writers}) > 1


def _controls(writers: Sequence[ConsoleWriter]) -> tuple[ConsoleFilter, re.Pattern[str] | None]:
    """What to show and search for, and the same search for the marks on the lines."""
    search = str(
        st.text_input(
            "Search the console",
            key="find",
            type="search",
            placeholder="Search lines",
            icon=":material/search:",
            live="400ms",
            label_visibility="collapsed",
            width=260,
            bind="query-params",
        )
        or ""
    )
    regex = st.toggle("Regex", key="find-regex", bind="query-params", help="RE2, as the database has it")
    case = st.toggle("Case", key="find-case", bind="query-params", help="Heed upper and lower case")
    rank: int | None = None
    if _several(writers):
        ranks = sorted({writer.rank for writer in writers})
        linked = urls.get("rank")
        st.session_state["console-rank"] = int(linked) if linked.isdigit() and int(linked) in ranks else None
        rank = st.selectbox(
            "Rank",
            ranks,
            key="console-rank",
            placeholder="All ranks",
            label_visibility="collapsed",
            format_func=lambda number: f"rank {number}",
            width=130,
            on_change=lambda: urls.put("rank", _text(st.session_state["console-rank"])),
        )
    stream: Literal["stdout", "stderr"] | None = None
    if any(writer.errors for writer in writers):
        chosen = st.pills("Stream", _STREAMS, key="stream", label_visibility="collapsed", bind="query-params")
        stream = "stdout" if chosen == "stdout" else "stderr" if chosen == "stderr" else None
    kind: Literal["regex", "text"] = "regex" if regex else "text"
    return ConsoleFilter(search, kind, case, rank, None, None, stream), _pattern(search, regex=regex, case=case)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _pattern(search: str, *, regex: bool, case: bool) -> re.Pattern[str] | None:
    """None where nothing is marked: Python reads most, but not all, of what the database does."""
    if not search:
        return None
    try:
        return re.compile(search if regex else re.escape(search), 0 if case else re.IGNORECASE)
    except (re.error, RecursionError, OverflowError):
        return None


def _jumps(project: str, run: RunRow, which: ConsoleFilter) -> None:
    st.button("First", key="console-first", on_click=urls.put, args=("line", "first"), type="tertiary")
    st.button("Newest", key="console-newest", on_click=_newest, type="tertiary")
    choice = f"?rank={which.rank}" if which.rank is not None else ""
    link = f"console/{quote(project, safe='')}/{quote(run.run_id, safe='')}.txt{choice}"
    st.html(f'<div class="rs-line rs-at"><a href="{link}" download>Download</a></div>', width="content")


def _newest() -> None:
    urls.put("line", "")
    moments.choose(None)
    st.session_state.pop("console-scrolled", None)


def _hits(project: str, run_id: str, which: ConsoleFilter, pattern: re.Pattern[str] | None, *, several: bool) -> None:
    """The newest lines that match; a click shows one among its neighbours."""
    try:
        count = values.console_hits(project, run_id, which)
    except QueryError as error:
        if which.kind != "regex":
            raise
        st.html(
            f'<div class="rs-wrong"><p title="{in_html(error)}">The database cannot read this as a regular expression '
            "(RE2). Put a backslash before ( ) [ ] . * + ? that are meant as they stand, or switch Regex off.</p></div>"
        )
        return
    shown = values.console_lines(project, run_id, which, limit=_HITS).lines if count else []
    more = f", the newest {formats.count(len(shown))} below" if count > len(shown) else ""
    match = "line matches" if count == 1 else "lines match"
    told = f"<b>{formats.count(count)}</b> {match}{more}"
    st.html(f'<div class="rs-line">{told}{" · a click shows one in its place" if count else ""}</div>')
    if shown:
        _component(
            "console-hits",
            shown,
            pattern,
            several=several,
            on_open=_to_line,
            hits=True,
            max_height="13rem",
            label="Matches",
        )


def _lines(project: str, run: RunRow, which: ConsoleFilter, pattern: re.Pattern[str] | None, *, several: bool) -> None:
    run_id, asked = run.run_id, urls.get("line")
    marked = centre = _place(asked)
    if asked == "" and (moment_us := moments.chosen_us()) is not None:
        near = values.console_line_at(project, run_id, moments.at(moment_us), which)
        marked = centre = near.place if near else None
    scrolled = st.session_state.get("console-scrolled")
    if scrolled and scrolled[0] == (run_id, which, asked, moments.chosen_us()):
        centre = _place(scrolled[1])
    following = data.is_live([run]) and centre is None and asked != "first"
    if centre is None:
        page = values.console_lines(project, run_id, which, first=asked == "first", limit=_NEWEST)
        older, newer = (False, page.more) if asked == "first" else (page.more, False)
        lines = page.lines
    else:
        before = values.console_lines(project, run_id, which, before=centre, limit=_AROUND)
        # The line itself comes with those that follow it.
        after = values.console_lines(project, run_id, which, after=centre._replace(line=centre.line - 1), limit=_AROUND)
        lines, older, newer = [*before.lines, *after.lines], before.more, after.more
    if not lines:
        st.markdown("No line of this rank and stream.")
        return
    end = "following …" if following else ""

    def scroll(line_id: str) -> None:
        st.session_state["console-scrolled"] = ((run_id, which, asked, moments.chosen_us()), line_id)

    _component(
        "console-lines",
        lines,
        pattern,
        several=several,
        on_open=_to_charts,
        on_more=scroll,
        at=marked,
        anchor=f"{asked}/{moments.chosen_us()}/{which.rank}/{which.stream}",
        from_top=asked == "first",
        follow=following,
        older=older,
        newer=newer,
        end=end,
        height="64vh",
        label=f"Console of {run.name}",
    )
    errors = " · amber edge: stderr" if any(line.stream == "stderr" for line in lines) else ""
    st.html(
        f'<div class="rs-line">{formats.count(len(lines))} lines loaded; more come as you scroll · times are local, '
        f"UTC on hover · a click on a time shows that moment on the charts{errors}</div>"
    )


def _component(
    key: str,
    lines: Sequence[ConsoleLine],
    pattern: re.Pattern[str] | None,
    *,
    several: bool,
    on_open: Any,
    on_more: Any = None,
    at: ConsolePlace | None = None,
    **extra: Any,
) -> None:
    def fired(name: str, then: Any) -> Any:
        def run_it() -> None:
            payload = getattr(st.session_state.get(key), name, None)
            if then is not None and isinstance(payload, dict):
                then(str(payload.get("id", "")))

        return run_it

    _draw(
        key=key,
        data={
            "lines": [_line_json(line, pattern) for line in lines],
            "ranks": several,
            "at": _id(at) if at else "",
            **extra,
        },
        on_open_change=fired("open", on_open),
        on_more_change=fired("more", on_more),
    )


def _line_json(line: ConsoleLine, pattern: re.Pattern[str] | None) -> dict[str, Any]:
    text = line.text if len(line.text) <= _MAX_LINE else f"{line.text[:_MAX_LINE]} … ({len(line.text):,} characters)"
    return {
        "id": _id(line.place),
        "t": line.place.ts_us / 1000,
        "n": line.line,
        "rank": line.rank,
        "err": line.stream == "stderr",
        "html": ansi.as_html(text, line.styles, ansi.found(text, pattern) if pattern else ()),
    }


def _id(place: ConsolePlace) -> str:
    return f"{place.ts_us}-{place.writer}-{place.line}"


def _place(text: str) -> ConsolePlace | None:
    parts = text.split("-")
    if len(parts) != 3 or not all(part.isdigit() and len(part) <= 20 for part in parts):
        return None
    ts_us, writer, line = map(int, parts)
    return ConsolePlace(ts_us, writer, line) if ts_us < 2**63 and writer < 2**64 and line < 2**63 else None


def _to_line(line_id: str) -> None:
    urls.put("line", line_id)
    moments.choose(None)


def _to_charts(line_id: str) -> None:
    place = _place(line_id)
    if place is not None:
        moments.choose(place.ts_us)
        urls.put("line", "")
        frame.open_tab("Charts")
