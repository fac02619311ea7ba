"""Health: how far the pipeline has come, what it could not read, and which runs miss rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from runstream_storage.queries import Gap, Pipeline
from runstream_ui import data, formats, frame, urls
from runstream_ui.markup import in_html, in_markdown
from runstream_ui.palette import run_colour, state_colour
from runstream_ui.widgets import empty
from runstream_ui.widgets.table import Cell, Column, Row, table

_REFRESH_S = 5
_RUNS = 100
# Agents send a heartbeat every few seconds: when some run lives, this much silence is lag.
_LATE_S = 60


def page() -> None:
    _health(frame.project())


@st.fragment(run_every=_REFRESH_S)
@empty.guarded
def _health(project: str | None) -> None:
    found, now = data.pipeline(), datetime.now(UTC)
    gaps = data.all_gaps(project) if project else []
    alive = sum(entry.running for entry in data.projects())
    st.html(_overview(found, gaps, alive, now))
    _progress(found, now)
    st.markdown("**Messages that could not be read**")
    _dead_letters(found, now)
    if project:
        st.markdown(f"**Runs of {in_markdown(project)} with missing rows**")
        _missing(project, gaps)


def _overview(found: Pipeline, gaps: Sequence[Gap], alive: int, now: datetime) -> str:
    """The few numbers that say whether to read on."""
    newest = newest_ingested(found)
    waiting = sum(entry.waiting for entry in found.dead)
    coming = sum(gap.rows for gap in gaps if gap.on_its_way)
    lost = {gap.run_id for gap in gaps if not gap.on_its_way}
    facts = [
        ("Newest ingested", formats.age(newest, now) or "nothing yet", formats.utc(newest)),
        ("Lag", *lag(newest, alive, now)),
        ("Rows on their way", formats.count(coming), "Announced by living processes and not in the database yet"),
        ("Runs with missing rows", formats.count(len(lost)), ""),
        ("Messages not read", formats.count(waiting), "Dead letters that nobody has replayed or dropped"),
    ]
    return (
        '<dl class="rs-facts rs-health" role="status">'
        + "".join(
            f'<div title="{in_html(hover or text)}"><dt>{name}</dt><dd>{in_html(text)}</dd></div>'
            for name, text, hover in facts
        )
        + "</dl>"
    )


def newest_ingested(found: Pipeline) -> datetime | None:
    """When the newest durable message was taken by the brokers; without Kafka, the newest sign of life of a run."""
    return max((topic.newest_at for topic in found.topics), default=found.newest_at)


def lag(newest: datetime | None, alive: int, now: datetime) -> tuple[str, str]:
    """(what the database can say of the lag, why): it sees what has come, not what waits in Kafka."""
    if newest is None:
        return "unknown", "Nothing was ever ingested"
    seconds = (now - newest).total_seconds()
    if not alive:
        return "none known", "No run is alive, so nothing has to come; runstream lag asks Kafka"
    if seconds <= _LATE_S:
        return f"at most {formats.duration(max(seconds, 0.0))}", "Since the newest message; runstream lag asks Kafka"
    return (
        f"{formats.duration(seconds)} behind",
        "Runs were alive when the newest message came, and should send one every few seconds: ingest or Kafka may be "
        "down. runstream lag asks Kafka",
    )


def _progress(found: Pipeline, now: datetime) -> None:
    if not found.topics:
        st.html('<div class="rs-line">No topic has been read: this database is filled without Kafka, or not yet.</div>')
        return
    table(
        [
            Column("topic", "Topic", pin=True),
            Column("partitions", "Partitions", kind="number"),
            Column("messages", "Messages", kind="number", hint="Durable in the database"),
            Column("newest", "Newest", hint="When the brokers took it"),
        ],
        [
            Row(
                topic.topic,
                (
                    Cell(topic.topic),
                    Cell(formats.count(topic.partitions)),
                    Cell(formats.count(topic.messages)),
                    Cell(formats.age(topic.newest_at, now), formats.utc(topic.newest_at)),
                ),
            )
            for topic in found.topics
        ],
        key="health-topics",
        label="Topics",
    )


def _dead_letters(found: Pipeline, now: datetime) -> None:
    if not found.dead:
        st.html(
            '<div class="rs-line">None. What cannot be read is kept in the dead-letter topics and shown here.</div>'
        )
        return
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        table(
            [
                Column("reason", "Reason", pin=True),
                Column("waiting", "Waiting", kind="number"),
                Column("handled", "Dealt with", kind="number", hint="Replayed or dropped"),
                Column("newest", "Newest"),
            ],
            [
                Row(
                    entry.reason,
                    (
                        Cell(entry.reason),
                        Cell(formats.count(entry.waiting)),
                        Cell(formats.count(entry.handled)),
                        Cell(formats.age(entry.newest_at, now), formats.utc(entry.newest_at)),
                    ),
                )
                for entry in found.dead
            ],
            key="health-reasons",
            label="Dead letters by reason",
        )
    with right:
        if found.latest:
            table(
                [
                    Column("place", "Message", kind="code", pin=True),
                    Column("reason", "Reason"),
                    Column("error", "Error"),
                    Column("bytes", "Size", kind="number"),
                    Column("at", "Read"),
                ],
                [
                    Row(
                        f"{letter.topic}/{letter.partition}/{letter.offset}",
                        (
                            Cell(f"{letter.topic}/{letter.partition}/{letter.offset}"),
                            Cell(letter.reason),
                            Cell(formats.middle_cut(letter.error, 90), letter.error),
                            Cell(formats.size(letter.bytes), f"{formats.count(letter.bytes)} bytes"),
                            Cell(formats.age(letter.at, now), formats.utc(letter.at)),
                        ),
                    )
                    for letter in found.latest
                ],
                key="health-letters",
                label="Newest dead letters",
                max_height="22rem",
            )
    st.html('<div class="rs-line">Read, mend and replay them with <code>runstream dlq ls</code>.</div>')


def _missing(project: str, gaps: Sequence[Gap]) -> None:
    by_run: dict[str, list[Gap]] = defaultdict(list)
    for gap in gaps:
        if not gap.on_its_way:
            by_run[gap.run_id].append(gap)
    if not by_run:
        st.html(
            '<div class="rs-line">None: every row and event that a process of these runs announced is here, '
            "and no sequence number is passed over.</div>"
        )
        return
    runs = data.chosen_runs(project, tuple(by_run)[:_RUNS])
    table(
        [
            Column("run", "Run", pin=True),
            Column("state", "State"),
            Column("rows", "Rows missing", kind="number"),
            Column("events", "Events missing", kind="number"),
            Column("stretches", "Stretches", kind="number"),
            Column("processes", "Processes", kind="number"),
        ],
        [
            Row(
                run.run_id,
                (
                    Cell(
                        formats.middle_cut(run.name, 60),
                        run.name,
                        href=urls.run_link(project, run.run_id),
                        swatch=run_colour(run.run_id),
                    ),
                    Cell(run.state, dot=state_colour(run.state), pulse=run.state == "running"),
                    Cell(_rows(by_run[run.run_id], "metrics")),
                    Cell(_rows(by_run[run.run_id], "control")),
                    Cell(formats.count(len(by_run[run.run_id]))),
                    Cell(formats.count(len({gap.writer for gap in by_run[run.run_id]}))),
                ),
            )
            for run in runs
        ],
        key="health-missing",
        label="Runs with missing rows",
        on_open=lambda run_id, _column: frame.go("run", project=project, run=run_id),
        max_height="26rem",
    )
    more = len(by_run) - len(runs)
    if more > 0:
        st.caption(f"The newest {len(runs)} of {len(by_run)} runs.")
    st.html(
        '<div class="rs-line">On the hosts of these runs, <code>runstream sync</code> sends what their spools still '
        "hold; <code>runstream verify</code> compares spools, Kafka and database.</div>"
    )


def _rows(gaps: Sequence[Gap], stream: str) -> str:
    return formats.count(sum(gap.rows for gap in gaps if gap.stream == stream)) if gaps else ""
