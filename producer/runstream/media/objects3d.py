"""Objects in space."""

from __future__ import annotations

import itertools
import math
import struct
import sys
from typing import Any

from runstream.media.arrays import Array, as_array, is_array
from runstream.media.blob import Blob, Media, ValueRefused, Warn
from runstream.media.sniff import EXTENSIONS, object_type
from runstream.media.source import content_of, extension_of, head_of, is_source

MAX_POINTS = 2_000_000
MAX_FACES = 4_000_000
_ROWS_AT_ONCE = 1 << 16
_BY_EXTENSION = {extension: mime for mime, extension in EXTENSIONS.items() if mime.startswith("model/")}
_FIELDS = {
    3: ("xyz", ""),
    4: ("xyz class", "property int class\n"),
    6: ("xyz rgb", "property uchar red\nproperty uchar green\nproperty uchar blue\n"),
}


class Object3D(Media):
    """A point cloud, N x 3 (x, y, z), N x 4 (with a class number) or N x 6 (with red, green, blue from 0 to 255); a
    surface: such points and `faces`, M x 3 places in them; a glTF (.glb, .gltf), OBJ, STL or PLY file; or a mesh of
    trimesh, or of another library that has `vertices` and `faces` or `triangles`."""

    rich_kind = "object3d"

    def __init__(self, data: Any, *, faces: Any = None, caption: str = "", file_type: str = "") -> None:
        self.data = data
        self.faces = faces
        self.caption = caption
        self.file_type = file_type

    def blob(self, warn: Warn) -> Blob:
        """See Media.blob."""
        if self.faces is None and _is_trimesh(self.data):
            # With its colours and textures, which points and faces have not.
            blob = Blob("object3d", "model/gltf-binary", "object.glb", self.data.export(file_type="glb"))
        elif is_source(self.data):
            blob = self._from_source()
        else:
            blob = _from_points(*self._points_and_faces(), warn)
        blob.caption = self.caption
        return blob

    def _points_and_faces(self) -> tuple[Any, Any]:
        faces = next(
            (found for name in ("faces", "triangles") if (found := getattr(self.data, name, None)) is not None), None
        )
        if self.faces is None and faces is not None and hasattr(self.data, "vertices"):
            return self.data.vertices, faces
        return self.data, self.faces

    def _from_source(self) -> Blob:
        if self.faces is not None:
            raise ValueRefused("faces= belongs to points; a file has its own")
        content = content_of(self.data)
        head = head_of(content)
        extension = f".{self.file_type.lower().lstrip('.')}" if self.file_type else extension_of(self.data)
        mime = object_type(head) or _BY_EXTENSION.get(extension)
        if mime is None:
            known = ", ".join(sorted(_BY_EXTENSION))
            raise ValueRefused(f"it is none of {known} by its bytes or name. Say file_type=, or log it as a File")
        return Blob("object3d", mime, "object" + EXTENSIONS[mime], content)


def _is_trimesh(value: object) -> bool:
    roots = {base.__module__.partition(".")[0] for base in type(value).__mro__}
    return "trimesh" in roots and callable(getattr(value, "export", None))


def _from_points(data: Any, triangles: Any, warn: Warn) -> Blob:
    points = _array_of(data)
    if len(points.shape) != 2 or points.shape[1] not in _FIELDS or not points.shape[0]:
        raise ValueRefused(f"shape {points.shape} is no point cloud: N x 3, N x 4 or N x 6")
    count, width = points.shape
    n_faces, of_faces = (0, b"") if triangles is None else _faces(_array_of(triangles), count)
    stride = -(-count // MAX_POINTS)
    if n_faces and stride > 1:
        raise ValueRefused(f"a surface of {count} points; the limit is {MAX_POINTS}. Log a coarser one")
    if stride > 1:
        warn(f"one of {stride} of its {count} points is kept; a point cloud may have {MAX_POINTS}")
    records, kept, low, high, bad = _by_numpy(points, stride) if points.by_numpy else _by_hand(points, stride)
    if bad and n_faces:
        raise ValueRefused(f"{bad} points of the surface have a coordinate that is not finite")
    if bad:
        warn(f"{bad} of its points are left out: a coordinate is not finite")
    if not kept:
        raise ValueRefused("none of its points is finite")
    name, properties = _FIELDS[width]
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {kept}\n"
        f"property float x\nproperty float y\nproperty float z\n{properties}"
    )
    if n_faces:
        header += f"element face {n_faces}\nproperty list uchar int vertex_indices\n"
    metadata: dict[str, Any] = {"points": kept, "fields": name, "low": low, "high": high}
    if n_faces:
        metadata["faces"] = n_faces
    content = itertools.chain(((header + "end_header\n").encode(),), records, (of_faces,))
    return Blob("object3d", "model/ply", "object.ply", content, metadata=metadata)


def _array_of(data: Any) -> Array:
    if not (is_array(data) or isinstance(data, list | tuple) or hasattr(data, "__array__")):
        raise ValueRefused(f"{type(data).__name__} is no object: points, a path or bytes are")
    return as_array(data)


def _faces(faces: Array, count: int) -> tuple[int, bytes]:
    """How many triangles there are, and they as a PLY file has them: 3, then places in the points."""
    if len(faces.shape) != 2 or faces.shape[1] != 3 or faces.kind not in "ui" or not faces.shape[0]:
        raise ValueRefused(f"faces of shape {faces.shape} are no triangles: M x 3 integers")
    if faces.shape[0] > MAX_FACES:
        raise ValueRefused(f"{faces.shape[0]} faces; the limit is {MAX_FACES}. Log a coarser surface")
    least, most = (
        (faces.numbers.min(), faces.numbers.max()) if faces.by_numpy else (min(faces.numbers), max(faces.numbers))
    )
    if least < 0 or most >= count:
        raise ValueRefused(f"a face names the point {most if most >= count else least}; there are {count}, from 0")
    if not faces.by_numpy:
        return faces.shape[0], b"".join(struct.pack("<B3i", 3, *row) for row in faces.rows())
    numpy = sys.modules["numpy"]
    records = numpy.empty(faces.shape[0], [("n", "u1"), ("at", "<i4", (3,))])
    records["n"], records["at"] = 3, faces.numbers
    return faces.shape[0], records.tobytes()


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
