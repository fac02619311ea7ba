"""Native blocks in the revision that Go clients ask for (`client_protocol_version` from 54454 on).

The engine writes blocks without a revision. From that revision on a block begins with its BlockInfo, and each column
has a byte between type and data (0: usual serialization). To find the columns their lengths must be known, so this
module knows how long each type's data is (https://clickhouse.com/docs/interfaces/formats/Native and ClickHouse's
src/Formats/NativeWriter.cpp).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import lru_cache

from runstream_deploy.embedded.errors import QueryError

CUSTOM_SERIALIZATION = 54454
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
USUAL = b"\x00"

WIDTHS = {f"{sign}Int{bits}": bits // 8 for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)} | {
    "Float32": 4,
    "Float64": 8,
    "BFloat16": 2,
    "Bool": 1,
    "Nothing": 1,
    "UUID": 16,
    "IPv4": 4,
    "IPv6": 16,
    "Date": 2,
    "Date32": 4,
    "DateTime": 4,
    "DateTime64": 8,
    "Time": 4,
    "Time64": 8,
    "Enum8": 1,
    "Enum16": 2,
    "Decimal32": 4,
    "Decimal64": 8,
    "Decimal128": 16,
    "Decimal256": 32,
}
ALIASES = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "Polygon": "Array(Ring)",
    "MultiLineString": "Array(LineString)",
    "MultiPolygon": "Array(Polygon)",
}
TYPE = re.compile(r"(\w+)(?:\((.*)\))?", re.DOTALL)
PART = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|[(),]|[^'`(),]+", re.DOTALL)
NAMED = re.compile(r"(?:`(?:[^`\\]|\\.)*`|\w+) (?=\S)", re.DOTALL)

Skip = Callable[[bytes, int, int], int]
"""Where `rows` values that begin at a position of the data end."""


def in_revision(data: bytes) -> bytes:
    """Whole blocks of `data` in revision 54454. Raises QueryError 48 for a type whose length is not known here."""
    written: list[bytes] = []
    at = 0
    while at < len(data):
        begin = at
        columns, at = _number(data, at)
        rows, at = _number(data, at)
        written += (BLOCK_INFO, data[begin:at])
        for _ in range(columns):
            begin = at
            _, at = _text(data, at)
            name, at = _text(data, at)
            written += (data[begin:at], USUAL)
            begin = at
            if rows:
                prefix, skip = _layout(name)
                at = skip(data, at + prefix, rows)
            written.append(data[begin:at])
    return b"".join(written)


@lru_cache(maxsize=512)
def _layout(name: str) -> tuple[int, Skip]:
    """Bytes in front of the data of all rows, and how to skip the data."""
    found = TYPE.fullmatch(name)
    kind, inside = (found.group(1), found.group(2) or "") if found else (name, "")
    if kind in ALIASES:
        return _layout(ALIASES[kind])
    if kind in WIDTHS or kind.startswith("Interval"):
        return 0, _fixed(WIDTHS.get(kind, 8))
    match kind:
        case "FixedString":
            return 0, _fixed(int(inside))
        case "Decimal":
            digits = int(inside.split(",")[0])
            return 0, _fixed(4 if digits <= 9 else 8 if digits <= 18 else 16 if digits <= 38 else 32)
        case "String":
            return 0, _strings
        case "Nullable":
            prefix, skip = _layout(inside)
            return prefix, lambda data, at, rows: skip(data, at + rows, rows)
        case "Array":
            return _array(*_layout(inside))
        case "Tuple":
            return _tuple(inside)
        case "Map" | "Nested":
            return _array(*_tuple(inside))
        case "SimpleAggregateFunction":
            return _layout(_parts(inside)[1])
        case "LowCardinality":
            return 8, _low_cardinality(_layout(re.sub(r"^Nullable\((.*)\)$", r"\1", inside, flags=re.DOTALL))[1])
    raise QueryError(
        48, "NOT_IMPLEMENTED", f"{name[:80]} cannot be written for this client: use toString() or another FORMAT."
    )


def _fixed(width: int) -> Skip:
    return lambda _, at, rows: at + width * rows


def _strings(data: bytes, at: int, rows: int) -> int:
    for _ in range(rows):
        size = data[at]
        at += 1
        if size > 127:
            size, at = _number(data, at - 1)
        at += size
    return at


def _array(prefix: int, skip: Skip) -> tuple[int, Skip]:
    def skip_array(data: bytes, at: int, rows: int) -> int:
        at += 8 * rows
        values = struct.unpack_from("<Q", data, at - 8)[0] if rows else 0
        return skip(data, at, values) if values else at

    return prefix, skip_array


def _tuple(inside: str) -> tuple[int, Skip]:
    layouts = [_layout(NAMED.sub("", part, count=1) if NAMED.match(part) else part) for part in _parts(inside)]
    if not layouts:
        return 0, _fixed(1)

    def skip_tuple(data: bytes, at: int, rows: int) -> int:
        for _, skip in layouts:
            at = skip(data, at, rows)
        return at

    return sum(prefix for prefix, _ in layouts), skip_tuple


def _low_cardinality(skip: Skip) -> Skip:
    def skip_low_cardinality(data: bytes, at: int, rows: int) -> int:
        if not rows:
            return at
        kind, keys = struct.unpack_from("<QQ", data, at)
        at = skip(data, at + 16, keys)
        return int(at + 8 + (1 << (kind & 0xFF)) * rows)

    return skip_low_cardinality


def _parts(inside: str) -> list[str]:
    """The arguments of a type, split at the commas between them."""
    parts, depth = [""], 0
    for piece in PART.findall(inside):
        depth += (piece == "(") - (piece == ")")
        if piece == "," and not depth:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts if part.strip()]


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A LEB128 number and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _text(data: bytes, at: int) -> tuple[str, int]:
    size, at = _number(data, at)
    return data[at : at + size].decode("utf-8", "surrogateescape"), at + size
