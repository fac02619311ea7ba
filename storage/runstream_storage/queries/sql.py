"""SQL that a person wrote, read-only and within limits; and the documentation of the views it may use."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from runstream_storage.errors import QueryError
from runstream_storage.execution import ask, rows, translate
from runstream_storage.queries.results import SqlResult, View, ViewColumn

if TYPE_CHECKING:
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

LOCKED = 1
READONLY = 164
READING = {"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS"}  # KILL passes readonly=1
FIRST_WORD = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|$)|#[ !][^\n]*(?:\n|$)|/\*.*?\*/)*(\w+)", re.DOTALL)
UNKNOWN_FORMAT = 73
FORMAT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
FORMAT_CLAUSE = re.compile(r"\s+FORMAT\s+\w+\s*$", re.IGNORECASE)  # the answer is read as Arrow


def sql(
    client: Client,
    text: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    max_rows: int = 10_000,
    max_seconds: float = 30.0,
    max_memory_bytes: int = 4 << 30,
) -> SqlResult:
    """Run one query that only reads, and return at most `max_rows` rows; `truncated` says that there were more.

    The server enforces it (readonly=1: no writes, no DDL, no table functions that reach other places), whoever `client`
    is; give it a user of its own all the same (docs/sql.md). `parameters` fill {name:Type} in the text. Raises
    QueryError with ClickHouse's code and, for a syntax error, the position.
    """
    import pyarrow.ipc

    question = _question(text)
    settings = _limits(
        client,
        {
            "max_execution_time": max_seconds,
            "max_memory_usage": max_memory_bytes,
            "limit": max_rows + 1,
            "output_format_arrow_string_as_string": 1,
            "wait_end_of_query": 1,  # so that an error late in the query is an error, and the summary is complete
        },
    )
    started = time.monotonic()
    try:
        answer: Any = client.raw_stream(question, parameters=dict(parameters or {}), settings=settings, fmt="Arrow")
        with closing(answer):
            table = pyarrow.ipc.open_file(answer.read()).read_all()
            summary = json.loads(getattr(answer, "headers", {}).get("X-ClickHouse-Summary", "{}"))
    except Exception as error:
        raise _mended(translate(error)) from error
    table = _readable(table.slice(0, max_rows + 1))
    return SqlResult(
        table=table.slice(0, max_rows),
        truncated=table.num_rows > max_rows,
        seconds=time.monotonic() - started,
        read_rows=int(summary.get("read_rows", 0)),
        read_bytes=int(summary.get("read_bytes", 0)),
    )


def sql_stream(
    client: Client,
    text: str,
    output_format: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    max_seconds: float = 60.0,
    max_memory_bytes: int = 4 << 30,
    chunk_bytes: int = 1 << 20,
) -> Iterator[bytes]:
    """The whole answer to one query that only reads, as the server writes it in `output_format` (Parquet, CSVWithNames,
    JSONEachRow, ...), in pieces of at most `chunk_bytes`. Nothing is held but one piece.

    Raises QueryError before the first piece when the query or the format is wrong. An error after that ends the
    stream with QueryError, too: what came before is then not the whole answer.
    """
    if not FORMAT_NAME.fullmatch(output_format):
        raise QueryError(f"{output_format!r} is not the name of an output format, such as CSVWithNames.", code=73)
    settings = _limits(client, {"max_execution_time": max_seconds, "max_memory_usage": max_memory_bytes})
    try:
        answer: Any = client.raw_stream(
            _question(text), parameters=dict(parameters or {}), settings=settings, fmt=output_format
        )
        with closing(answer):
            while piece := answer.read(chunk_bytes):
                yield piece
    except GeneratorExit:
        raise
    except Exception as error:
        raise _mended(translate(error), output_format) from error


def views(client: Client) -> list[View]:
    """The views for analysts with what they and their columns mean, as the database itself describes them."""
    found: dict[str, tuple[str, list[ViewColumn]]] = {}
    for view, about, column, type_name, comment in rows(client, "views"):
        found.setdefault(view, (about, []))[1].append(ViewColumn(column, type_name, comment))
    return [View(name, about, tuple(columns)) for name, (about, columns) in found.items()]


def _question(text: str) -> str:
    question = FORMAT_CLAUSE.sub("", text.strip().rstrip(";").rstrip())
    if not question:
        raise QueryError("The query is empty. Try: SELECT * FROM v_runs LIMIT 10", code=62)
    kind = FIRST_WORD.match(question)
    if kind is None or kind[1].upper() not in READING:
        shown = kind[1].upper() if kind else question[:20]
        raise QueryError(f"{shown} does not read. Use {', '.join(sorted(READING))}.", code=READONLY)
    return question


def _limits(client: Client, wanted: dict[str, Any]) -> dict[str, Any]:
    """The settings to send: `wanted` and read-only, or what of it the client's user may still choose."""
    limits = _user_readonly(client)
    if limits == LOCKED:  # may set nothing; its profile has limits of its own
        return {}
    return wanted if limits else {**wanted, "readonly": 1}


def _user_readonly(client: Client) -> int:
    """0: the client's user may write, 1: it only reads and may not even choose limits, 2: it only reads."""
    return int(ask(client, "SELECT getSetting('readonly')").result_rows[0][0])


def _readable(table: pa.Table) -> pa.Table:
    """With UUIDs as the text that people know, not as 16 bytes."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if field.type == pa.uuid():
            texts = [None if value is None else str(value) for value in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pa.array(texts, pa.string()))
    return table


def _mended(error: Exception, output_format: str = "Arrow") -> Exception:
    """Without the FORMAT that the client wrote behind the person's text."""
    unknown_format = isinstance(error, QueryError) and error.code == UNKNOWN_FORMAT
    if (
        isinstance(error, QueryError)
        and not unknown_format
        and re.search(rf"\bFORMAT\b|\({output_format}\)", str(error))
    ):
        return QueryError(
            f"The query ends too early, or its end cannot be read. ({error})", code=error.code, position=error.position
        )
    return error
