"""The digest of a column of values, however it is cut into chunks, and what its numbers look like."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

NUMBERS = {"i": "int", "u": "uint", "f": "float", "b": "bool"}


class Column:
    """Takes the values of one column, or of one level of a nested one, in order and in chunks of any size.

    The digest covers the type's name, the number of rows, the places of nulls, the values as little-endian bytes (zeros
    for nulls, one pattern for every NaN) and, where values differ in length, their lengths.
    """

    def __init__(self, type: str, children: list[Column] | None = None) -> None:
        self.type = type
        self.children = children or []
        self.rows = 0
        self.nulls = 0
        self._places = hashlib.sha256()
        self._lengths = hashlib.sha256()
        self._data = hashlib.sha256()
        self.size = 0
        self._numbers = 0
        self._nan = 0
        self._sum = 0.0
        self._min: Any = None
        self._max: Any = None

    def fixed(self, values: Any, null: Any = None) -> None:
        """A one-dimensional array of numbers; `null`: which of them are none."""
        self._count(len(values), null)
        if null is not None and null.any():
            values = np.where(null, np.zeros(1, values.dtype), values)
        values = little_endian(values)
        if values.dtype.kind == "f":
            values = one_nan(values)
        self._data.update(values.data if values.size else b"")
        self.size += values.nbytes
        self.note(values if null is None else values[~null])

    def raw(self, data: Any, rows: int, null: Any = None) -> None:
        """Values of a fixed number of bytes that are no numbers of numpy's; nulls are zeros already."""
        self._count(rows, null)
        self._data.update(data)
        self.size += len(data)

    def variable(self, lengths: Any, data: Any, null: Any = None) -> None:
        """Values of `lengths` bytes (int64; 0 for nulls), one behind the other in `data`."""
        self._count(len(lengths), null)
        self._lengths.update(np.ascontiguousarray(lengths, "<i8").data if len(lengths) else b"")
        self._data.update(data)
        self.size += len(data)

    def lists(self, lengths: Any, null: Any = None) -> None:
        """How many of the child's values belong to each row (int64; 0 for nulls)."""
        self._count(len(lengths), null)
        self._lengths.update(np.ascontiguousarray(lengths, "<i8").data if len(lengths) else b"")

    def nothing(self, rows: int, null: Any = None) -> None:
        """Rows whose values lie in the children, or which are all null."""
        self._count(rows, null)

    def digest(self) -> str:
        """64 hex digits."""
        told = [
            self.type,
            self.rows,
            self._places.hexdigest() if self.nulls else "",
            self._lengths.hexdigest(),
            self._data.hexdigest(),
            [child.digest() for child in self.children],
        ]
        return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()

    def bytes(self) -> int:
        """Bytes of values, with those of the children."""
        return self.size + sum(child.bytes() for child in self.children)

    def profile(self) -> dict[str, Any]:
        """`nulls`, and of numbers `nan`, `min`, `max` and `mean`, over the finite ones."""
        found: dict[str, Any] = {"nulls": self.nulls}
        if self._nan:
            found["nan"] = self._nan
        if self._numbers:
            found |= {"min": self._min, "max": self._max, "mean": self._sum / self._numbers}
        return found

    def _count(self, rows: int, null: Any) -> None:
        if null is not None:
            places = np.flatnonzero(null)
            if len(places):
                self.nulls += len(places)
                self._places.update((places + self.rows).astype("<i8").data)
        self.rows += rows

    def note(self, values: Any) -> None:
        """Count numbers in the profile, and not in the digest."""
        kind = values.dtype.kind
        if kind not in "iufb" or not self.type.startswith(NUMBERS[kind]):
            return
        if values.dtype.kind == "f":
            finite = np.isfinite(values)
            if not finite.all():
                self._nan += int(np.isnan(values).sum())
                values = values[finite]
        if not len(values):
            return
        least, most = values.min().item(), values.max().item()
        self._min = least if self._min is None else min(self._min, least)
        self._max = most if self._max is None else max(self._max, most)
        with np.errstate(over="ignore"):
            self._sum += float(values.sum(dtype=np.float64))
        self._numbers += len(values)


def little_endian(values: Any) -> Any:
    """The array, contiguous and in little-endian order."""
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<"))


def one_nan(values: Any) -> Any:
    """The array with the same bits for every NaN."""
    nan = np.isnan(values)
    if nan.any():
        values = values.copy()
        values[nan] = np.nan
    return values
