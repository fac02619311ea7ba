"""Points in space out of the files that runs log: PLY, OBJ and binary STL, thinned to what a small canvas can show.

PLY: Turk, "The PLY polygon file format" (1994); STL: 80 bytes, the number of triangles, 50 bytes a triangle.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from runstream_ui.palette import RUN_COLOURS

MAX_BYTES = 96 << 20
MAX_POINTS = 20_000
DRAWN = frozenset({"model/ply", "model/obj", "model/stl"})

_PLY_TYPES = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "<i2",
    "int16": "<i2",
    "ushort": "<u2",
    "uint16": "<u2",
    "int": "<i4",
    "int32": "<i4",
    "uint": "<u4",
    "uint32": "<u4",
    "float": "<f4",
    "float32": "<f4",
    "double": "<f8",
    "float64": "<f8",
}
_STL = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


class NotDrawable(ValueError):
    """The file is none of these formats, or torn; the text says which."""


@dataclass(frozen=True)
class Points:
    """`xyz` is (n, 3); `rgb` (n, 3) or None."""

    xyz: npt.NDArray[np.float32]
    rgb: npt.NDArray[np.uint8] | None
    total: int

    def as_json(self) -> dict[str, Any]:
        """For media.js: the points in a cube from -1 to 1, as base64 of float32, and their colours."""
        centre = (self.xyz.min(axis=0) + self.xyz.max(axis=0)) / 2
        reach = float(np.abs(self.xyz - centre).max()) or 1.0
        placed = ((self.xyz - centre) / reach).astype("<f4")
        shown: dict[str, Any] = {"xyz": base64.b64encode(placed.tobytes()).decode()}
        if self.rgb is not None:
            shown["rgb"] = base64.b64encode(self.rgb.tobytes()).decode()
        return shown


def points_of(mime: str, content: bytes) -> Points:
    """At most MAX_POINTS of the points or corners in a file, evenly chosen. Raises NotDrawable."""
    try:
        if mime == "model/ply":
            xyz, rgb = _ply(content)
        elif mime == "model/obj":
            xyz, rgb = _obj(content), None
        elif mime == "model/stl":
            xyz, rgb = _stl(content), None
        else:
            raise NotDrawable(f"{mime} is not drawn here")
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise error if isinstance(error, NotDrawable) else NotDrawable(f"not a {mime} file: {error}") from error
    kept = np.flatnonzero(np.isfinite(xyz).all(axis=1))
    if kept.size == 0:
        raise NotDrawable("the file has no points")
    total = int(kept.size)
    kept = kept[np.linspace(0, total - 1, min(total, MAX_POINTS)).round().astype(np.intp)]
    return Points(xyz[kept].astype(np.float32), None if rgb is None else np.ascontiguousarray(rgb[kept]), total)


def _ply(content: bytes) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8] | None]:
    end = content.find(b"end_header")
    if not content.startswith(b"ply") or end < 0:
        raise NotDrawable("not a PLY file")
    lines = content[:end].decode("ascii").split("\n")
    fields: list[tuple[str, str]] = []
    count, form, elements = 0, "", 0
    for words in (line.split() for line in lines):
        if words[:1] == ["format"]:
            form = words[1]
        elif words[:1] == ["element"]:
            elements += 1
            if elements == 1 and words[1] != "vertex":
                raise NotDrawable("a PLY file that does not begin with its vertices is not drawn here")
            count = int(words[2]) if elements == 1 else count
        elif words[:1] == ["property"] and elements == 1:
            fields.append((words[2], _PLY_TYPES[words[1]]))
    start = content.index(b"\n", end) + 1
    if form == "ascii":
        rows = content[start:].decode("ascii").split("\n")[:count]
        table = np.array([[float(word) for word in row.split()[: len(fields)]] for row in rows])
        columns = {name: table[:, place] for place, (name, _) in enumerate(fields)}
    elif form == "binary_little_endian":
        read = np.frombuffer(content, np.dtype(fields), count, start)
        columns = {name: read[name] for name, _ in fields}
    else:
        raise NotDrawable(f"PLY in the form {form!r} is not drawn here")
    xyz = np.stack([columns["x"], columns["y"], columns["z"]], axis=1)
    return xyz, _colours(columns)


def _colours(columns: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.uint8] | None:
    if {"red", "green", "blue"} <= columns.keys():
        return np.stack([columns[name] for name in ("red", "green", "blue")], axis=1).astype(np.uint8)
    if "class" not in columns:
        return None
    palette = np.array([[int(text[at : at + 2], 16) for at in (1, 3, 5)] for text in RUN_COLOURS], np.uint8)
    chosen: npt.NDArray[np.uint8] = palette[columns["class"].astype(np.int64) % len(RUN_COLOURS)]
    return chosen


def _obj(content: bytes) -> npt.NDArray[Any]:
    found = re.findall(rb"^v[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S+)", content, re.MULTILINE)
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def _stl(content: bytes) -> npt.NDArray[Any]:
    count = int.from_bytes(content[80:84], "little")
    if len(content) != 84 + count * _STL.itemsize:
        raise NotDrawable("an STL file in text form, or a torn one, is not drawn here")
    corners: npt.NDArray[Any] = np.frombuffer(content, _STL, count, 84)["corners"].reshape(-1, 3)
    return corners
