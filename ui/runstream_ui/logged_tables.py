"""Tables that runs logged: read, filtered, sorted, and compared with each other.

The file is JSON lines (docs/values.md): a head, then a row a line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runstream_ui import formats
from runstream_ui.errors import NotReadable, UiError

MAX_BYTES = 64 << 20
_FILTER = re.compile(
    r"\s*(?:`([^`]+)`|([\w./-]+))\s*(!=|>=|<=|=|>|<|contains\b)\s*(?:\"([^\"]*)\"|'([^']*)'|(.+?))\s*", re.DOTALL
)
_AND = re.compile(r"\s+and\s+(?=(?:[^\"'`]*[\"'`][^\"'`]*[\"'`])*[^\"'`]*$)", re.IGNORECASE)
_ODD = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NUMBERS = frozenset({"integer", "number"})

How = Literal["added", "removed", "changed", "same"]
Cells = tuple[Any, ...]


class WrongFilter(UiError):
    """A filter of a table that cannot be used; the text says how to write one."""


@dataclass(frozen=True)
class LoggedTable:
    """`columns` are (name, type); each row has a cell for each. Media cells are dicts, numbers that are not finite are
    floats."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[Cells, ...]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.columns]

    def place(self, column: str) -> int:
        return self.names.index(column)


@dataclass(frozen=True)
class RowChange:
    """A row of either table; `differs` are the names of the columns in which they differ."""

    key: str
    how: How
    before: Cells | None
    after: Cells | None
    differs: frozenset[str] = frozenset()


def read(content: bytes) -> LoggedTable:
    """Raises NotReadable for a file that is not such a table, or is torn."""
    try:
        head, *lines = content.decode("utf-8").split("\n")
        described = json.loads(head)
        columns = tuple((str(column["name"]), str(column["type"])) for column in described["columns"])
        kinds = [kind for _, kind in columns]
        rows = tuple(_row(json.loads(line), kinds) for line in lines if line)
        named = described["runstream"] == "table"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotReadable(what="a table", why=f"it is torn or something else ({error})") from error
    if not named:
        raise NotReadable(what="a table", why="it is something else")
    return LoggedTable(columns, rows)


def _row(cells: list[Any], kinds: Sequence[str]) -> Cells:
    if not isinstance(cells, list) or len(cells) != len(kinds):
        raise ValueError(f"a row has {len(cells) if isinstance(cells, list) else 'no'} cells and not {len(kinds)}")
    return tuple(_cell(cell, kind) for cell, kind in zip(cells, kinds, strict=True))


def _cell(cell: Any, kind: str) -> Any:
    if kind in _NUMBERS and isinstance(cell, str):
        return _ODD.get(cell, cell)
    if kind == "mixed" and isinstance(cell, dict) and "value" in cell:
        return _cell(cell["value"], str(cell.get("type")))
    return cell


def is_media(cell: object) -> bool:
    return isinstance(cell, dict) and isinstance(cell.get("sha256"), str) and "kind" in cell


def text_of(cell: object) -> str:
    """A cell as it is shown, searched and compared."""
    if cell is None:
        return ""
    if is_media(cell):
        assert isinstance(cell, dict)
        return str(cell.get("caption") or cell["kind"])
    if isinstance(cell, bool | int | float | str):
        return formats.scalar(cell)
    return json.dumps(cell, ensure_ascii=False)


def searched(table: LoggedTable, search: str) -> LoggedTable:
    """Rows with this text in a cell, in any case."""
    wanted = search.strip().lower()
    if not wanted:
        return table
    rows = (row for row in table.rows if any(wanted in text_of(cell).lower() for cell in row))
    return LoggedTable(table.columns, tuple(rows))


def filtered(table: LoggedTable, text: str) -> LoggedTable:
    """Rows that meet every condition of `text`: `score > 0.5 and label = cat and note contains "x y"`.

    Raises WrongFilter. Numbers are compared as numbers where column and value are; NaN and missing cells meet no
    condition but `!=`.
    """
    if not text.strip():
        return table
    conditions = [_condition(table, part) for part in _AND.split(text.strip())]
    return LoggedTable(table.columns, tuple(row for row in table.rows if all(meets(row) for meets in conditions)))


