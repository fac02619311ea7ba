"""`runstream sql`: one read-only question, in any format that ClickHouse writes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runstream_deploy.cli.connection import Directory, Url, database_url, settings_of
from runstream_deploy.cli.exits import USAGE, fail, told

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = {
    "json": "JSONEachRow",
    "csv": "CSVWithNames",
    "tsv": "TSVWithNames",
    "markdown": "Markdown",
    "parquet": "Parquet",
    "arrow": "ArrowStream",
    "vertical": "Vertical",
}


def sql(
    query: Annotated[str, typer.Argument(help="The SQL; `-` reads it from stdin.")],
    output_format: Annotated[
        str,
        typer.Option("--format", "-f", help=f"table, {', '.join(FORMATS)}, or any name of a ClickHouse output format."),
    ] = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout.")] = None,
    max_rows: Annotated[int, typer.Option(help="Rows shown by --format table.", min=1)] = 1000,
    max_seconds: Annotated[float, typer.Option(help="The server stops the query after this long.", min=0.1)] = 60.0,
    clickhouse: Url = None,
    directory: Directory = None,
) -> None:
    """Ask the database. The views v_runs, v_points, v_params, v_summary, v_artifacts and v_tags hold it all.

    Reads only: a statement that would change something is refused by the server.

    Examples:

        runstream sql "SELECT run_name, state, created_at FROM v_runs ORDER BY created_at DESC LIMIT 10"

        runstream sql "SELECT * FROM v_points WHERE metric = 'val/loss'" --format parquet -o points.parquet
    """
    text = sys.stdin.read() if query == "-" else query
    with told():
        url = database_url(settings_of(directory, clickhouse))
        if output_format == "table":
            if output is not None:
                fail("--output needs a --format that a file can hold, such as csv or parquet.", USAGE)
            show_table(url, text, max_rows, max_seconds)
        else:
            stream(url, text, FORMATS.get(output_format, output_format), output, max_seconds)


def show_table(url: str, text: str, max_rows: int, max_seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from runstream_storage import queries
    from runstream_storage.connection import connect

    result = queries.sql(connect(url), text, max_rows=max_rows, max_seconds=max_seconds)
    console = Console()
    table = Table(show_edge=False, header_style="bold")
    for field in result.table.schema:
        table.add_column(Text(field.name), justify="right" if is_number(field.type) else "left", overflow="fold")
    for batch in result.table.to_batches():
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            table.add_row(*(Text(cell(value)) for value in row))
    console.print(table)
    note = f", cut at {max_rows:,}: raise --max-rows or choose another --format" if result.truncated else ""
    Console(stderr=True).print(
        f"{result.table.num_rows:,} rows in {result.seconds:.2f} s{note}", style="dim", highlight=False
    )


def stream(url: str, text: str, clickhouse_format: str, output: Path | None, max_seconds: float) -> None:
    """The server's own bytes, as they come; a broken pipe ends quietly."""
    from runstream_storage import queries
    from runstream_storage.connection import connect

    chunks = queries.sql_stream(connect(url), text, clickhouse_format, max_seconds=max_seconds)
    try:
        if output is not None:
            with output.open("wb") as file:
                file.writelines(chunks)
        else:
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        sys.stderr.close()


def is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def cell(value: object) -> str:
    """As people read it: floats in their shortest exact form, times without the zone, null as a dash."""
    if value is None:
        return "—"
    if isinstance(value, float):
        return repr(value)
    return str(value)
