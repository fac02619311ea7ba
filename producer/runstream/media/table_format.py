"""Tables as JSON lines: docs/values.md describes the format; `write` makes it and `read` takes it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MIME = "application/vnd.runstream.table+jsonl"
VERSION = 1
TYPES = ("integer", "number", "boolean", "string", "datetime", "json", "media", "mixed")


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    """One of TYPES."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A cell: its type, and its value as JSON has it. A missing cell is None."""

    type: str
    value: Any


class NotATable(ValueError):
    """The bytes are no table of this format; the text says what they are."""


def column_type(cells: Iterable[Typed | None]) -> str:
    """What holds all of them; integers among numbers are numbers, nothing at all is `mixed`."""
    found = {cell.type for cell in cells if cell is not None}
    if found == {"integer", "number"}:
        return "number"
    return found.pop() if len(found) == 1 else "mixed"


def write(columns: Sequence[Column], rows: Iterable[Sequence[Typed | None]], count: int) -> Iterator[bytes]:
    """The lines of a table with `count` rows."""
    described = [{"name": column.name, "type": column.type} for column in columns]
    yield _line({"runstream": "table", "version": VERSION, "columns": described, "rows": count})
    is_mixed = [column.type == "mixed" for column in columns]
    for row in rows:
        yield _line([_mixed(cell) if mixed else cell and cell.value for cell, mixed in zip(row, is_mixed, strict=True)])


def read(lines: Iterable[bytes | str], limit: int | None = None) -> tuple[list[Column], int, list[list[Any]]]:
    """The columns, the number of rows in all, and the first `limit` rows (None: all).

    Cells are int, float, bool, str (also for datetimes), list or dict; None where there is none. Raises NotATable.
    """
    source = iter(lines)
    try:
        header = json.loads(next(source))
        if header["runstream"] != "table" or header["version"] != VERSION:
            raise NotATable(f"{header['runstream']} of version {header['version']}, not a table of {VERSION}")
        columns = [Column(column["name"], column["type"]) for column in header["columns"]]
        readers = [_READERS.get(column.type) for column in columns]
        rows: list[list[Any]] = []
        for line in source:
            if limit is not None and len(rows) >= limit:
                break
            cells = json.loads(line)
            for place, reader in enumerate(readers):
                if reader is not None and cells[place] is not None:
                    cells[place] = reader(cells[place])
            rows.append(cells)
        return columns, int(header["rows"]), rows
    except StopIteration:
        raise NotATable("an empty file") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise NotATable(f"{type(error).__name__}: {error}") from error


def number(value: float) -> float | str:
    """A double as JSON can have it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _mixed(cell: Typed | None) -> Any:
    if cell is None or cell.type in ("boolean", "string", "integer"):
        return cell and cell.value
    if cell.type == "number" and not isinstance(cell.value, str):
        return cell.value
    return {"type": cell.type, "value": cell.value}


def _number_of(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


def _from_mixed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return _number_of(value["value"]) if value["type"] == "number" else value["value"]


_READERS: dict[str, Callable[[Any], Any]] = {"number": _number_of, "integer": _number_of, "mixed": _from_mixed}


def _line(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"
