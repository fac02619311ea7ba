"""`runstream reproduce` and `runstream fingerprint`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from runstream.errors import RunstreamError
from runstream.settings import Settings
from runstream_deploy.cli.connection import Directory, Url, database_url, settings_of
from runstream_deploy.cli.exits import FOUND, USAGE, fail, told


def reproduce(
    run: Annotated[str, typer.Argument(help="Run id, the beginning of one, the id you chose, or a unique name.")],
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="DIR", help="Write the script and its files into this new directory."),
    ] = None,
    project: Annotated[
        str, typer.Option("--project", "-p", envvar="RUNSTREAM_PROJECT", help="Only this project.")
    ] = "",
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Print the exact steps that do a run again: code, changes, environment, variables, data, command.

    What cannot be had again is said at the top. Secrets were masked before they were sent: the script asks for each.

    Examples:

        runstream reproduce baseline-3 > reproduce.sh

        runstream reproduce baseline-3 --write again && bash again/reproduce.sh
    """
    from runstream.objects import open_store
    from runstream_deploy.reproduction import files_of, recipe_of, script_of
    from runstream_storage import queries
    from runstream_storage.connection import connect

    settings = settings_of(directory, clickhouse)
    with told():
        client = connect(database_url(settings))
        found = queries.find_run(client, run, project=project)
        header = queries.run(client, found.project, found.run_id) if found else None
        if header is None:
            fail(f"There is no run {run!r}. `runstream runs ls` lists them.", FOUND)
        if not header.writers:
            fail(f"The start of run {run!r} is not here yet, and with it what was captured.", FOUND)
        recipe = recipe_of(client, header, lambda: open_store(settings.s3))
    if write is None:
        typer.echo(script_of(recipe), nl=False)
        return
    if write.exists() and (not write.is_dir() or any(write.iterdir())):
        fail(f"{write} is there already, and not empty.", USAGE)
    base = write.resolve()
    for name, content in files_of(recipe).items():
        path = (base / name).resolve()
        if not path.is_relative_to(base):
            fail(f"The artifact names a file outside its directory: {name!r}.", FOUND)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for problem in recipe.problems:
        typer.echo(f"Not reproducible: {problem}", err=True)
    typer.echo(f"Written. Next: bash {write}/reproduce.sh", err=True)


def fingerprint(
    paths: Annotated[list[str], typer.Argument(help="Files, directories, or addresses such as https:// and s3://.")],
) -> None:
    """Print the digest of data, as `run.log_dataset` records it.

    Example:

        runstream fingerprint data/train.csv
    """
    from runstream.datasets import described
    from runstream.datasets.files import FileDigests
    from runstream.datasets.progress import Progress

    s3 = Settings.from_env(os.environ).s3
    for path in paths:
        progress = Progress(path)
        try:
            digest = described(path, FileDigests(None), progress, s3).digest
        except (OSError, TypeError, RunstreamError) as error:
            fail(f"{path}: {error}", FOUND)
        finally:
            progress.end()
        typer.echo(digest)
