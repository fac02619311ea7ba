"""Blocks in ClickHouse's Native format, from numpy columns or lists.

A block is: number of columns, number of rows, then for each column its name, its type and its data. numpy columns are
handed to the socket as they lie in memory. Format: ClickHouse documentation, "Native" and "Native protocol columns";
lengths are LEB128. Aggregate columns are sent as the plain type beneath them, which the server takes as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Buffer = bytes | memoryview
_LOW_CARDINALITY_VERSION = (1).to_bytes(8, "little")
_LOW_CARDINALITY_FLAGS = 0x600
"""The keys come with the block, and no dictionary of an earlier block is used."""
_MASK = (1 << 64) - 1


class Type(Protocol):
    """A column type: its name in SQL and how a column of it is written."""

    @property
    def name(self) -> str: ...

    def encode(self, column: Any) -> list[Buffer]: ...


class Keyed(NamedTuple):
    """A column of few distinct texts: row i is `keys[places[i]]`. `places` is uint8, uint16 or uint32."""

    keys: Sequence[bytes]
    places: NDArray[Any]


@dataclass(frozen=True)
class Number:
    name: str
    dtype: str

    def encode(self, column: NDArray[Any] | Sequence[float]) -> list[Buffer]:
        return _bytes(np.ascontiguousarray(column, self.dtype))


@dataclass(frozen=True)
class Text:
    name: str = "String"

    def encode(self, column: Iterable[str | bytes]) -> list[Buffer]:
        return [b"".join(_text(value) for value in column)]


@dataclass(frozen=True)
class LowText:
    """`LowCardinality(String)`, from Keyed or a sequence of texts."""

    name: str = "LowCardinality(String)"

    def encode(self, column: Keyed | Sequence[str]) -> list[Buffer]:
        if not isinstance(column, Keyed):
            places = {value: place for place, value in enumerate(dict.fromkeys(column))}
            index = np.array([places[value] for value in column], index_type(len(places)))
            column = Keyed([value.encode() for value in places], index)
        width = {1: 0, 2: 1, 4: 2}[column.places.itemsize]
        head = [
            _LOW_CARDINALITY_VERSION,
            (_LOW_CARDINALITY_FLAGS | width).to_bytes(8, "little"),
            len(column.keys).to_bytes(8, "little"),
            *(_text(key) for key in column.keys),
            len(column.places).to_bytes(8, "little"),
        ]
        return [b"".join(head), *_bytes(np.ascontiguousarray(column.places))]


@dataclass(frozen=True)
class Uuid:
    """From an array (n, 2) of uint64, the high half first, or a sequence of 128-bit numbers."""

    name: str = "UUID"

    def encode(self, column: NDArray[np.uint64] | Sequence[int]) -> list[Buffer]:
        if not isinstance(column, np.ndarray):
            column = np.array([(value >> 64, value & _MASK) for value in column], "<u8")
        return _bytes(np.ascontiguousarray(column, "<u8"))


@dataclass(frozen=True)
class Array:
    item: Type

    @property
    def name(self) -> str:
        return f"Array({self.item.name})"

    def encode(self, column: Sequence[Sequence[Any]]) -> list[Buffer]:
        ends = np.array(list(accumulate(map(len, column))), "<u8")
        return [*_bytes(ends), *self.item.encode([item for row in column for item in row])]


@dataclass(frozen=True)
class Tuple:
    """Named parts; the column is a sequence of rows, or a ready `Parts` of columns."""

    parts: tuple[tuple[str, Type], ...]

    @property
    def name(self) -> str:
        return f"Tuple({', '.join(f'{name} {part.name}' for name, part in self.parts)})"

    def encode(self, column: Parts | Sequence[Sequence[Any]]) -> list[Buffer]:
        if not isinstance(column, Parts):
            column = Parts(tuple([row[i] for row in column] for i in range(len(self.parts))))
        chunks: list[Buffer] = []
        for (_, part), values in zip(self.parts, column.columns, strict=True):
            chunks += part.encode(values)
        return chunks


class Parts(NamedTuple):
    """The columns of a tuple column."""

    columns: tuple[Any, ...]


@dataclass(frozen=True)
class TextMap:
    """`Map(String, String)` from mappings."""

    name: str = "Map(String, String)"

    def encode(self, column: Sequence[Mapping[str, str]]) -> list[Buffer]:
        ends = np.array(list(accumulate(map(len, column))), "<u8")
        keys = Text().encode(key for row in column for key in row)
        values = Text().encode(value for row in column for value in row.values())
        return [*_bytes(ends), *keys, *values]


UINT8 = Number("UInt8", "u1")
UINT16 = Number("UInt16", "<u2")
UINT32 = Number("UInt32", "<u4")
UINT64 = Number("UInt64", "<u8")
INT32 = Number("Int32", "<i4")
INT64 = Number("Int64", "<i8")
FLOAT64 = Number("Float64", "<f8")
TEXT = Text()
LOW_TEXT = LowText()
UUID = Uuid()


@dataclass(frozen=True)
class Block:
    """Rows for one table: `columns` has a name, a type and the data, `rows` values long, of each column."""

    rows: int
    columns: tuple[tuple[str, Type, Any], ...]
    memory: NDArray[np.uint8] | None = None
    """Lent by `runstream_ingest.buffers`, if the columns lie in such."""

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.columns]

    def where(self, rows: NDArray[np.bool_]) -> Block:
        """The rows that `rows`, one truth a row, is true for. Every column is an array or Keyed."""
        columns = tuple(
            (name, kind, Keyed(data.keys, data.places[rows]) if isinstance(data, Keyed) else data[rows])
            for name, kind, data in self.columns
        )
        return Block(int(np.count_nonzero(rows)), columns)

    @cached_property
    def native(self) -> list[Buffer]:
        """The block in pieces, to be sent one after the other; they refer to the columns' memory.

        Raises ValueError, OverflowError or TypeError for a value that its column cannot hold.
        """
        chunks: list[Buffer] = [_leb128(len(self.columns)) + _leb128(self.rows)]
        for name, kind, data in self.columns:
            chunks.append(_text(name) + _text(kind.name))
            chunks += kind.encode(data)
        return chunks


def index_type(keys: int) -> str:
    """The smallest index that reaches `keys` keys."""
    return "u1" if keys <= 1 << 8 else "<u2" if keys <= 1 << 16 else "<u4"


def _bytes(array: NDArray[Any]) -> list[Buffer]:
    """The array's memory, not copied; nothing for an empty one, which has none."""
    return [array.reshape(-1).view(np.uint8).data] if array.size else []


def _leb128(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _leb128(len(data)) + data
