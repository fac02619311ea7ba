"""`runstream replay`."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from runstream_deploy.cli.connection import AsJson, Directory, Url, check_may_write, database_url, settings_of
from runstream_deploy.cli.exits import FOUND, USAGE, fail, told
from runstream_deploy.cli.kafka import DEFAULT_GROUP, Group, kafka_options, running, topic_of, topics_of
from runstream_deploy.cli.progress import progress_of
from runstream_deploy.cli.times import offset_range, period

if TYPE_CHECKING:
    from runstream_deploy.operations.replay import Replayed


def replay(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="Run id, beginning of one, your own id or name.")] = "",
    topic: Annotated[str, typer.Option("--topic", "-t", help="`metrics`, `control` or `logs`; default: all.")] = "",
    partition: Annotated[int | None, typer.Option("--partition", min=0, help="Only this partition.")] = None,
    offsets: Annotated[str | None, typer.Option("--offsets", metavar="A..B", help="Only offsets A to B.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="From this time on: 2h, 3d, or ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Up to this time: 2h, 3d, or ISO 8601.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that Kafka has.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write again also what the database says it has.")] = False,
    rate: Annotated[float, typer.Option("--rate", min=0, help="Points a second at most; 0: no limit.")] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be done; change nothing.")] = False,
    group: Group = DEFAULT_GROUP,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Read messages from Kafka again and put them through the ingest steps into the database.

    For rows that were lost there: a restored backup, a dropped partition, a mistake. What the database covers is left
    out; with --force it is written again, for points that vanished although it says they are there (`runstream verify`
    finds them). Nothing is committed, the workers go on beside it, and only what they have read is read again. A row
    that is there already stays one row.

    Examples:

        runstream replay baseline-3 --force --dry-run

        runstream replay --since 2026-11-23T08:00 --until 2h --rate 200000
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from runstream_deploy.operations.replay import Selection
    from runstream_deploy.operations.replay import replay as again
    from runstream_storage.connection import connect

    with told():
        settings = settings_of(directory, clickhouse)
        options, topics = kafka_options(settings, "replay"), topics_of(settings)
        span, (since_ms, until_ms) = offset_range(offsets), period(since, until)
        if not (run or since or until or offsets or partition is not None or everything):
            fail("Say what to read again: a RUN, --since, --until, --offsets, --partition, or --all.", USAGE)
        chosen = (topic_of(settings, topic),) if topic else topics
        if not set(chosen) <= set(topics):
            fail(f"{topic!r} is none of our topics: {', '.join(topics)}. Is RUNSTREAM_TOPIC_PREFIX set?", USAGE)
        url = database_url(settings, owner=True)
        if not dry_run:
            check_may_write(connect(url))
        selection = Selection(
            topics=chosen,
            run_id=run_id_of(url, run) if run else "",
            partition=partition,
            offsets=span,
            since_ms=since_ms,
            until_ms=until_ms,
        )
        columns = (TextColumn("Reading again"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with progress_of(*columns) as bar:
            task = bar.add_task("", total=None)
            done = running(
                again(
                    options,
                    selection,
                    url,
                    group,
                    force=force,
                    rate=rate,
                    dry_run=dry_run,
                    progress=lambda read, total: bar.update(task, completed=read, total=total),
                )
            )
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(done), "dry_run": dry_run}))
    else:
        draw(done, dry_run=dry_run, force=force)


def run_id_of(url: str, text: str) -> str:
    """The id of the run that is meant; a whole id need not be in the database."""
    from runstream_storage import queries
    from runstream_storage.connection import connect

    if found := queries.find_run(connect(url), text):
        return found.run_id
    try:
        return str(UUID(text))
    except ValueError:
        fail(f"There is no run {text!r}. Give its whole id when nothing of it is in the database.", FOUND)


def draw(done: Replayed, *, dry_run: bool, force: bool) -> None:
    verb = "Would read again" if dry_run else f"Read again in {done.seconds:,.1f} s"
    typer.echo(f"{verb}: {done.messages:,} messages with {done.points:,} points.")
    if not dry_run:
        typer.echo(f"Written: {done.written_points:,} points.")
    if done.covered_rows:
        what = "would be left out" if dry_run else "were left out"
        typer.echo(f"{done.covered_rows:,} rows and events {what}: the database has them (--force writes them again).")
    if done.unreadable:
        typer.echo(f"{done.unreadable:,} messages cannot be read; see `runstream dlq`.")
    if done.removed:
        typer.echo(f"{done.removed:,} offsets are gone: Kafka's retention removed them.")
    if done.not_ingested:
        typer.echo(f"{done.not_ingested:,} messages are not ingested yet; the workers read them themselves.")
