"""`runstream runs ls` and `runstream runs show`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from runstream_deploy.cli.connection import AsJson, Directory, Url, database_url, settings_of
from runstream_deploy.cli.exits import FOUND, fail, told
from runstream_deploy.cli.tables import add_row, figure, new_table

app = typer.Typer(help="List runs, and look at one.", no_args_is_help=True)

Project = Annotated[
    list[str] | None,
    typer.Option(
        "--project", "-p", envvar="RUNSTREAM_PROJECT", help="Only this project; may be repeated. Default: all."
    ),
]


@app.command("ls")
def ls(
    project: Project = None,
    where: Annotated[
        str, typer.Option("--filter", "-w", help="Filter language, as in the UI; see docs/filters.md.")
    ] = "",
    sort: Annotated[
        str, typer.Option(help="Attribute, config.<param> or last/min/max/first/count(<metric>).")
    ] = "created",
    ascending: Annotated[bool, typer.Option("--asc", help="Smallest first.")] = False,
    column: Annotated[list[str] | None, typer.Option("--column", "-c", help="Show this too; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 25,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """List runs: filtered, sorted and cut by the database.

    Examples:

        runstream runs ls --filter 'config.lr < 1e-3 and last(val/loss) < 0.2'

        runstream runs ls --sort 'max(val/accuracy)' --column config.lr --limit 10 --json
    """
    from runstream_storage import queries
    from runstream_storage.connection import connect

    columns = list(column or [])
    if "(" in sort or sort.startswith(("config.", "summary.")):
        columns = [sort, *(one for one in columns if one != sort)]
    with told():
        client = connect(database_url(settings_of(directory, clickhouse)))
        chosen = project or [one.name for one in queries.projects(client)]
        page = queries.runs(
            client,
            chosen,
            filter=where,
            sort=sort,
            descending=not ascending,
            limit=limit,
            offset=offset,
            columns=columns,
        )
    if as_json:
        rows = [as_document(row) for row in page.rows]
        typer.echo(json.dumps({"matched": page.matched, "total": page.total, "runs": rows}, default=str))
        return
    from rich.console import Console

    console = Console()
    if not page.total:
        console.print(
            "No runs yet. Log one with:  import runstream; runstream.init(project='demo').log({'loss': 0.5})",
            markup=False,
        )
        return
    table = new_table("run", "state", "project", "name", "created", "seconds", *columns, right=("seconds", *columns))
    for row in page.rows:
        shown = (figure(row.values.get(name)) for name in columns)
        created = f"{row.created_at.astimezone():%Y-%m-%d %H:%M}"
        add_row(table, row.run_id[:13], row.state, row.project, row.name, created, f"{row.duration_s:,.0f}", *shown)
    console.print(table)
    console.print(
        f"{len(page.rows):,} of {page.matched:,} matching runs, {page.total:,} in all", style="dim", highlight=False
    )


@app.command("show")
def show(
    run: Annotated[str, typer.Argument(help="Run id, the beginning of one, the id you chose, or a unique name.")],
    project: Project = None,
    as_json: AsJson = False,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Show one run: state, where it ran, attempts, what is missing, params, summaries and artifacts.

    Example:

        runstream runs show baseline-3 --project digits
    """
    from runstream_storage import queries
    from runstream_storage.connection import connect

    with told():
        client = connect(database_url(settings_of(directory, clickhouse)))
        found = queries.find_run(client, run, project=(project or [""])[0])
        header = queries.run(client, found.project, found.run_id) if found else None
        if header is None:
            fail(f"There is no run {run!r}. `runstream runs ls` lists them.", FOUND)
        one = header.run
        params = queries.params(client, one.project, [one.run_id]).get(one.run_id, {})
        summaries = queries.summaries(client, one.project, [one.run_id])
        artifacts = [link for link in queries.run_artifacts(client, one.project, one.run_id) if link.artifact]
        gaps = queries.gaps(client, one.project, [one.run_id])
        history = queries.history(client, one.project, one.run_id)
    writer = header.writers[0] if header.writers else None
    facts: dict[str, Any] = {
        "id": one.run_id,
        "name": one.name,
        "project": one.project,
        "state": one.state,
        "exit code": header.exit_code,
        "reason": header.reason,
        "created": one.created_at,
        "seconds": round(one.duration_s, 1),
        "attempts": header.attempts,
        "points": header.points,
        "missing rows": sum(gap.rows for gap in gaps if not gap.on_its_way) or None,
        "last step": header.last_step,
        "forked from": f"{history.parent.run_id} at step {history.parent.step}" if history.parent else "",
        "forks": ", ".join(f"{fork.run_id} at step {fork.step}" for fork in history.children),
        "tags": ", ".join(one.tags),
        "group": one.group,
        "notes": one.notes,
        "host": one.host,
        "user": one.user,
        "commit": (writer.git.get("commit", "") + (" (dirty)" if writer.git.get("dirty") == "true" else ""))
        if writer
        else "",
        "command": " ".join(writer.command) if writer else "",
    }
    if as_json:
        document = {
            **facts,
            "gaps": [
                {"writer": g.writer, "attempt": g.attempt, "rank": g.rank, "stream": g.stream, "first": g.first}
                | {"last": g.last, "rows": g.rows, "on its way": g.on_its_way}
                for g in gaps
            ],
            "rewinds": [
                {"rank": r.rank, "attempt": r.attempt, "step": r.step, "at": r.at, "actor": r.actor}
                for r in history.rewinds
            ],
            "writers": [
                {"writer": w.writer, "attempt": w.attempt, "rank": w.rank, "state": w.state, "host": w.host}
                | {"exit code": w.exit_code, "reason": w.reason, "rows": w.rows, "started": w.started_at}
                for w in header.writers
            ],
            "params": {name: value.value for name, value in params.items()},
            "metrics": {s.metric: {"last": s.last, "min": s.min, "max": s.max, "n": s.n} for s in summaries},
            "artifacts": [
                {"role": link.role, "name": link.name, "version": link.artifact.version}
                for link in artifacts
                if link.artifact
            ],
        }
        typer.echo(json.dumps(document, default=str))
        return
    from rich.console import Console

    console = Console()
    for name, value in facts.items():
        if value not in ("", None):
            console.print(f"{name:>12}  {value}", markup=False, highlight=False)
    several = header.writers if len(header.writers) > 1 else []
    tables = (
        (
            new_table("attempt", "rank", "host", "state", "rows", "reason", right=("attempt", "rank", "rows")),
            [(str(w.attempt), str(w.rank), w.host, w.state, f"{w.rows:,}", w.reason) for w in several],
        ),
        (
            new_table("rewound", "rank", "to step", "attempt", "by", right=("rank", "to step", "attempt")),
            [
                (f"{r.at.astimezone():%Y-%m-%d %H:%M}", str(r.rank), str(r.step), str(r.attempt), r.actor)
                for r in history.rewinds
            ],
        ),
        (
            new_table("missing", "attempt", "rank", "first", "last", "rows", right=("attempt", "rank", "rows")),
            [
                (
                    "on its way" if g.on_its_way else g.stream,
                    *(str(number) for number in (g.attempt, g.rank, g.first, g.last)),
                    f"{g.rows:,}",
                )
                for g in gaps
            ],
        ),
        (new_table("param", "value"), [(name, value.text) for name, value in sorted(params.items())]),
        (
            new_table("metric", "last", "min", "max", "points", right=("last", "min", "max", "points")),
            [(s.metric, figure(s.last), figure(s.min), figure(s.max), f"{s.n:,}") for s in summaries],
        ),
        (
            new_table("artifact", "version", "type", "role", "bytes", right=("bytes",)),
            [
                (a.name, a.artifact.version, a.artifact.type, a.role, f"{a.artifact.size:,}")
                for a in artifacts
                if a.artifact
            ],
        ),
    )
    for table, rows in tables:
        if rows:
            for row in rows:
                add_row(table, *row)
            console.print()
            console.print(table)


def as_document(row: Any) -> dict[str, Any]:
    import dataclasses

    return dataclasses.asdict(row)
