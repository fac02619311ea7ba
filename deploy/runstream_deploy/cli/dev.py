"""`runstream dev`: real Kafka, ClickHouse and MinIO on this machine, without a container engine."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runstream_deploy.cli.exits import FOUND, told

if TYPE_CHECKING:
    from runstream_deploy.dev import Service, Stack

app = typer.Typer(
    name="dev",
    help="Real Kafka, ClickHouse and MinIO on loopback for development and tests (Linux; needs Java, Maven, npm, Go).",
    no_args_is_help=True,
)

Place = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        help="Directory of data, logs and state; `down` keeps it. Default: a temporary one, which `down` removes.",
    ),
]
Names = Annotated[list[str], typer.Argument(help="Services: kafka, clickhouse, clickhouse-2, minio.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def up(
    directory: Place = None,
    only: Annotated[str | None, typer.Option(help="Some of them: kafka,clickhouse,minio.")] = None,
    shards: Annotated[
        int, typer.Option(min=1, help="ClickHouse nodes, one shard each, in the cluster `runstream`.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Install what is missing, start what does not run, and print the variables that point Runstream at it.

    Free loopback ports; the first time takes one to three minutes (MinIO is compiled), later ones seconds.

    Example:

        eval "$(runstream dev up)" && runstream migrate && runstream ingest
    """
    from runstream_deploy.dev import MinioService, Stack
    from runstream_deploy.dev.stack import BUCKET

    with told():
        wanted = [name.strip() for name in only.split(",") if name.strip()] if only is not None else None
        stack = Stack(directory, only=wanted, shards=shards, report=lambda line: typer.echo(line, err=True))
        stack.start()
        for service in stack.services.values():
            if isinstance(service, MinioService) and service.alive:
                service.create_bucket(BUCKET)
        if as_json:
            typer.echo(json.dumps(_described(stack, [one.state() for one in stack.services.values()])))
            return
        for name, value in stack.environment().items():
            typer.echo(f"export {name}={shlex.quote(value)}")
        typer.echo(f"# stop with: runstream dev down{_dir_option(directory)}")


@app.command()
def down(
    directory: Place = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove a named directory's data too.")] = False,
) -> None:
    """Stop every service; the data of a named directory stays.

    Example:

        runstream dev down --dir ./dev-data
    """
    with told():
        _opened(directory).stop(remove=True if remove else None)


@app.command()
def status(directory: Place = None, as_json: AsJson = False) -> None:
    """Show each service, by asking it in its own protocol. Exit code 1 when one is not healthy or there is none.

    Example:

        runstream dev status --json
    """
    from rich.console import Console
    from rich.table import Table

    with told():
        stack = _opened(directory)
        states = [service.state() for service in stack.services.values()]
        if as_json:
            typer.echo(json.dumps(_described(stack, states)))
        elif not states:
            typer.echo(f"No services in {stack.directory}; start them with `runstream dev up{_dir_option(directory)}`.")
        else:
            table = Table("service", "status", "pid", "ports", caption=str(stack.directory))
            for state in states:
                ports = " ".join(map(str, state["ports"]))
                table.add_row(state["name"], state["status"], str(state["pid"] or ""), ports)
            Console().print(table)
        if not states or any(state["status"] != "healthy" for state in states):
            raise typer.Exit(FOUND)


@app.command()
def restart(names: Names, directory: Place = None) -> None:
    """Stop services and start them again on the same data, ports and credentials.

    Example:

        runstream dev restart kafka
    """
    _each(directory, names, lambda service: service.restart(), "restarted")


@app.command()
def kill(names: Names, directory: Place = None) -> None:
    """Kill services at once (SIGKILL), to see what survives it; `restart` brings them back.

    Example:

        runstream dev kill clickhouse
    """
    _each(directory, names, lambda service: service.kill(), "killed")


@app.command()
def pause(names: Names, directory: Place = None) -> None:
    """Freeze services (SIGSTOP): connections stay open and nobody answers.

    Example:

        runstream dev pause kafka
    """
    _each(directory, names, lambda service: service.pause(), "paused")


@app.command()
def resume(names: Names, directory: Place = None) -> None:
    """Let paused services go on.

    Example:

        runstream dev resume kafka
    """
    _each(directory, names, lambda service: service.resume(), "resumed")


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="A service: kafka, clickhouse, clickhouse-2, minio.")],
    directory: Place = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines from the end.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until Ctrl-C.")] = False,
) -> None:
    """Print what a service wrote.

    Example:

        runstream dev logs kafka -n 200
    """
    with told():
        service = _opened(directory)[name]
        typer.echo(service.log_tail(lines))
        if follow and service.logs.exists():
            with service.logs.open() as handle:
                handle.seek(0, 2)
                while True:
                    typer.echo(handle.read(), nl=False)
                    time.sleep(0.3)


def _opened(directory: Path | None) -> Stack:
    from runstream_deploy.dev import Stack

    return Stack.open(directory, report=lambda line: typer.echo(line, err=True))


def _described(stack: Stack, states: list[dict[str, object]]) -> dict[str, object]:
    return {"directory": str(stack.directory), "environment": stack.environment(), "services": states}


def _each(directory: Path | None, names: list[str], act: Callable[[Service], None], done: str) -> None:
    with told():
        stack = _opened(directory)
        services = [stack[name] for name in names]
        for service in services:
            act(service)
            typer.echo(f"{service.name} {done}")


def _dir_option(directory: Path | None) -> str:
    return f" --dir {shlex.quote(str(directory))}" if directory else ""
