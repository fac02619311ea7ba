"""The columns that ingest writes, as the migrations of `runstream_storage` have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runstream_ingest import native as n
from runstream_ingest.native import Block, Type

Columns = tuple[tuple[str, Type], ...]

FIRST = n.Tuple((("step", n.INT64), ("ver", n.UINT64), ("value", n.FLOAT64)))
LAST = n.Tuple((("attempt", n.UINT16), ("step", n.INT64), ("ver", n.UINT64), ("value", n.FLOAT64)))
TERMINAL = n.Tuple(
    (("ver", n.UINT64), ("state", n.TEXT), ("exit_code", n.INT32), ("reason", n.TEXT), ("metric_seq", n.INT64))
)
FILES = n.Array(n.Tuple((("path", n.TEXT), ("sha256", n.TEXT), ("size", n.UINT64), ("mime", n.TEXT), ("ref", n.TEXT))))
TEXTS = n.Array(n.TEXT)
MAP = n.TextMap()

_VALUES: Columns = (
    ("project", n.LOW_TEXT),
    ("name", n.LOW_TEXT),
    ("run_id", n.UUID),
    ("kind", n.LOW_TEXT),
    ("text", n.TEXT),
    ("number", n.FLOAT64),
    ("ver", n.UINT64),
    ("is_deleted", n.UINT8),
)

TABLES: dict[str, Columns] = {
    "points": (
        ("project", n.LOW_TEXT),
        ("run_id", n.UUID),
        ("metric", n.LOW_TEXT),
        ("rank", n.UINT32),
        ("step", n.INT64),
        ("ts_us", n.INT64),
        ("value", n.FLOAT64),
        ("ver", n.UINT64),
        ("attempt", n.UINT16),
        ("writer", n.UINT64),
        ("src_partition", n.INT32),
        ("src_offset", n.INT64),
    ),
    "metric_summary": (
        ("project", n.LOW_TEXT),
        ("metric", n.LOW_TEXT),
        ("run_id", n.UUID),
        ("rank", n.UINT32),
        ("writer", n.UINT64),
        ("min", n.FLOAT64),
        ("max", n.FLOAT64),
        ("first", FIRST),
        ("last", LAST),
        ("first_us", n.INT64),
        ("last_us", n.INT64),
        ("n", n.UINT64),
        ("n_nan", n.UINT64),
        ("n_inf", n.UINT64),
        ("redo_lo", n.INT64),
        ("redo_hi", n.INT64),
    ),
    "curve": (
        ("project", n.LOW_TEXT),
        ("run_id", n.UUID),
        ("metric", n.LOW_TEXT),
        ("rank", n.UINT32),
        ("lvl", n.UINT8),
        ("bucket", n.INT64),
        ("min", n.FLOAT64),
        ("max", n.FLOAT64),
        ("t0", n.INT64),
        ("t1", n.INT64),
        ("s0", n.INT64),
        ("s1", n.INT64),
    ),
    "runs": (
        ("project", n.LOW_TEXT),
        ("run_id", n.UUID),
        ("external_id", n.TEXT),
        ("created_us", n.INT64),
        ("name", n.TEXT),
        ("group", n.TEXT),
        ("job_type", n.TEXT),
        ("notes", n.TEXT),
        ("parent_run", n.TEXT),
        ("user", n.TEXT),
        ("host", n.TEXT),
        ("forked_from", n.TEXT),
        ("fork_step", n.INT64),
        ("ver", n.UINT64),
        ("keep", n.UINT64),
    ),
    "writers": (
        ("project", n.LOW_TEXT),
        ("run_id", n.UUID),
        ("writer", n.UINT64),
        ("attempt", n.UINT16),
        ("rank", n.UINT32),
        ("started_us", n.INT64),
        ("user", n.TEXT),
        ("host", n.TEXT),
        ("pid", n.INT64),
        ("command", TEXTS),
        ("cwd", n.TEXT),
        ("python", n.TEXT),
        ("platform", n.TEXT),
        ("client_version", n.TEXT),
        ("git", MAP),
        ("environment", MAP),
        ("machine", MAP),
        ("packages", MAP),
        ("ver", n.UINT64),
    ),
    "run_attrs": (
        ("project", n.LOW_TEXT),
        ("run_id", n.UUID),
        ("key", n.TEXT),
        ("value", n.TEXT),
        ("actor", n.TEXT),
        ("ver", n.UINT64),
        ("is_deleted", n.UINT8),
    ),
    "liveness": (
        ("project", n.LOW_TEXT),
        ("run_id", n.UUID),
        ("writer", n.UINT64),
        ("attempt", n.UINT16),
        ("last_us", n.INT64),
        ("metric_seq", n.INT64),
        ("terminal", TERMINAL),
    ),
    "params": _VALUES,
    "summary_values": _VALUES,
    "metric_defs": (
        ("project", n.LOW_TEXT),
        ("run_id", n.UUID),
        ("pattern", n.TEXT),
        ("x_axis", n.TEXT),
        ("summary", TEXTS),
        ("goal", n.TEXT),
        ("hidden", n.UINT8),
        ("unit", n.TEXT),
        ("ver", n.UINT64),
    ),
    "artifacts": (
        ("project", n.LOW_TEXT),
        ("name", n.TEXT),
        ("digest", n.TEXT),
        ("type", n.TEXT),
        ("run_id", n.UUID),
        ("created_us", n.INT64),
        ("size", n.UINT64),
        ("files", FILES),
        ("metadata", n.TEXT),
        ("description", n.TEXT),
        ("ver", n.UINT64),
        ("keep", n.UINT64),
    ),
    "artifact_aliases": (
        ("project", n.LOW_TEXT),
        ("name", n.TEXT),
        ("alias", n.TEXT),
        ("digest", n.TEXT),
        ("actor", n.TEXT),
        ("ver", n.UINT64),
        ("is_deleted", n.UINT8),
    ),
    "artifact_links": (
        ("project", n.LOW_TEXT),
        ("run_id", n.UUID),
        ("name", n.TEXT),
        ("role", n.LOW_TEXT),
        ("digest", n.TEXT),
        ("version", n.TEXT),
        ("ts_us", n.INT64),
        ("ver", n.UINT64),
    ),
    "coverage": (
        ("project", n.LOW_TEXT),
        ("run_id", n.UUID),
        ("writer", n.UINT64),
        ("stream", n.LOW_TEXT),
        ("start", n.INT64),
        ("end", n.INT64),
        ("attempt", n.UINT16),
        ("rank", n.UINT32),
    ),
    "ingest_marks": (
        ("topic", n.LOW_TEXT),
        ("generation", n.UINT32),
        ("partition", n.INT32),
        ("end", n.INT64),
        ("newest_ms", n.INT64),
    ),
    "rewinds": (
        ("project", n.LOW_TEXT),
        ("run_id", n.UUID),
        ("rank", n.UINT32),
        ("attempt", n.UINT16),
        ("step", n.INT64),
        ("ts_us", n.INT64),
        ("actor", n.TEXT),
        ("ver", n.UINT64),
    ),
    "dead_letters": (
        ("topic", n.LOW_TEXT),
        ("partition", n.INT32),
        ("offset", n.INT64),
        ("reason", n.LOW_TEXT),
        ("error", n.TEXT),
        ("bytes", n.UINT32),
        ("ts_us", n.INT64),
    ),
}


def block_of_rows(table: str, rows: Sequence[tuple[Any, ...]]) -> Block:
    """A block from rows in the order of the table's columns; for tables with few rows."""
    data = list(zip(*rows, strict=True))
    return Block(len(rows), tuple((name, kind, list(data[i])) for i, (name, kind) in enumerate(TABLES[table])))


def block_of_columns(table: str, rows: int, *data: Any) -> Block:
    """A block from whole columns in the order of the table's."""
    columns = zip(TABLES[table], data, strict=True)
    return Block(rows, tuple((name, kind, column) for (name, kind), column in columns))
