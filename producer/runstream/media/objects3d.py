"""Objects in space."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator
from typing import Any

from runstream.media.arrays import Array, as_array, is_array
from runstream.media.blob import Blob, Media, ValueRefused, Warn
from runstream.media.sniff import EXTENSIONS, object_type
from runstream.media.source import content_of, extension_of, head_of, is_source

MAX_POINTS = 2_000_000
_ROWS_AT_ONCE = 1 << 16
_BY_EXTENSION = {extension: mime for mime, extension in EXTENSIONS.items() if mime.startswith("model/")}
_FIELDS = {
    3: ("xyz", ""),
    4: ("xyz class", "property int class\n"),
    6: ("xyz rgb", "property uchar red\nproperty uchar green\nproperty uchar blue\n"),
}


class Object3D(Media):
    """A point cloud, N x 3 (x, y, z), N x 4 (with a class number) or N x 6 (with red, green, blue from 0 to 255), or a
    glTF (.glb, .gltf), OBJ, STL or PLY file."""

    rich_kind = "object3d"

    def __init__(self, data: Any, *, caption: str = "", file_type: str = "") -> None:
        self.data = data
        self.caption = caption
        self.file_type = file_type

    def blob(self, warn: Warn) -> Blob:
        """See Media.blob."""
        blob = self._from_source() if is_source(self.data) else _from_points(self.data, warn)
        blob.caption = self.caption
        return blob

    def _from_source(self) -> Blob:
        content = content_of(self.data)
        head = head_of(content)
        extension = f".{self.file_type.lower().lstrip('.')}" if self.file_type else extension_of(self.data)
        mime = object_type(head) or _BY_EXTENSION.get(extension)
        if mime is None:
            known = ", ".join(sorted(_BY_EXTENSION))
            raise ValueRefused(f"it is none of {known} by its bytes or name. Say file_type=, or log it as a File")
        return Blob("object3d", mime, "object" + EXTENSIONS[mime], content)


def _from_points(data: Any, warn: Warn) -> Blob:
    if not (is_array(data) or isinstance(data, list | tuple)):
        raise ValueRefused(f"{type(data).__name__} is no object: points, a path or bytes are")
    points = as_array(data)
    if len(points.shape) != 2 or points.shape[1] not in _FIELDS or not points.shape[0]:
        raise ValueRefused(f"shape {points.shape} is no point cloud: N x 3, N x 4 or N x 6")
    count, width = points.shape
    stride = -(-count // MAX_POINTS)
    if stride > 1:
        warn(f"one of {stride} of its {count} points is kept; a point cloud may have {MAX_POINTS}")
    records, kept, low, high, bad = _by_numpy(points, stride) if points.by_numpy else _by_hand(points, stride)
    if bad:
        warn(f"{bad} of its points are left out: a coordinate is not finite")
    if not kept:
        raise ValueRefused("none of its points is finite")
    name, properties = _FIELDS[width]
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {kept}\n"
        f"property float x\nproperty float y\nproperty float z\n{properties}end_header\n"
    )
    metadata = {"points": kept, "fields": name, "low": low, "high": high}
    return Blob("object3d", "model/ply", "object.ply", _pieces(header.encode(), records), metadata=metadata)


def _pieces(header: bytes, records: Any) -> Iterator[bytes]:
    yield header
    yield from records


def _by_numpy(points: Array, stride: int) -> tuple[Any, int, list[float], list[float], int]:
    numpy = sys.modules["numpy"]
    numbers = points.numbers[::stride]
    with numpy.errstate(all="ignore"):
        floats = numbers.astype("<f4")
    fine = numpy.isfinite(floats).all(axis=1)
    bad = int((~fine).sum())
    floats = floats[fine] if bad else floats
    if not len(floats):
        return (), 0, [], [], bad
    width = points.shape[1]
    fields = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
    fields += {3: [], 4: [("class", "<i4")], 6: [("r", "u1"), ("g", "u1"), ("b", "u1")]}[width]
    records = numpy.empty(len(floats), fields)
    for place, (field, _) in enumerate(fields):
        column = floats[:, place]
        records[field] = column.clip(0, 255) if field in "rgb" else column
    low, high = floats[:, :3].min(axis=0).tolist(), floats[:, :3].max(axis=0).tolist()
    chunks = (records[at : at + _ROWS_AT_ONCE].tobytes() for at in range(0, len(records), _ROWS_AT_ONCE))
    return chunks, len(records), low, high, bad


def _by_hand(points: Array, stride: int) -> tuple[Any, int, list[float], list[float], int]:
    given = points.rows()[::stride]
    rows = [row for row in given if all(math.isfinite(number) and abs(number) < 3e38 for number in row)]
    if not rows:
        return (), 0, [], [], len(given)
    packed = {3: struct.Struct("<3f"), 4: struct.Struct("<3fi"), 6: struct.Struct("<3f3B")}[points.shape[1]]
    rest = [
        [int(max(-(2**31), min(2**31 - 1, n))) if len(row) == 4 else int(max(0, min(255, n))) for n in row[3:]]
        for row in rows
    ]
    data = b"".join(packed.pack(*row[:3], *more) for row, more in zip(rows, rest, strict=True))
    columns = list(zip(*rows, strict=True))[:3]
    return (data,), len(rows), [min(c) for c in columns], [max(c) for c in columns], len(given) - len(rows)
