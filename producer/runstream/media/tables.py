"""Tables."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from runstream.media import table_format
from runstream.media.blob import Blob, Media, Part, ValueRefused, Warn
from runstream.media.table_format import Column, Typed
from runstream.notices import warn as tell
from runstream.values import cut, typed

MAX_ROWS = 1_000_000
MAX_COLUMNS = 1000
MAX_CELLS = 10_000_000
MAX_CELL_BYTES = 64 << 10
MAX_MEDIA_CELLS = 10_000
_SAFE_INTEGER = 1 << 53
_READ_BYTES = 1 << 20


class Table(Media):
    """Rows and columns: `columns` and `data` (rows), a pandas, polars or Arrow table, dicts, or a dict of columns.

    A cell is a number, text, boolean, date, list, dict or nothing, or another rich value such as an Image. `add_data`
    adds a row. Up to MAX_ROWS rows, MAX_COLUMNS columns and MAX_CELLS cells are kept; what is beyond is left out with a
    warning.
    """

    rich_kind = "table"

    def __init__(
        self,
        columns: Iterable[Any] | None = None,
        data: Any = None,
        *,
        dataframe: Any = None,
        caption: str = "",
    ) -> None:
        if data is None and dataframe is None and columns is not None and not _is_names(columns):
            columns, data = None, columns
        self.columns: list[str] | None = [str(name) for name in columns] if columns is not None else None
        self.caption = caption
        self._data = data if dataframe is None else dataframe
        self._added: list[tuple[Any, ...]] = []

    def add_data(self, *row: Any) -> None:
        """Add a row with a cell for each column; another number of cells is refused with a warning."""
        if self.columns is not None and len(row) != len(self.columns):
            tell(f"Table.add_data(): a row of {len(row)} cells is left out; the table has {len(self.columns)} columns")
            return
        self._added.append(row)

    def blob(self, warn: Warn) -> Blob:
        """See Media.blob."""
        names, rows, given = _read(self.columns, self._data)
        if self._added:
            if names is None:
                names = [f"column {place + 1}" for place in range(len(self._added[0]))]
            rows, given = itertools.chain(rows, self._added), given + len(self._added)
        if not names:
            raise ValueRefused("a table without columns")
        if len(names) > MAX_COLUMNS:
            raise ValueRefused(f"{len(names)} columns; the limit is {MAX_COLUMNS}. Log the file as an artifact")
        kept = min(given, MAX_ROWS, MAX_CELLS // len(names))
        if kept < given:
            warn(
                f"the first {kept} of {given} rows are kept; a table may have {MAX_ROWS} rows and {MAX_CELLS} cells. "
                "Log a sample of it, or the file as an artifact"
            )
        return _Builder(names, warn).build(itertools.islice(rows, kept), given, self.caption)


class _Builder:
    """Turns rows of anything into typed cells, and media cells into parts."""

    def __init__(self, names: list[str], warn: Warn) -> None:
        self._names = [cut(name, 1024)[0] for name in names]
        self._warn = warn
        self._parts: list[Part] = []
        self._cut = 0
        self._refused: list[str] = []

    def build(self, rows: Iterator[Sequence[Any]], given: int, caption: str) -> Blob:
        made: list[list[Typed | None]] = []
        width = len(self._names)
        uneven = 0
        for number, row in enumerate(rows):
            cells = [
                self._cell(cell, number, self._names[min(place, width - 1)]) for place, cell in enumerate(row[:width])
            ]
            if len(row) != width:
                uneven += 1
                cells += [None] * (width - len(cells))
            made.append(cells)
        if uneven:
            self._warn(f"{uneven} of its rows have not {width} cells, as it has columns; they are cut or filled up")
        if self._cut:
            self._warn(f"{self._cut} of its cells are cut at {MAX_CELL_BYTES} bytes of text")
        if self._refused:
            self._warn(f"{len(self._refused)} media cells are left out, such as {self._refused[0]}")
        for place in range(width):
            _forget_nan(made, place)
        columns = [
            Column(name, table_format.column_type(row[place] for row in made)) for place, name in enumerate(self._names)
        ]
        metadata: dict[str, Any] = {"columns": [dataclasses.asdict(column) for column in columns], "rows": len(made)}
        if given != len(made):
            metadata["rows_given"] = given
        lines = table_format.write(columns, made, len(made))
        return Blob("table", table_format.MIME, "table.jsonl", lines, caption, metadata, self._parts)

    def _cell(self, value: Any, row: int, column: str) -> Typed | None:
        match value:
            case None:
                return None
            case bool():
                return Typed("boolean", bool(value))
            case int():
                return _integer(int(value))
            case float():
                return Typed("number", table_format.number(float(value)))
            case str():
                return Typed("string", self._text(value.value if isinstance(value, enum.Enum) else value))
        if getattr(type(value), "rich_kind", None) or _is_picture(value):
            return self._media(value, row, column)
        return self._other(value)

    def _other(self, value: Any) -> Typed | None:
        kind = type(value)
        if callable(getattr(value, "isoformat", None)):  # dates, times, pandas' timestamps
            return None if value != value else Typed("datetime", value.isoformat())
        if kind.__name__ in ("NAType", "NaTType"):
            return None
        if kind.__module__ == "numpy" and kind.__name__ == "datetime64":
            text = str(value)
            return None if text == "NaT" else Typed("datetime", text)
        if isinstance(value, enum.Enum):
            return Typed("string", value.name)
        if isinstance(value, bytes | bytearray):
            return Typed("string", self._text(value[:MAX_CELL_BYTES].decode("utf-8", "backslashreplace")))
        if isinstance(value, PurePath):
            return Typed("string", self._text(str(value)))
        tolist = getattr(value, "tolist", None)
        if callable(tolist):  # numpy and torch scalars and arrays
            plain = tolist()
            return self._cell(plain, 0, "") if not isinstance(plain, list) else self._json(plain)
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._json(value)
        return Typed("string", self._text(str(value)))

    def _json(self, value: Any) -> Typed:
        made = typed("", value)
        if made["kind"] == "json":
            try:
                return Typed("json", json.loads(made["text"], parse_constant=str))
            except ValueError:  # what was masked in it tore it
                pass
        self._cut += made["text"].endswith("…")
        return Typed("string", made["text"])

    def _text(self, text: str) -> str:
        kept, was_cut = cut(text, MAX_CELL_BYTES)
        self._cut += was_cut
        return kept.replace("\0", "�")

    def _media(self, value: Any, row: int, column: str) -> Typed | None:
        from runstream.media.recognise import media_of

        if len(self._parts) >= MAX_MEDIA_CELLS:
            self._refused.append(f"those after {MAX_MEDIA_CELLS}, the limit of a table")
            return None
        try:
            blob = media_of(value).blob(self._warn)
            if not isinstance(blob.content, bytes | Path):
                blob.content = b"".join(blob.content)
            sha256, size = _digest(blob.content)
        except Exception as error:  # noqa: BLE001 - any object may come
            self._refused.append(f"row {row} of {column!r}: {error}"[:300])
            return None
        self._parts.append(Part(column, row, blob))
        described = {"kind": blob.kind, "sha256": sha256, "size": size, "mime": blob.mime, "caption": blob.caption}
        return Typed("media", {**described, "metadata": blob.metadata})


def _read(columns: list[str] | None, data: Any) -> tuple[list[str] | None, Iterable[Sequence[Any]], int]:
    """Column names (None: unknown), rows, and how many there are."""
    if data is None:
        return columns, (), 0
    if callable(getattr(data, "itertuples", None)) and hasattr(data, "columns"):  # pandas
        names, rows = [_name(name) for name in data.columns], data.itertuples(index=False, name=None)
        return columns or names, rows, len(data)
    if callable(getattr(data, "iter_rows", None)):  # polars
        return columns or [str(name) for name in data.columns], data.iter_rows(), len(data)
    if callable(getattr(data, "to_batches", None)) and hasattr(data, "column_names"):  # Arrow
        rows = (row for batch in data.to_batches() for row in zip(*batch.to_pydict().values(), strict=True))
        return columns or [str(name) for name in data.column_names], rows, data.num_rows
    if isinstance(data, Mapping):
        series = [
            list(cells) if isinstance(cells, Iterable) and not isinstance(cells, str) else [cells]
            for cells in data.values()
        ]
        count = max(map(len, series), default=0)
        return columns or [str(name) for name in data], itertools.zip_longest(*series), count
    if hasattr(data, "shape") and callable(getattr(data, "tolist", None)):
        from runstream.media.arrays import as_array

        array = as_array(data)
        if len(array.shape) != 2:
            raise ValueRefused(f"shape {array.shape} is no table: rows x columns")
        return columns or [f"column {place + 1}" for place in range(array.shape[1])], array.rows(), array.shape[0]
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise ValueRefused(f"{type(data).__name__} is no table: rows, dicts or a data frame are")
    listed = list(data)
    return _of_rows(columns, listed)


def _of_rows(columns: list[str] | None, listed: list[Any]) -> tuple[list[str] | None, Iterable[Sequence[Any]], int]:
    if listed and all(isinstance(row, Mapping) for row in listed):
        names = columns or list(dict.fromkeys(str(name) for row in listed for name in row))
        keyed = ({str(name): cell for name, cell in row.items()} for row in listed)
        return names, ([row.get(name) for name in names] for row in keyed), len(listed)
    if columns is None and listed and all(isinstance(row, Sequence) and not isinstance(row, str) for row in listed):
        columns = [f"column {place + 1}" for place in range(max(map(len, listed)))]
    if columns is not None and len(columns) == 1:
        listed = [row if isinstance(row, list | tuple) else (row,) for row in listed]
    if any(not isinstance(row, Sequence) and not hasattr(row, "__getitem__") for row in listed):
        raise ValueRefused("its rows are no sequences: each is a list with a cell for each column, or a dict")
    return columns, (row.tolist() if hasattr(row, "tolist") else row for row in listed), len(listed)


def _forget_nan(rows: list[list[Typed | None]], place: int) -> None:
    """NaN among texts and such means that there is nothing: so data frames say it."""
    numbers = {str(cell.value) for row in rows if (cell := row[place]) is not None and cell.type == "number"}
    others = any(cell is not None and cell.type not in ("number", "integer") for row in rows for cell in [row[place]])
    if numbers == {"NaN"} and others:
        for row in rows:
            if (cell := row[place]) is not None and cell.type == "number":
                row[place] = None


def _is_names(columns: Any) -> bool:
    """Whether it is a list of column names, not the data itself."""
    if isinstance(columns, Mapping) or hasattr(columns, "columns") or hasattr(columns, "column_names"):
        return False
    return isinstance(columns, list | tuple) and all(isinstance(name, str | int) for name in columns)


def _name(name: Any) -> str:
    """Of a pandas column: those of several levels are tuples."""
    return "/".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _integer(value: int) -> Typed:
    """Integers beyond 2^53 are texts: JSON readers make doubles of numbers."""
    if abs(value) <= _SAFE_INTEGER:
        return Typed("integer", value)
    return Typed("string", str(value) if value.bit_length() < 10_000 else hex(value))


def _is_picture(value: object) -> bool:
    from runstream.media.recognise import kind_of

    return kind_of(value) in ("pil", "matplotlib", "plotly")


def _digest(content: bytes | Path) -> tuple[str, int]:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest(), len(content)
    digest, size = hashlib.sha256(), 0
    with content.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size
