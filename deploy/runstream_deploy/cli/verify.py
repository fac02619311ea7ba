"""`runstream verify`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from runstream_deploy.cli.connection import AsJson, Directory, Url, database_url, settings_of, store_of
from runstream_deploy.cli.exits import FOUND, USAGE, fail, told
from runstream_deploy.cli.kafka import DEFAULT_GROUP, Group, kafka_options, running, topic_of, topics_of
from runstream_deploy.cli.progress import progress_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from runstream_deploy.audit import Report, Scope

SHOWN = 50
REMEDIES = {
    "gap": "look for the spool on the host that ran it, and `runstream sync` it there; else the rows are lost.",
    "missing points": "`runstream replay RUN --force`.",
    "different points": "somebody changed the table: `runstream replay RUN --force`.",
    "not in coverage": "`runstream replay RUN`.",
    "dead letter": "`runstream dlq show`, then `runstream dlq replay` or `runstream dlq drop`.",
    "unread letter": "`runstream replay --partition P --offsets A..B` lists it again; then see `runstream dlq`.",
    "removed unread": "`runstream sync` on the hosts that may still have it; raise retention.ms of the topic.",
    "damaged spool": "what lies behind the damage is lost, the rest is sent; look at the disk.",
    "wrong summary": "`runstream rebuild RUN`.",
    "wrong curve": "`runstream rebuild RUN`.",
    "lost file": "log the same content again, where there is a copy.",
    "missing object": "log the same content again, which uploads it (not by an agent that saw it there in the last "
    "ten minutes), or bring it back from a copy of the bucket.",
    "damaged object": "bring it back from a copy of the bucket; or remove it and log the same content again ten "
    "minutes later.",
}
"""What to do, by kind of problem."""


def verify(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="Run id, beginning of one, your own id or name.")] = "",
    project: Annotated[str, typer.Option("--project", "-p", help="Only this project.")] = "",
    topic: Annotated[str, typer.Option("--topic", "-t", help="Only this topic, or `metrics`, `control`, `logs`.")] = "",
    deep: Annotated[
        bool, typer.Option("--deep", help="Compare every value bit by bit, and compute all rollups again.")
    ] = False,
    objects: Annotated[
        bool,
        typer.Option(
            "--objects", help="Ask the object store for every file of artifacts and media; with --deep, read them."
        ),
    ] = False,
    group: Group = DEFAULT_GROUP,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Compare spools, Kafka and ClickHouse, and list what is missing. Ends with 1 when anything is.

    What writers announced is compared with what the database covers; each message in Kafka that ingest has committed,
    with its points; the spools of this host, with both. What waits in a spool or in Kafka is on its way, not missing.
    A step that was logged again counts as its newest version. Files that are lost on their way to the object store are
    listed; with --objects each file of artifacts and media must be there. Nothing is changed. Without RUNSTREAM_KAFKA
    the spools are compared with the database.

    Examples:

        runstream verify baseline-3 --deep

        runstream verify --project digits --json

        runstream verify --objects --deep
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from runstream_deploy.audit import verify as audit
    from runstream_storage.connection import connect

    with told():
        settings = settings_of(directory, clickhouse)
        client = connect(database_url(settings), query_timeout_s=600.0)
        topics = topics_of(settings)
        topic = topic_of(settings, topic)
        if topic and topic not in topics:
            fail(f"{topic!r} is none of our topics: {', '.join(topics)}. Is RUNSTREAM_TOPIC_PREFIX set?", USAGE)
        scope = scope_of(client, run, project, topic)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with progress_of(*columns) as bar:
            tasks = {}

            def show(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what)
                bar.update(tasks[what], completed=done, total=total)

            report = running(
                audit(
                    client,
                    scope,
                    spool_dir=settings.spool_dir,
                    options=kafka_options(settings, "verify") if settings.kafka else None,
                    topics=[topic] if topic else topics,
                    group=group,
                    deep=deep,
                    store=store_of(settings) if objects else None,
                    progress=show,
                )
            )
        # A letter that names no project may be of any.
        if report.is_empty and (report.ok or not scope.run_id) and not known(client, scope):
            fail(f"There is nothing of {scope.name}, neither in the database nor in Kafka nor in {settings.spool_dir}.")
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
    else:
        draw(report, deep=deep)
    if not report.ok:
        raise typer.Exit(FOUND)


def scope_of(client: Client, run: str, project: str, topic: str) -> Scope:
    """What is meant. A run id need not be in the database: that it is missing there may be the finding."""
    from runstream_deploy.audit import Scope
    from runstream_storage import queries

    if not run:
        return Scope(project, "", topic)
    if found := queries.find_run(client, run, project=project):
        return Scope(found.project, found.run_id, topic)
    try:
        run_id = str(UUID(run))
    except ValueError:
        fail(f"There is no run {run!r}. Give its whole id when nothing of it may have arrived.", FOUND)
    return Scope(project, run_id, topic)


def known(client: Client, scope: Scope) -> bool:
    """Whether anything of the project or the run that is meant ever arrived in the database."""
    from runstream_storage import queries
    from runstream_storage.execution import statement

    if scope.run_id:
        return queries.find_run(client, scope.run_id, project=scope.project) is not None
    return not scope.project or [scope.project] in map(list, client.query(statement("audit_projects")).result_rows)


def remedy(report: Report, kind: str) -> str:
    """What to do about the problems of `kind`; with the run, when it is one."""
    runs = {one.run_id for one in report.problems if one.kind == kind}
    return REMEDIES[kind].replace("RUN", runs.pop()) if len(runs) == 1 else REMEDIES[kind]


def draw(report: Report, *, deep: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for one in report.problems[:SHOWN]:
        writer = f"writer {one.writer:016x}" if one.writer else ""
        numbers = f"{one.stream} {one.first:,}-{one.last:,}" if one.first >= 0 else one.stream
        where = (one.project, one.run_id, writer, numbers, one.source)
        console.print(Text.assemble((one.kind, "bold"), "  ", " · ".join(part for part in where if part)))
        console.print(f"    {one.what}", markup=False)
    if (total := sum(report.counts.values())) > SHOWN:
        console.print(f"… {total - SHOWN:,} more; --json lists up to {len(report.problems):,}")
    for kind in report.counts:
        console.print(f"→ {kind}: {remedy(report, kind)}", markup=False)
    lines = [
        f"{report.messages:,} messages ({report.points:,} points) and {report.spools:,} spools of this host compared",
        f"{report.on_the_way_rows:,} rows and {report.on_the_way_messages:,} messages are on their way",
    ]
    if report.on_the_way_files:
        lines.append(f"{report.on_the_way_files:,} files are on their way to the object store")
    if report.objects:
        read = ", each read to its end" if deep else ""
        lines.append(f"the object store was asked for {report.objects:,} contents{read}")
    if deep:
        lines.append(f"{report.compared:,} values compared bit by bit, rollups of {report.runs:,} runs computed again")
    if report.superseded:
        lines.append(f"{report.superseded:,} points were logged again later; the newer ones are there")
    if report.dropped_letters:
        lines.append(f"{report.dropped_letters:,} messages were let go with `runstream dlq drop`")
    for line in lines:
        console.print(line, markup=False)
    for note in report.notes:
        console.print(f"Not checked: {note}", style="yellow", markup=False)
    counted = ", ".join(f"{count:,} {kind}" for kind, count in report.counts.items())
    verdict = "Nothing is missing." if report.ok else f"Wrong: {counted}."
    console.print(verdict, style="green" if report.ok else "red", markup=False)
