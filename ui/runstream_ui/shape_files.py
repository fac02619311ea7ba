"""Objects in space out of the files that runs log: PLY, OBJ, STL and glTF.

PLY: Turk, "The PLY polygon file format" (1994). STL: 80 bytes, the number of triangles, 50 bytes a triangle; or text.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from runstream_ui import gltf
from runstream_ui.palette import RUN_COLOURS
from runstream_ui.shapes import NotDrawable, Shape, row_keys

MAX_BYTES = 96 << 20
_TORN = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError, struct.error)

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


def shape_of(mime: str, content: bytes) -> Shape:
    """What is drawn of a file. Raises NotDrawable."""
    reader = _READERS.get(mime)
    if reader is None:
        raise NotDrawable(f"{mime} is not drawn here")
    try:
        with np.errstate(all="ignore"):
            return reader(content).thinned()
    except NotDrawable:
        raise
    except _TORN as error:
        raise NotDrawable(f"not a {mime} file, or a torn one: {error}"[:300]) from error


def _ply(content: bytes) -> Shape:
    end = content.find(b"end_header")
    if not content.startswith(b"ply") or end < 0:
        raise NotDrawable("not a PLY file")
    fields: list[tuple[str, str]] = []
    lists: list[list[str]] = []
    counts, form = list[tuple[str, int]](), ""
    for words in (line.split() for line in content[:end].decode("ascii").split("\n")):
        if words[:1] == ["format"]:
            form = words[1]
        elif words[:1] == ["element"]:
            counts.append((words[1], int(words[2])))
            if counts[0][0] != "vertex":
                raise NotDrawable("a PLY file that does not begin with its vertices is not drawn here")
        elif words[:1] == ["property"] and len(counts) == 1:
            fields.append((words[2], _PLY_TYPES[words[1]]))
        elif words[:1] == ["property"] and len(counts) == 2:
            lists.append(words[1:])
    start = content.index(b"\n", end) + 1
    count = counts[0][1] if counts else 0
    n_faces = counts[1][1] if len(counts) > 1 and counts[1][0] == "face" and len(lists) == 1 else 0
    faces: npt.NDArray[np.int64] | None = None
    if form == "ascii":
        rows = content[start:].decode("ascii").split("\n")
        table = np.array([[float(word) for word in row.split()[: len(fields)]] for row in rows[:count]])
        columns = {name: table[:, place] for place, (name, _) in enumerate(fields)}
        faces = _fans([[int(word) for word in row.split()[1:]] for row in rows[count : count + n_faces]])
    elif form == "binary_little_endian":
        kind = np.dtype(fields)
        read = np.frombuffer(content, kind, count, start)
        columns = {name: read[name] for name, _ in fields}
        faces = _ply_triangles(content, start + count * kind.itemsize, n_faces, lists)
    else:
        raise NotDrawable(f"PLY in the form {form!r} is not drawn here")
    xyz = np.stack([columns["x"], columns["y"], columns["z"]], axis=1)
    return Shape(xyz, _colours(columns), faces)


def _ply_triangles(content: bytes, start: int, count: int, lists: list[list[str]]) -> npt.NDArray[np.int64] | None:
    """The faces of a binary file when all of them are triangles; else its points are drawn."""
    if not count or lists[0][:1] != ["list"]:
        return None
    kind = np.dtype([("n", _PLY_TYPES[lists[0][1]]), ("corners", _PLY_TYPES[lists[0][2]], 3)])
    if len(content) < start + count * kind.itemsize:
        return None
    read = np.frombuffer(content, kind, count, start)
    return read["corners"].astype(np.int64) if (read["n"] == 3).all() else None


def _colours(columns: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.uint8] | None:
    if {"red", "green", "blue"} <= columns.keys():
        return np.stack([columns[name] for name in ("red", "green", "blue")], axis=1).astype(np.uint8)
    if "class" not in columns:
        return None
    palette = np.array([[int(text[at : at + 2], 16) for at in (1, 3, 5)] for text in RUN_COLOURS], np.uint8)
    chosen: npt.NDArray[np.uint8] = palette[columns["class"].astype(np.int64) % len(RUN_COLOURS)]
    return chosen


def _obj(content: bytes) -> Shape:
    found = re.findall(rb"^v[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S+)", content, re.MULTILINE)
    xyz = np.array(found, dtype=np.float64).reshape(-1, 3)
    polygons: list[list[int]] = []
    # A negative number counts back from the last point before it.
    seen, at = 0, 0
    for line in re.finditer(rb"^f[ \t]+(.+)", content, re.MULTILINE):
        corners = [int(word.split(b"/")[0]) for word in line[1].split()]
        if any(corner < 0 for corner in corners):
            seen, at = seen + len(re.findall(rb"^v[ \t]", content[at : line.start()], re.MULTILINE)), line.start()
        polygons.append([corner - 1 if corner > 0 else seen + corner for corner in corners])
    return Shape(xyz, faces=_fans(polygons))


def _fans(polygons: list[list[int]]) -> npt.NDArray[np.int64] | None:
    """Each polygon as triangles around its first corner."""
    made = [
        (corners[0], corners[place], corners[place + 1]) for corners in polygons for place in range(1, len(corners) - 1)
    ]
    return np.array(made, dtype=np.int64) if made else None


def _stl(content: bytes) -> Shape:
    count = int.from_bytes(content[80:84], "little")
    if len(content) == 84 + count * _STL.itemsize:
        xyz = np.frombuffer(content, _STL, count, 84)["corners"].reshape(-1, 3)
    elif content[:5].lower() == b"solid":
        found = re.findall(rb"^[ \t]*vertex[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S+)", content, re.MULTILINE | re.IGNORECASE)
        if not found:
            raise NotDrawable("an STL file without triangles")
        xyz = np.array(found, dtype=np.float64).reshape(-1, 3)
        xyz = xyz[: len(xyz) // 3 * 3]
    else:
        raise NotDrawable(f"a torn STL file: it announces {count} triangles and has {len(content)} bytes")
    # Each triangle brings its own corners: the same place is one point, so that a surface can be thinned.
    bits = (xyz.astype("<f4") + np.float32(0)).view("<u4")  # 0 and -0 are one number
    _, first, which = np.unique(row_keys(bits), return_index=True, return_inverse=True)
    return Shape(xyz[first], faces=which.reshape(-1, 3).astype(np.int64))


_READERS: dict[str, Callable[[bytes], Shape]] = {
    "model/ply": _ply,
    "model/obj": _obj,
    "model/stl": _stl,
    "model/gltf-binary": gltf.read,
    "model/gltf+json": gltf.read,
}
DRAWN = frozenset(_READERS)
