"""What stands above a run's charts: is it healthy, is anything missing, where does it come from."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from runstream_storage.queries import Fork, History
from runstream_storage.queries.results import RunHeader, Writer
from runstream_ui import data, formats, urls
from runstream_ui.markup import in_html, user_markdown
from runstream_ui.palette import run_colour, state_colour
from runstream_ui.widgets import empty
from runstream_ui.widgets.missing import missing_rows

_REFRESH_S = 4
_SILENT = {
    "stale": "no sign of life for 2 minutes; the machine may hang, sleep or be cut off",
    "lost": "no sign of life for 10 minutes; it may be gone, or its machine cut off",
}
_FORKS = 8
_NAME = 64


@st.fragment(run_every=_REFRESH_S)
@empty.guarded
def run_header(project: str, run_id: str) -> None:
    """Name, state, facts, forks, and what is missing; asked again every few seconds."""
    header = data.run(project, run_id)
    if header is None:
        return
    run, history = header.run, data.history(project, run_id)
    chips = "".join(f'<span class="rs-chip">{in_html(tag)}</span>' for tag in run.tags)
    chips += '<span class="rs-chip">archived</span>' if run.archived else ""
    st.html(
        f'<div class="rs-head"><span class="rs-swatch" style="background:{run_colour(run.run_id)}"></span>'
        f'<h1 dir="auto" title="{in_html(run.name)}">{in_html(formats.middle_cut(run.name, _NAME))}</h1>'
        f'<span class="rs-state"><span class="rs-dot" style="background:{state_colour(run.state)}"></span>'
        f"{in_html(run.state)}{_how_it_ended(header)}</span>{chips}</div>"
        f"{_forks(project, history)}"
        f'<dl class="rs-facts">{_facts(header, history, datetime.now(UTC))}</dl>'
    )
    if run.notes:
        with st.container(key="run-notes"):
            st.markdown(user_markdown(run.notes))
    missing_rows(header, data.gaps(project, (run_id,)))


def _how_it_ended(header: RunHeader) -> str:
    """Reason and exit code of a run that ended badly; what silence means of one that has not ended."""
    parts = []
    if header.run.state in _SILENT:
        parts.append(_SILENT[header.run.state])
    elif header.reason and header.run.state not in {"running", "finished"}:
        parts.append(f'<span title="{in_html(header.reason)}">{in_html(formats.middle_cut(header.reason, 80))}</span>')
    if header.exit_code:
        parts.append(f"exit code {header.exit_code}")
    return f' <span class="rs-ended">({", ".join(parts)})</span>' if parts else ""


def _forks(project: str, history: History) -> str:
    """Links to the run that this one was forked from, and to those forked from it."""
    parts = []
    if history.parent:
        parts.append(f"forked from {_link(project, history.parent)} at step {formats.count(history.parent.step)}")
    if history.children:
        shown = ", ".join(
            f"{_link(project, child)} at step {formats.count(child.step)}" for child in history.children[:_FORKS]
        )
        more = len(history.children) - _FORKS
        forks = formats.plural(len(history.children), "fork")
        parts.append(f"{forks}: {shown}{f' and {more} more' if more > 0 else ''}")
    return f'<div class="rs-line rs-forks">{" · ".join(parts)}</div>' if parts else ""


def _link(project: str, fork: Fork) -> str:
    if not fork.run_name:
        return f'<span title="{in_html(fork.run_id)}">{in_html(fork.run_id[:13])}… (not known here)</span>'
    name = in_html(formats.middle_cut(fork.run_name, 48))
    href = in_html(urls.run_link(project, fork.run_id))
    return f'<a href="{href}" target="_self" title="{in_html(fork.run_name)}">{name}</a>'


def _facts(header: RunHeader, history: History, now: datetime) -> str:
    run, writer = header.run, header.writers[0] if header.writers else None
    commit, code = _commit(writer)
    machine = writer.machine if writer else {}
    elapsed = formats.elapsed_s(run.duration_s, run.created_at, run.state, now)
    hosts = list(dict.fromkeys(entry.host for entry in header.writers)) or [run.host]
    facts = [
        ("Started", formats.age(run.created_at, now), formats.utc(run.created_at)),
        ("Duration", formats.duration(elapsed), f"{elapsed:.3f} s"),
        ("Last sign of life", formats.age(run.last_at, now) if run.state in _SILENT else "", formats.utc(run.last_at)),
        ("Last point", formats.age(header.last_point_at, now), formats.utc(header.last_point_at)),
        ("Last step", "" if header.last_step is None else formats.count(header.last_step), ""),
        ("Points", formats.count(header.points), f"in {formats.plural(header.metrics, 'metric')}"),
        ("Commit", commit, code),
        ("Host", hosts[0] + (f" and {len(hosts) - 1} more" if len(hosts) > 1 else ""), ", ".join(hosts)),
        ("GPU", machine.get("gpu", ""), ""),
        ("By", run.user, ""),
        ("Group", run.group, ""),
        ("Job type", run.job_type, ""),
        ("Starts", _starts(header.attempts, len(history.rewinds)), "See the tab Starts"),
        ("Processes", str(len(header.writers)) if len(header.writers) > 1 else "", ""),
        ("Run id", run.run_id, header.external_id or run.run_id),
    ]
    return "".join(
        f'<div title="{in_html(hover or text)}"><dt>{name}</dt><dd>{in_html(text)}</dd></div>'
        for name, text, hover in facts
        if text
    )


def _starts(attempts: int, rewinds: int) -> str:
    if attempts <= 1:
        return ""
    return f"{attempts}, {formats.plural(rewinds, 'rewind')}" if rewinds else str(attempts)


def _commit(writer: Writer | None) -> tuple[str, str]:
    """(short commit with its dirty mark, the whole of it) as the header says it; empty without git."""
    git = writer.git if writer else {}
    commit = git.get("commit", "")
    dirty = git.get("dirty", "").lower() in {"1", "true", "yes"}
    where = f" on {git['branch']}" if git.get("branch") else ""
    return (
        f"{commit[:9]}{' + changes' if dirty else ''}" if commit else "",
        f"{commit}{where}{', with uncommitted changes' if dirty else ''}",
    )