def _condition(table: LoggedTable, text: str) -> Callable[[Cells], bool]:
    match = _FILTER.fullmatch(text)
    example = f"{table.names[0]} > 0" if table.columns else "score > 0"
    if match is None:
        raise WrongFilter(
            f"{text!r} is no condition. Write a column, one of = != < > <= >= contains, and a value: {example}"
        )
    column = match[1] or match[2]
    if column not in table.names:
        raise WrongFilter(f"There is no column {column!r}; there are {', '.join(table.names[:20])}.")
    wanted = next(value for value in match.groups()[3:] if value is not None)
    place, test = table.place(column), match[3]
    number = _as_number(wanted)

    def meets(row: Cells) -> bool:
        cell = row[place]
        if test == "contains":
            return wanted.lower() in text_of(cell).lower()
        own = _as_number(cell)
        if own is not None and number is not None:
            return _compared(test, own, number)
        return cell is not None and _compared(test, text_of(cell), wanted) if test != "!=" else text_of(cell) != wanted

    return meets


def _compared(test: str, left: Any, right: Any) -> bool:
    return bool(
        {
            "=": left == right,
            "!=": left != right,
            "<": left < right,
            ">": left > right,
            "<=": left <= right,
            ">=": left >= right,
        }[test]
    )


def _as_number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError, OverflowError):
        return None


def ordered(table: LoggedTable, column: str, *, descending: bool) -> LoggedTable:
    """Numbers before texts; missing cells and NaN come last either way."""
    place = table.place(column)
    kept: list[Cells] = []
    last: list[Cells] = []
    for row in table.rows:
        cell = row[place]
        (last if cell is None or (isinstance(cell, float) and math.isnan(cell)) else kept).append(row)

    def key(row: Cells) -> tuple[int, float, str]:
        cell = row[place]
        return (0, cell, "") if isinstance(cell, int | float) else (1, 0.0, text_of(cell).lower())

    return LoggedTable(table.columns, (*sorted(kept, key=key, reverse=descending), *last))


def key_columns(left: LoggedTable, right: LoggedTable) -> list[str]:
    """Columns of both by which a row can be told in either: names and whole numbers of which no two are the same."""
    found = []
    for name, kind in left.columns:
        if kind not in {"integer", "string", "mixed"} or name not in right.names:
            continue
        if all(_is_unique(table, name) for table in (left, right)):
            found.append(name)
    return found


def _is_unique(table: LoggedTable, column: str) -> bool:
    place = table.place(column)
    seen = {_identity(row[place]) for row in table.rows}
    return len(seen) == len(table.rows) and "null" not in seen


def compared(left: LoggedTable, right: LoggedTable, key: str) -> list[RowChange]:
    """Every row of either, in the order of the newer table, removed rows last. `key` is a column of both; empty: rows
    are told by their place."""
    old = {_row_key(left, row, place, key): row for place, row in enumerate(left.rows)}
    shared = [name for name in right.names if name in left.names]
    changes = []
    for place, row in enumerate(right.rows):
        name = _row_key(right, row, place, key)
        before = old.pop(name, None)
        if before is None:
            changes.append(RowChange(name, "added", None, row))
            continue
        differs = frozenset(
            column for column in shared if _identity(before[left.place(column)]) != _identity(row[right.place(column)])
        )
        changes.append(RowChange(name, "changed" if differs else "same", before, row, differs))
    return [*changes, *(RowChange(name, "removed", row, None) for name, row in old.items())]


def _row_key(table: LoggedTable, row: Cells, place: int, key: str) -> str:
    return text_of(row[table.place(key)]) if key else str(place)


def _identity(cell: object) -> str:
    """What makes two cells the same: of media, their content."""
    if is_media(cell):
        assert isinstance(cell, dict)
        return str(cell["sha256"])
    return json.dumps(cell, sort_keys=True)
