"""The SQL endpoint alone: `python -m runstream_deploy.embedded.sqlserver --dir D --port N [--json]`.

Prints its address once it answers; SIGTERM and Ctrl-C end it with exit code 0. Exit code 1: directory or port not free.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from runstream_deploy.embedded.access import Accounts
from runstream_deploy.embedded.endpoint import application
from runstream_deploy.embedded.engine import Engine
from runstream_deploy.embedded.errors import EmbeddedError
from runstream_deploy.embedded.serving import HOST, bind, server


async def serve(directory: Path, port: int, accounts: Accounts, as_json: bool) -> None:
    """Serves until SIGTERM or SIGINT. Raises EmbeddedError."""
    listener = bind(port, "--port")
    url = f"http://{quote(accounts.owner, '')}:{quote(accounts.password, '')}@{HOST}:{listener.getsockname()[1]}"
    with Engine(directory) as engine:
        app, endpoint = application(engine, accounts)
        uvicorn_server = server(app)
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        serving = asyncio.create_task(uvicorn_server.run_on(listener))
        await uvicorn_server.ready.wait()
        print(json.dumps({"sql_url": url, "pid": os.getpid()}) if as_json else f"SQL on {url}", flush=True)
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        uvicorn_server.should_exit = True
        await endpoint.stop()
        stop.cancel()
        await serving


def main(
    directory: Annotated[Path, typer.Option("--dir", help="Data directory of the engine; made when missing.")],
    port: Annotated[int, typer.Option(help="Loopback port; 0 takes a free one.")] = 0,
    user: Annotated[str, typer.Option(help="The user that may write.")] = "runstream",
    password: Annotated[str | None, typer.Option(help="Its password; made up when missing.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Serve the embedded ClickHouse over HTTP on loopback."""
    accounts = Accounts(user, password if password is not None else secrets.token_urlsafe(18))
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(directory, port, accounts, as_json))
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
