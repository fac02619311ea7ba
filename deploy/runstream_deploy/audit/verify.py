"""The audit in its order: gaps, spools, topics, gaps again, files, rollups.

What arrives while it runs must not look lost. So the gaps are asked for first, then where the topics end, and what is a
gap at the beginning, is neither in a spool nor in Kafka, and is still a gap at the end, is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runstream_deploy.audit import files, rollups, spools
from runstream_deploy.audit.report import MOST_PROBLEMS, Problem, Report, Scope
from runstream_deploy.audit.spools import SpoolState
from runstream_deploy.audit.topics import TopicAudit
from runstream_deploy.audit.under_way import Stream, UnderWay, covered
from runstream_deploy.kafka_reading import administering, committed, places, reading
from runstream_ingest import stretches
from runstream_ingest.stretches import Stretches
from runstream_storage.execution import statement

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from runstream.kafka_options import KafkaOptions
    from runstream.objects import ObjectStore

MOST_GAPS = 100_000
Progress = Callable[[str, int, int], None]
"""Called with what is looked at, how much is done, and how much there is."""


async def verify(
    client: Client,
    scope: Scope,
    *,
    spool_dir: Path,
    options: KafkaOptions | None,
    topics: Sequence[str],
    group: str,
    deep: bool = False,
    store: ObjectStore | None = None,
    progress: Progress | None = None,
) -> Report:
    """Compares what `scope` means. `options` None: embedded, without topics. `store`: it is asked for each file.

    Changes nothing. Memory does not grow with the topics. Raises KafkaUnreachable, TopicMissing, StorageError and what
    clickhouse-connect raises.
    """
    report, under_way = Report(), UnderWay()
    before = list(holes(client, scope))
    found = list(_spools(spool_dir, scope, report, under_way))
    if options is None:
        report.note("No Kafka is configured: spools and the database were compared, there are no messages.")
    else:
        await _topics(client, scope, report, under_way, options, topics, group, deep=deep, progress=progress)
    _gaps(client, scope, report, under_way, before, found)
    if not scope.run_id and not scope.project:
        _letters(client, scope, report)
    if scope.topic.rpartition(".")[2] in ("", "control"):
        _files(client, scope, report, store, deep=deep, progress=progress)
    if deep:
        rollups.compare(client, scope, report, _part(progress, "rollups"))
    report.note("Spools on other hosts were not looked at: run `runstream verify` or `runstream sync` there.")
    return report


def _files(
    client: Client,
    scope: Scope,
    report: Report,
    store: ObjectStore | None,
    *,
    deep: bool,
    progress: Progress | None,
) -> None:
    files.awaited(client, scope, report)
    if store is not None:
        files.compare(client, store, scope, report, deep=deep, progress=_part(progress, "objects"))
        return
    files.known(client, scope, report)
    report.note("The object store was not asked; --objects asks it for every file of artifacts and media.")


def holes(client: Client, scope: Scope) -> Iterator[tuple[Stream, int, int]]:
    """What the database itself knows to be missing: stream, start and end."""
    from runstream_storage import queries

    stream = scope.topic.rpartition(".")[2]
    projects = (
        [scope.project] if scope.project else [row[0] for row in client.query(statement("audit_projects")).result_rows]
    )
    for project in projects:
        for gap in queries.gaps(client, project, [scope.run_id] if scope.run_id else (), limit=MOST_GAPS):
            if not stream or gap.stream == stream:
                yield Stream(project, gap.run_id, gap.writer, gap.stream), gap.first, gap.last + 1


def _spools(spool_dir: Path, scope: Scope, report: Report, under_way: UnderWay) -> Iterator[SpoolState]:
    for state in spools.states(spool_dir):
        if not isinstance(state, SpoolState):
            directory, why = state
            report.add(Problem("damaged spool", f"{directory}: {why}"))
            continue
        if not scope.holds(state.project, state.run_id):
            continue
        report.spools += 1
        for number in state.damaged:
            where = (state.project, state.run_id, state.writer)
            report.add(Problem("damaged spool", f"{state.directory}: segment {number} ends in damage", 0, *where))
        for stream, waiting, _ in streams_of(state):
            for start, end in zip(waiting[::2], waiting[1::2], strict=True):
                under_way.add(stream, start, end)
        yield state


def streams_of(state: SpoolState) -> Iterator[tuple[Stream, Stretches, int]]:
    """Each with what waits in the spool, and how far the writer has counted."""
    who = (state.project, state.run_id, state.writer)
    yield Stream(*who, "metrics"), state.rows_waiting, state.rows
    yield Stream(*who, "control"), state.events_waiting, state.events


async def _topics(
    client: Client,
    scope: Scope,
    report: Report,
    under_way: UnderWay,
    options: KafkaOptions,
    topics: Sequence[str],
    group: str,
    *,
    deep: bool,
    progress: Progress | None,
) -> None:
    async with administering(options) as admin, reading(options) as consumer:
        found = await places(consumer, topics)
        done = await committed(admin, group, found)
        for source, place in sorted(found.items()):
            name = f"{source.topic}/{source.partition}"
            at = done.get(source)
            if place.begin > 0:
                report.note(
                    f"{name}: Kafka's retention has removed the offsets below {place.begin:,}; their rows were "
                    "compared only with what the writers announced."
                )
            if at is not None and at < place.begin:
                text = f"{name}: retention removed {place.begin - at:,} messages that ingest had not read"
                report.add(Problem("removed unread", text, place.begin - at, source=f"{name}@{at}"))
            if at is not None and at > place.end:
                report.note(f"{name}: the group {group} is at {at:,}, behind the end {place.end:,}: a topic made anew.")
            if at is None and place.end > place.begin:
                report.note(f"{name}: the group {group} has never committed here; nothing of it counts as durable.")
        audit = TopicAudit(client, scope, report, under_way, deep=deep)
        await audit.run(consumer, found, done, _part(progress, "messages"))


def _part(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(what, done, total)


def _gaps(
    client: Client,
    scope: Scope,
    report: Report,
    under_way: UnderWay,
    before: list[tuple[Stream, int, int]],
    found: list[SpoolState],
) -> None:
    """Holes that nothing explains, and what writers of spools counted and is not there."""
    kind = scope.topic.rpartition(".")[2]
    suspects = [*before]
    suspects += [
        (stream, 0, written) for state in found for stream, _, written in streams_of(state) if kind in ("", stream.name)
    ]
    left: dict[Stream, list[int]] = {}
    for stream, start, end in suspects:
        for piece in under_way.without(stream, start, end):
            stretches.add(left.setdefault(stream, []), *piece)
    durable = covered(client, left)
    for stream, numbers in sorted(left.items()):
        held = list(durable.get(stream, []))
        for start, end in zip(numbers[::2], numbers[1::2], strict=True):
            for first, stop in stretches.missing(held, start, end):
                count, unit = stop - first, "rows" if stream.name == "metrics" else "events"
                text = f"{count:,} {unit} are neither in the database nor in Kafka nor in a spool of this host"
                report.add(Problem("gap", text, count, *stream, first, stop - 1))
    report.on_the_way_rows = sum(
        sum(numbers[1::2]) - sum(numbers[::2]) for stream, numbers in under_way if kind in ("", stream.name)
    )


def _letters(client: Client, scope: Scope, report: Report) -> None:
    """Dead letters that nobody dealt with, also those whose message Kafka has removed since."""
    listed = {problem.source for problem in report.problems if problem.kind == "dead letter"}
    if report.counts.get("dead letter", 0) >= MOST_PROBLEMS:
        return
    for topic, partition, offset, reason, error in client.query(
        statement("audit_waiting_letters"), parameters={"topic": scope.topic}
    ).result_rows:
        source = f"{topic}/{partition}@{offset}"
        if source not in listed:
            report.add(Problem("dead letter", f"{reason}: {error}; see `runstream dlq`", source=source))
