"""Python objects in a column: texts, bytes, or whatever a column of objects may hold."""

from __future__ import annotations

import datetime
import decimal
import math
import struct
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np

from runstream.datasets.column import Column

MAX_DEPTH = 32


def is_text(values: Any) -> bool:
    """Whether a pandas Series holds texts in a dtype of their own."""
    return type(values.dtype).__name__ == "StringDtype"


def add_objects(column: Column, values: list[Any]) -> bool:
    """Add the values, None where there is none; False when one is not of the column's type: the column is useless then.

    Of the type `object`, everything that `encoded` knows is. Raises TypeError for what it does not know.
    """
    if column.type == "string":
        if not all(value is None or type(value) is str or isinstance(value, str) for value in values):
            return False
        parts = [b"" if value is None else value.encode("utf-8", "surrogatepass") for value in values]
    elif column.type == "binary":
        if not all(value is None or isinstance(value, bytes | bytearray) for value in values):
            return False
        parts = [b"" if value is None else bytes(value) for value in values]
    else:
        parts = [b"" if value is None else encoded(value) for value in values]
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    null = np.fromiter((value is None for value in values), bool, len(values))
    column.variable(lengths, b"".join(parts), null)
    return True


def encoded(value: Any, depth: int = 0) -> bytes:
    """A letter for the type, then the value; containers with the lengths of their elements. Raises TypeError."""
    if depth > MAX_DEPTH:
        raise TypeError(f"objects nested deeper than {MAX_DEPTH} have no fingerprint")
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return b"n"
    if isinstance(value, bool):
        return b"b1" if value else b"b0"
    if isinstance(value, int):
        return b"i" + f"{value:x}".encode()
    if isinstance(value, float):
        return b"f" + struct.pack("<d", math.nan if math.isnan(value) else value)
    if isinstance(value, complex):
        return b"c" + struct.pack("<dd", value.real, value.imag)
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes | bytearray):
        return b"y" + bytes(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return b"t" + value.isoformat().encode()
    if isinstance(value, datetime.timedelta):
        return b"e" + f"{value // datetime.timedelta(microseconds=1)}".encode()
    if isinstance(value, decimal.Decimal | uuid.UUID):
        return b"d" + str(value).encode()
    if isinstance(value, np.ndarray):
        return b"a" + str(value.shape).encode() + encoded(value.tolist(), depth + 1)
    if isinstance(value, list | tuple):
        return b"l" + _joined(encoded(inner, depth + 1) for inner in value)
    if isinstance(value, set | frozenset):
        return b"z" + _joined(sorted(encoded(inner, depth + 1) for inner in value))
    if isinstance(value, Mapping):
        pairs = sorted((encoded(key, depth + 1), encoded(inner, depth + 1)) for key, inner in value.items())
        return b"m" + _joined(part for pair in pairs for part in pair)
    if type(value).__module__.startswith("pandas.") and type(value).__name__ in ("Period", "Interval"):
        return b"p" + f"{type(value).__name__} {value}".encode()
    raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__} in a column has no fingerprint")


def _joined(parts: Any) -> bytes:
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)
