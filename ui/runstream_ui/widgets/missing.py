"""The warning of a run whose rows are not all there: which, of which process, and what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import streamlit as st

from runstream_storage.queries import Gap
from runstream_storage.queries.results import RunHeader, Writer
from runstream_ui import formats
from runstream_ui.markup import in_html

_STRETCHES = 6
_PROCESSES = 8


def missing_total(gaps: Sequence[Gap]) -> int:
    """Rows and events that are missing, without those that are most likely on their way."""
    return sum(gap.rows for gap in gaps if not gap.on_its_way)


def missing_rows(header: RunHeader, gaps: Sequence[Gap]) -> None:
    """Nothing while all is there; one quiet line for what is on its way; a warning for the rest."""
    lost = [gap for gap in gaps if not gap.on_its_way]
    coming = sum(gap.rows for gap in gaps if gap.on_its_way)
    late = f"{formats.plural(coming, 'row')} announced and not here yet" if coming else ""
    if not lost:
        if late:
            st.html(f'<div class="rs-line" role="status">{late}: most likely on their way.</div>')
        return
    by_process: dict[tuple[int, int, int], list[Gap]] = defaultdict(list)
    for gap in lost:
        by_process[gap.attempt, gap.rank, gap.writer].append(gap)
    lines = "".join(
        f"<tr><th>{in_html(process_label(writer, attempt, rank, header.writers))}</th><td>{_stretches(found)}</td></tr>"
        for (attempt, rank, writer), found in list(by_process.items())[:_PROCESSES]
    )
    more = len(by_process) - _PROCESSES
    if more > 0:
        lines += f"<tr><th>and {more} more</th><td>see the tab Starts</td></tr>"
    hosts = sorted({entry.host for entry in header.writers if any(gap.writer == entry.writer for gap in lost)})
    where = " and ".join(f"<b>{in_html(host)}</b>" for host in hosts[:3]) or "the host of the run"
    st.html(
        f'<div class="rs-warn" role="alert"><b>{_what(lost)} missing</b>'
        f"{f'; {late}' if late else ''}. The curves below are drawn from what is here.{_total(header, lost)}"
        f'<table class="rs-kv">{lines}</table>'
        f"<p>Gaps close by themselves when the rows come. On {where}, <code>runstream sync</code> sends what its spool "
        f"still holds; <code>runstream verify {in_html(header.run.run_id)}</code> says where the rest was last "
        "seen.</p></div>"
    )


def process_label(writer: int, attempt: int, rank: int, writers: Sequence[Writer]) -> str:
    """A process as people know it: which start, rank, host and pid; by its writer id where nothing more is known."""
    known = next((entry for entry in writers if entry.writer == writer), None)
    if known is None:
        return f"start {attempt + 1}, rank {rank}, writer {writer:016x}"
    return f"start {attempt + 1}, rank {rank}, {known.host} pid {known.pid}"


def _what(gaps: Sequence[Gap]) -> str:
    rows = sum(gap.rows for gap in gaps if gap.stream == "metrics")
    events = sum(gap.rows for gap in gaps if gap.stream == "control")
    parts = [formats.plural(rows, "row")] if rows else []
    parts += [formats.plural(events, "event")] if events else []
    return f"{' and '.join(parts)} {'is' if rows + events == 1 else 'are'}"


def _total(header: RunHeader, gaps: Sequence[Gap]) -> str:
    """Out of how many, where every process said how many there were."""
    rows = sum(gap.rows for gap in gaps if gap.stream == "metrics")
    announced = sum(writer.rows for writer in header.writers if writer.rows > 0)
    if not rows or announced < rows:
        return ""
    return f" That is {100 * rows / announced:.2g} % of {formats.count(announced)} calls of log()."


def _stretches(gaps: Sequence[Gap]) -> str:
    """Sequence numbers, as the tools name them; only the longest stretches where there are many."""
    shown = sorted(sorted(gaps, key=lambda gap: -gap.rows)[:_STRETCHES], key=lambda gap: (gap.stream, gap.first))
    words = []
    for gap in shown:
        noun = "row" if gap.stream == "metrics" else "event"
        span = f"{gap.first}" if gap.rows == 1 else f"{gap.first}–{gap.last}"
        words.append(f"seq {span} ({formats.plural(gap.rows, noun)})")
    more = len(gaps) - len(shown)
    return ", ".join(words) + (f" and {more} shorter" if more > 0 else "")
