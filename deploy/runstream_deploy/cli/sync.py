"""`runstream sync`."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runstream_deploy.cli.connection import AsJson, Url, database_url, settings_of, store_of
from runstream_deploy.cli.exits import FOUND, RUNNING, STOPPED, USAGE, fail, told
from runstream_deploy.cli.kafka import running
from runstream_deploy.cli.progress import progress_of
from runstream_deploy.errors import NoDatabase

if TYPE_CHECKING:
    from runstream.objects import Uploads
    from runstream.settings import Settings
    from runstream.sync import Progress, SyncReport
    from runstream.transport import Transport


def sync(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Data directories whose spools to send; default RUNSTREAM_DIR."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Directories at the same time.")] = 4,
    as_json: AsJson = False,
    clickhouse: Url = None,
) -> None:
    """Send what dead or offline processes left in data directories. May be interrupted and repeated at any time.

    To Kafka when RUNSTREAM_KAFKA is set, else straight into the database: that of RUNSTREAM_CLICKHOUSE, or of the
    `runstream up` that serves RUNSTREAM_DIR. What was acknowledged is not sent again, and what is sent twice is stored
    once. Spools of processes that still run are left to their agent. Ends with 1 when something is left.

    Examples:

        RUNSTREAM_KAFKA=broker:9092 runstream sync /mnt/from-the-air-gapped-cluster

        runstream sync /mnt/usb/node-*/runstream --jobs 8 --json
    """
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    with told():
        settings = settings_of(None, clickhouse)
        sources = list(dict.fromkeys(one.expanduser().absolute() for one in directories or [settings.dir]))
        for one in sources:
            if not (one / "spool").is_dir():
                fail(f"{one} holds no spool/ directory: nothing was ever logged there.", FOUND)
        connect, objects, trouble = target_of(settings)
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with progress_of(TextColumn("{task.description}"), *columns, transient=False) as bar:
            task = bar.add_task("Sending", total=None)

            def show(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total, description=trouble() or "Sending")

            report, stopped = running(stoppable(sources, connect, objects, show, settings, jobs))
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
    else:
        typer.echo(report.summary())
    if stopped:
        raise typer.Exit(STOPPED)
    if report.left:
        served = len(sources) == 1 and str(sources[0]) in report.left
        raise typer.Exit(RUNNING if served else FOUND)


def target_of(settings: Settings) -> tuple[Callable[[Path], Transport], Uploads, Callable[[], str]]:
    """A transport for each directory, the object store, and what keeps them waiting now, if anything."""
    if settings.kafka:
        from runstream.kafka import KafkaTransport
        from runstream.objects import open_store

        return lambda _: KafkaTransport(settings), open_store(settings.s3), lambda: ""
    from runstream_ingest.embedded import EmbeddedIngest

    try:
        url = database_url(settings, owner=True)
    except NoDatabase:
        fail(
            "There is nowhere to send to: set RUNSTREAM_KAFKA, or RUNSTREAM_CLICKHOUSE, or start "
            f"`runstream up --dir {settings.dir}`.",
            USAGE,
        )
    made: list[EmbeddedIngest] = []

    def connect(directory: Path) -> Transport:
        made.append(EmbeddedIngest(url, directory))
        return made[-1]

    def trouble() -> str:
        found = [text for one in made for what, text in one.health.problems.items() if what != "start"]
        return f"Waiting: {found[0][:80]}" if found else ""

    return connect, store_of(settings), trouble


async def stoppable(
    sources: list[Path],
    connect: Callable[[Path], Transport],
    objects: Uploads,
    show: Progress,
    settings: Settings,
    jobs: int,
) -> tuple[SyncReport, bool]:
    """The report, and whether Ctrl-C or SIGTERM ended it early; what is acknowledged by then stays so."""
    from runstream.sync import sync_all

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    try:
        report = await sync_all(sources, connect, objects, show, settings=settings, jobs=jobs, stop=stop)
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)
    return report, stop.is_set()
