"""`runstream up`: everything in one process, for one machine."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from runstream_deploy.cli.connection import AsJson, Directory, settings_of
from runstream_deploy.cli.exits import RUNNING, fail, told

if TYPE_CHECKING:
    from runstream.settings import Settings
    from runstream_storage.discovery import UpInfo

UI_PORT, SQL_PORT = 8600, 8642


def up(
    directory: Directory = None,
    ui_port: Annotated[
        int, typer.Option(help="Loopback port of the pages; 0 takes a free one.", min=0, max=65535)
    ] = UI_PORT,
    sql_port: Annotated[
        int, typer.Option(help="Loopback port of SQL over HTTP; 0 takes a free one.", min=0, max=65535)
    ] = SQL_PORT,
    as_json: AsJson = False,
) -> None:
    """Serve pages and SQL over everything that is logged on this machine, from one process, until Ctrl-C.

    It reads the spools of the data directory, keeps the data in an embedded ClickHouse and artifacts in a directory.
    Each of RUNSTREAM_KAFKA, RUNSTREAM_CLICKHOUSE and RUNSTREAM_S3 replaces that part by the server it names. With
    `--json` it prints one line with `ui_url`, `sql_url`, `dir` and `pid` once both answer.

    Exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 a part failed or the directory cannot be used, 3 a configured server
    does not answer, 4 it runs already on this directory or a port is taken.

    Example:

        runstream up --dir ~/experiments --ui-port 0
    """
    from runstream.errors import AgentRunning

    with told():
        from runstream_deploy.embedded.errors import AlreadyUp, EngineBusy, PortTaken

        settings = settings_of(directory)
        settings = dataclasses.replace(settings, dir=settings.dir.expanduser().absolute())
        try:
            _serve(settings, ui_port, sql_port, as_json)
        except (AlreadyUp, EngineBusy, PortTaken, AgentRunning) as error:
            fail(str(error), RUNNING)


def _serve(settings: Settings, ui_port: int, sql_port: int, as_json: bool) -> None:
    from runstream_deploy.embedded import stack
    from runstream_deploy.embedded.errors import DirectoryUnusable
    from runstream_deploy.embedded.logs import log_to
    from runstream_storage.connection import ClickHouseSettings

    began = time.monotonic()
    try:
        log = log_to(settings.logs_dir)
    except OSError as error:
        raise DirectoryUnusable(
            directory=settings.dir,
            reason=error.strerror or str(error),
            remedy="Make it writable, free space, or choose another with --dir.",
        ) from error

    def announce(info: UpInfo) -> None:
        sql_url = ClickHouseSettings.from_url(info.sql_url).safe_url
        if as_json:
            urls = {"ui_url": info.ui_url, "sql_url": sql_url, "dir": info.directory, "pid": info.pid}
            typer.echo(json.dumps(urls))
        else:
            _show(settings, info, sql_url, time.monotonic() - began)

    asyncio.run(stack.run(settings, stack.Ports(ui_port, sql_port), log, announce))


def _show(settings: Settings, info: UpInfo, sql_url: str, took_s: float) -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table

    rows = Table.grid(padding=(0, 2))
    rows.add_row("Pages", info.ui_url)
    rows.add_row("SQL", sql_url)
    rows.add_row("Data", info.directory)
    if settings.kafka:
        rows.add_row("Kafka", settings.kafka)
    rows.add_row("", "")
    rows.add_row("Log", "import runstream; runstream.init(); runstream.log({'loss': 0.1})")
    rows.add_row("Ask", 'runstream sql "SELECT * FROM v_runs LIMIT 5"')
    title = f"Runstream is up ({took_s:.1f} s). Ctrl-C stops it."
    Console().print(Panel(rows, title=title, title_align="left", expand=False), soft_wrap=True)
