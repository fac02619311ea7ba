"""`runstream rebuild`."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from runstream_deploy.cli.connection import AsJson, Directory, Url, check_may_write, database_url, settings_of
from runstream_deploy.cli.exits import FOUND, USAGE, fail, told
from runstream_deploy.cli.progress import progress_of
from runstream_deploy.cli.tables import add_row, new_table
from runstream_deploy.cli.verify import SHOWN, known, scope_of


def rebuild(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="Run id, beginning of one, your own id or name.")] = "",
    project: Annotated[str, typer.Option("--project", "-p", help="All runs of this project.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All runs of all projects.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what differs; change nothing.")] = False,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Compute summaries and curves again from the points, for example after rows were deleted by hand.

    May be interrupted and repeated, also while runs are written. With `--dry-run` it lists the rollups that their
    points do not bear out, and ends with 1 when there are any.

    Examples:

        runstream rebuild --project digits --dry-run

        runstream rebuild baseline-3
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from runstream_deploy.audit import Report
    from runstream_deploy.audit.rollups import batches, compare, runs_of
    from runstream_storage.connection import connect
    from runstream_storage.corrections import rebuild as compute

    with told():
        if not (run or project or everything):
            fail("Say what to rebuild: a RUN, --project, or --all.", USAGE)
        client = connect(database_url(settings_of(directory, clickhouse), owner=True), query_timeout_s=3600.0)
        if not dry_run:
            check_may_write(client)
        scope = scope_of(client, run, project, "")
        if not known(client, scope):
            fail(f"The database has nothing of {scope.name}. `runstream runs ls` shows the runs that are there.")
        report, done = Report(), 0
        columns = (TextColumn("Computing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with progress_of(*columns) as bar:
            task = bar.add_task("", total=None)
            if dry_run:
                compare(client, scope, report, lambda n, total: bar.update(task, completed=n, total=total))
            else:
                found = runs_of(client, scope)
                for of, runs in batches(found):
                    done += compute(client, project=of, run_ids=runs)
                    bar.update(task, completed=done, total=len(found))
    if as_json:
        different = [dataclasses.asdict(problem) for problem in report.problems]
        counts = {"runs": report.runs if dry_run else done, "dry_run": dry_run}
        typer.echo(json.dumps({**counts, "different": sum(report.counts.values()), "problems": different}))
    elif dry_run:
        console = Console(highlight=False)
        table = new_table("what", "project", "run", "difference")
        for one in report.problems[:SHOWN]:
            add_row(table, one.kind, one.project, one.run_id, one.what)
        if report.problems:
            console.print(table)
        console.print(f"{sum(report.counts.values()):,} rollups of {report.runs:,} runs differ from their points.")
    else:
        typer.echo(f"Computed the rollups of {done:,} runs again.")
    if not report.ok:
        raise typer.Exit(FOUND)
