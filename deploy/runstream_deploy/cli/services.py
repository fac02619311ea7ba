"""The parts as commands: agent, ingest, UI, migrate."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from runstream_deploy.cli.connection import AsJson, Directory, Url, database_url, settings_of
from runstream_deploy.cli.exits import RUNNING, USAGE, fail, told


def agent(directory: Directory = None) -> None:
    """Ship what training processes spool to Kafka and the object store, as a service.

    One process per data directory. `runstream.init()` starts an agent by itself when a broker is configured; run this
    one under systemd or as a DaemonSet and set RUNSTREAM_AGENT=external for the jobs.

    Example:

        RUNSTREAM_KAFKA=broker:9092 runstream agent --dir /var/lib/runstream
    """
    from runstream.agent.__main__ import main as agent_main

    with told():
        settings = settings_of(directory)
        if not settings.kafka:
            fail(
                "RUNSTREAM_KAFKA is not set: without a broker, `runstream up` reads the spools and no agent is needed.",
                USAGE,
            )
        raise typer.Exit(agent_main(["--dir", str(settings.dir), "--stay"]))


def ingest() -> None:
    """Read events from Kafka into ClickHouse, as one worker of the consumer group; start more of them for more cores.

    Example:

        RUNSTREAM_KAFKA=broker:9092 RUNSTREAM_CLICKHOUSE=http://ingest:…@db:8123/runstream runstream ingest
    """
    from pydantic import ValidationError

    from runstream_ingest.service import run
    from runstream_ingest.settings import IngestSettings

    with told():
        try:
            settings = IngestSettings()  # type: ignore[call-arg] # pydantic reads the environment
            settings.kafka_options  # noqa: B018 - a wrong option is told before anything starts
        except ValidationError as error:
            fail("\n".join(f"RUNSTREAM_{one['loc'][0]}".upper() + f": {one['msg']}" for one in error.errors()), USAGE)
    raise typer.Exit(run(settings))


def ui(
    host: Annotated[
        str, typer.Option(help="Address to listen on; anything but loopback is reachable by others.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8600,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Serve the pages over a ClickHouse.

    Example:

        RUNSTREAM_CLICKHOUSE=http://reader:…@db:8123/runstream runstream ui --port 8600
    """
    from pydantic import SecretStr

    from runstream_ui.server import serve
    from runstream_ui.settings import UiSettings

    given: dict[str, object] = {}
    if clickhouse:
        given["clickhouse"] = SecretStr(clickhouse)
    if directory:
        given["dir"] = Path(directory)
    try:
        serve(UiSettings(**given), host=host, port=port, started=lambda url: typer.echo(f"Serving {url}"))  # type: ignore[arg-type]
    except OSError as error:
        fail(f"Cannot listen on {host}:{port} ({error}). Choose another --port, or 0 for a free one.", RUNNING)


def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be applied; change nothing.")] = False,
    system_days: Annotated[
        int | None,
        typer.Option(
            envvar="RUNSTREAM_SYSTEM_DAYS",
            min=0,
            help="Days that samples of machines are kept; 0: for ever. Not given: as it was; at first for ever.",
        ),
    ] = None,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Bring the database to this release's schema. Safe to repeat; forwards only.

    Example:

        RUNSTREAM_CLICKHOUSE=http://owner:…@db:8123/runstream runstream migrate --dry-run
    """
    from runstream_storage.connection import connect
    from runstream_storage.keeping import keep_system_samples
    from runstream_storage.migrate import migrate as apply

    with told():
        url = database_url(settings_of(directory, clickhouse), owner=True)
        done = apply(url, dry_run=dry_run)
        if system_days is not None and not dry_run:
            with closing(connect(url)) as client:
                keep_system_samples(client, system_days)
        names = [one.name for one in done]
        if as_json:
            typer.echo(json.dumps({"applied": [] if dry_run else names, "pending": names if dry_run else []}))
        elif names:
            typer.echo(("Would apply: " if dry_run else "Applied: ") + ", ".join(names))
        else:
            typer.echo("The schema is up to date.")
