"""`runstream gc`."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runstream_deploy.cli.connection import AsJson, Directory, Url, database_url, settings_of, store_of
from runstream_deploy.cli.editing import Actor
from runstream_deploy.cli.exits import FOUND, USAGE, fail, told
from runstream_deploy.cli.tables import add_row, new_table

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from runstream.settings import Settings
    from runstream_deploy.operations.collection import Amount, Collected
    from runstream_storage.queries import RemovableVersion

SHORTEST = timedelta(hours=1)
"""Agents look again after some minutes whether what they know to be in the store still is, and events take a while."""
SHOWN = 50


def gc(
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, only tell what would go.")] = False,
    grace: Annotated[
        str, typer.Option("--grace", help="What is younger stays, and a deletion can be taken back for so long.")
    ] = "24h",
    project: Annotated[
        list[str] | None,
        typer.Option("--project", "-p", help="Only versions of this project expire; may be repeated. Default: all."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also when that may remove what is needed; the message says why.")
    ] = False,
    actor: Actor = "",
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Remove what nothing needs any more: expired versions, and objects that no version and no media name.

    Versions whose time to live is over, or that are not among the best that are to be kept, are deleted, as an edit
    that can be taken back; not those that have an alias or are registered as a model. Then objects go that nothing
    needs and that are older than the grace time, and parts of uploads that nobody finished. Without `--apply` nothing
    changes. May be interrupted and repeated, also while runs are written.

    Examples:

        runstream gc

        runstream gc --apply --grace 7d
    """
    from rich.console import Console

    from runstream.artifacts import ttl_s
    from runstream_deploy.operations import collection
    from runstream_storage import queries
    from runstream_storage.connection import connect

    with told():
        try:
            kept_for = timedelta(seconds=0 if grace.strip() in ("0", "0s") else ttl_s(grace))
        except ValueError:
            fail(f"--grace {grace!r} is no span of time; write 0, 12h, 2d or 1w.", USAGE)
        settings = settings_of(directory, clickhouse)
        client = connect(database_url(settings), query_timeout_s=3600.0)
        store = store_of(settings)
        against = reasons_against(client, settings, kept_for) if apply and not force else ""
        if against:
            fail(f"{against} Nothing was removed.", FOUND)
        due = queries.removable_versions(client, collection.now(), projects=project or [])
        deleted = delete_versions(settings, due, actor) if apply else False

        def look(*, remove: bool) -> Collected:
            with Console(stderr=True).status("Looking") as status:
                return collection.collect(
                    client,
                    store,
                    now=collection.now(),
                    grace=kept_for,
                    staged=lambda: collection.staged_contents([settings.spool_dir]),
                    remove=remove,
                    progress=lambda found: status.update(f"{found.looked_at.objects:,} objects"),
                )

        found = look(remove=False)
        if apply and found.suspicious and not force:
            total = f"{found.total.objects:,} of {found.looked_at.objects:,} objects"
            fail(
                f"{total} would go: is this the database of this object store? `runstream gc` without --apply tells "
                "more; --force removes them. Nothing was removed.",
                FOUND,
            )
        if apply and found.total.objects:
            found = look(remove=True)
        uploads = collection.unfinished_uploads(store, kept_for, remove=apply)
    if as_json:
        document: dict[str, Any] = {
            "applied": apply,
            "grace_s": kept_for.total_seconds(),
            "versions": [dataclasses.asdict(one) for one in due],
            "objects": {**dataclasses.asdict(found), "total": dataclasses.asdict(found.total)},
            "uploads": dataclasses.asdict(uploads),
        }
        typer.echo(json.dumps(document, default=str))
    else:
        print_report(due, found, uploads, apply=apply, grace=grace)
    if apply and due and not deleted:
        fail(
            "The deletion of the versions is written and not queryable yet; an agent or `runstream up` sends it.", FOUND
        )


def reasons_against(client: Client, settings: Settings, grace: timedelta) -> str:
    """Why what the database does not name may be needed all the same; empty: nothing speaks against it."""
    if grace < SHORTEST:
        return (
            "With a grace time of less than an hour, what is being logged now may go. Let nobody log, and --force it."
        )
    from runstream_deploy.cli.kafka import kafka_options, running
    from runstream_deploy.operations.lag import lag
    from runstream_storage import queries

    topic = f"{settings.topic_prefix}.control"
    if settings.kafka:
        found = running(lag(kafka_options(settings, "gc"), [topic], settings.ingest_group))
        behind = max((one.seconds for one in found), default=0.0)
        if behind > grace.total_seconds() / 2:
            hours = f"{behind / 3600:,.1f}"
            return f"Ingest is {hours} hours behind: what waits in Kafka may name objects. See `runstream lag`."
    elif any(one.topic.endswith(".control") for one in queries.pipeline(client).topics):
        return "This database is fed from Kafka: set RUNSTREAM_KAFKA, so that it is known how far behind it is."
    return ""


def delete_versions(settings: Settings, due: list[RemovableVersion], actor: str) -> bool:
    """One edit for each project; whether they show by now."""
    from runstream.edits import ArtifactEdit, Editor

    edits: dict[str, list[ArtifactEdit]] = defaultdict(list)
    for one in due:
        edits[one.project].append(ArtifactEdit(one.name, one.digest, "delete", f"gc: {one.reason}"))
    editor = Editor(settings, actor)
    for project, of_project in edits.items():
        editor.edit_artifacts(project, of_project)
    return editor.wait(60.0)


def print_report(due: list[RemovableVersion], found: Collected, uploads: Amount, *, apply: bool, grace: str) -> None:
    from rich.console import Console

    from runstream_deploy.operations.collection import KINDS

    console = Console(highlight=False)
    if due:
        table = new_table("project", "version", "why", "bytes", right=("bytes",))
        for one in due[:SHOWN]:
            why = one.reason if one.rank is None else f"{one.reason}: rank {one.rank}"
            add_row(table, one.project, f"{one.name}:{one.version}", why, f"{one.size:,}")
        console.print(table)
        more = f" ({len(due) - SHOWN:,} more)" if len(due) > SHOWN else ""
        done = "were deleted" if apply else "would be deleted"
        size = sum(one.size for one in due)
        console.print(
            f"{len(due):,} versions of {size:,} bytes {done}{more}; their files go {grace} later, if nothing else has "
            "them."
        )
        console.print()
    table = new_table("objects", "count", "bytes", right=("count", "bytes"))
    rows = [
        ("in the store", found.looked_at),
        ("needed", found.needed),
        (f"not needed, younger than {grace}", found.young),
        ("not needed, staged on this host", found.staged),
    ]
    verb = "removed" if apply else "would be removed"
    rows += [(f"{verb}: {text}", found.removable[kind]) for kind, text in KINDS.items()]
    for label, amount in rows:
        add_row(table, label, f"{amount.objects:,}", f"{amount.bytes:,}")
    add_row(table, f"{verb}: parts of uploads that nobody finished", f"{uploads.objects:,}", f"{uploads.bytes:,}")
    console.print(table)
    total = found.total
    freed = "were freed" if apply else "would be freed; --apply does it"
    console.print(f"{total.bytes + uploads.bytes:,} bytes of {total.objects + uploads.objects:,} objects {freed}.")
    if found.missing:
        console.print(
            f"{found.missing:,} objects that are needed are not there: on their way from an agent, or lost.",
            style="yellow",
        )
