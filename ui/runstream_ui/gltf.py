"""Triangles and points out of glTF 2.0, binary (.glb) or text (.gltf), in the pose in which the file stores them.

Khronos, "glTF 2.0 specification" (2021). Read are the meshes of the scene with their nodes' transforms, colours of
vertices and the base colours of materials; textures, skins, morphs and animations are not.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from runstream_ui.shapes import NotDrawable, Shape

MAX_NODES = 20_000
MAX_DEPTH = 64
MAX_CORNERS = 12_000_000
"""Points and corners of triangles, those of a mesh as often as it is placed."""

_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_JSON, _BIN = 0x4E4F534A, 0x004E4942
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
Floats = npt.NDArray[np.float64]


def read(content: bytes) -> Shape:
    """The shape of a whole file. Raises NotDrawable, and for torn files what reading them raises."""
    document, binary = _parts(content) if content[:4] == b"glTF" else (json.loads(content), None)
    if not isinstance(document, dict) or not str((document.get("asset") or {}).get("version", "")).startswith("2"):
        raise NotDrawable("not glTF 2.0; older ones are not drawn here")
    packed = {"KHR_draco_mesh_compression", "EXT_meshopt_compression"} & set(document.get("extensionsUsed") or ())
    if packed & set(document.get("extensionsRequired") or ()):
        raise NotDrawable(f"its meshes are packed by {', '.join(sorted(packed))}. Export them without compression")
    return _Scene(document, binary).shape()


def _parts(content: bytes) -> tuple[Any, bytes | None]:
    """JSON and the buffer of a .glb."""
    _, version, length = struct.unpack_from("<4sII", content)
    if version != 2 or length > len(content):
        raise NotDrawable(f"a torn glTF file: version {version}, {length} bytes announced, {len(content)} there")
    at, document, binary = 12, None, None
    while at + 8 <= length:
        size, kind = struct.unpack_from("<II", content, at)
        chunk = content[at + 8 : at + 8 + size]
        if kind == _JSON and document is None:
            document = json.loads(chunk)
        elif kind == _BIN and binary is None:
            binary = chunk
        at += 8 + size
    return document, binary


class _Scene:
    def __init__(self, document: dict[str, Any], binary: bytes | None) -> None:
        self._document = document
        self._buffers: dict[int, bytes] = {} if binary is None else {0: binary}
        self._xyz: list[Floats] = []
        self._rgb: list[npt.NDArray[np.uint8]] = []
        self._faces: list[npt.NDArray[np.int64]] = []
        self._first = 0
        self._numbers_read = 0
        self._nodes = 0
        self._is_coloured = False

    def shape(self) -> Shape:
        nodes = self._document.get("nodes") or []
        scenes = self._document.get("scenes") or []
        if scenes:
            roots = scenes[_place(self._document.get("scene", 0))].get("nodes") or []
        else:
            children = {child for node in nodes for child in node.get("children") or ()}
            roots = [place for place in range(len(nodes)) if place not in children]
        for root in roots:
            self._node(_place(root), np.eye(4), 0)
        if not self._xyz:
            raise NotDrawable("its scene has no meshes")
        xyz = np.concatenate(self._xyz)
        # glTF has its y axis up, the page z.
        upright = np.stack([xyz[:, 0], -xyz[:, 2], xyz[:, 1]], axis=1)
        faces = np.concatenate(self._faces) if self._faces else None
        return Shape(upright, np.concatenate(self._rgb) if self._is_coloured else None, faces)

    def _node(self, place: int, above: Floats, depth: int) -> None:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise NotDrawable(f"its nodes are more than {MAX_NODES}, or deeper than {MAX_DEPTH}, or go in a circle")
        node = self._document["nodes"][place]
        here = above @ _transform(node)
        if "mesh" in node:
            for primitive in self._document["meshes"][_place(node["mesh"])]["primitives"]:
                self._primitive(primitive, here)
        for child in node.get("children") or ():
            self._node(_place(child), here, depth + 1)

    def _primitive(self, primitive: dict[str, Any], here: Floats) -> None:
        packed = [name for name in primitive.get("extensions") or () if "compression" in name]
        if packed:
            raise NotDrawable(f"its meshes are packed by {', '.join(packed)}. Export them without compression")
        attributes = primitive["attributes"]
        xyz = self._numbers(attributes["POSITION"])[:, :3]
        order = np.arange(len(xyz)) if "indices" not in primitive else self._places(primitive["indices"])
        self._numbers_read += len(xyz) + len(order)
        if self._numbers_read > MAX_CORNERS:
            raise NotDrawable(f"it has more than {MAX_CORNERS} corners")
        faces = _faces(order, primitive.get("mode", _TRIANGLES))
        if len(faces):
            # What lies outside of this mesh is not a corner of the next one.
            self._faces.append(faces[(faces < len(xyz)).all(axis=1)] + self._first)
        self._first += len(xyz)
        self._xyz.append(xyz @ here[:3, :3].T + here[:3, 3])
        self._rgb.append(self._colours(primitive, attributes, len(xyz)))

    def _colours(self, primitive: dict[str, Any], attributes: dict[str, Any], count: int) -> npt.NDArray[np.uint8]:
        """Base colour times that of each vertex; a linear one becomes sRGB."""
        base = np.ones(3)
        if "material" in primitive:
            material = self._document["materials"][_place(primitive["material"])]
            factor = (material.get("pbrMetallicRoughness") or {}).get("baseColorFactor")
            if factor is not None:
                base = np.array(factor, dtype=np.float64)[:3]
                self._is_coloured = True
        linear = np.tile(base, (count, 1))
        if "COLOR_0" in attributes:
            linear = linear * self._numbers(attributes["COLOR_0"], as_share=True)[:count, :3]
            self._is_coloured = True
        shown = np.nan_to_num(np.clip(linear, 0.0, 1.0)) ** (1 / 2.2)
        return (shown * 255).round().astype(np.uint8)

    def _places(self, accessor: object) -> npt.NDArray[np.int64]:
        places: npt.NDArray[np.int64] = self._numbers(accessor)[:, 0].astype(np.int64)
        return places

    def _numbers(self, accessor: object, *, as_share: bool = False) -> Floats:
        """(count, width) of an accessor; normalised integers as shares of their range."""
        given = self._document["accessors"][_place(accessor)]
        kind, width, count = np.dtype(_TYPES[given["componentType"]]), _WIDTHS[given["type"]], _place(given["count"])
        if count > MAX_CORNERS:
            raise NotDrawable(f"it has {count} elements in one list; {MAX_CORNERS} is the limit here")
        if "sparse" in given:
            raise NotDrawable("sparse lists of glTF are not drawn here")
        if "bufferView" not in given:
            return np.zeros((count, width))
        view = self._document["bufferViews"][_place(given["bufferView"])]
        buffer = self._buffer(_place(view["buffer"]))
        start = _place(view.get("byteOffset", 0)) + _place(given.get("byteOffset", 0))
        element = width * kind.itemsize
        stride = _place(view.get("byteStride", 0)) or element
        if stride < element or (count and start + (count - 1) * stride + element > len(buffer)):
            _torn(f"a list of {count} elements reaches beyond its buffer of {len(buffer)} bytes")
        read = np.ndarray((count, width), kind, buffer, start, (stride, kind.itemsize)).astype(np.float64)
        if kind.kind != "f" and (as_share or given.get("normalized")):
            read = np.maximum(read / np.iinfo(kind).max, -1.0)
        return read

    def _buffer(self, place: int) -> bytes:
        if place not in self._buffers:
            uri = str(self._document["buffers"][place].get("uri", ""))
            head, comma, data = uri.partition(",")
            if not (head.startswith("data:") and head.endswith(";base64") and comma):
                raise NotDrawable(
                    f"its numbers are in another file, {uri[:80]!r}. Log it as .glb, which holds all"
                    if uri
                    else "its buffer is missing"
                )
            self._buffers[place] = base64.b64decode(data)
        return self._buffers[place]


def _transform(node: dict[str, Any]) -> Floats:
    """The node's matrix, which is stored by columns, or what its translation, rotation and scale make."""
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    made = np.eye(4)
    x, y, z, w = _vector(node.get("rotation"), (0, 0, 0, 1))
    made[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    made[:3, :3] *= _vector(node.get("scale"), (1, 1, 1))
    made[:3, 3] = _vector(node.get("translation"), (0, 0, 0))
    return made


def _vector(given: Any, default: Sequence[float]) -> Floats:
    return np.array(default if given is None else given, dtype=np.float64).reshape(len(default))


def _faces(order: npt.NDArray[np.int64], mode: int) -> npt.NDArray[np.int64]:
    if mode == _TRIANGLES:
        return order[: len(order) // 3 * 3].reshape(-1, 3)
    if mode == _STRIP and len(order) > 2:
        return np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    if mode == _FAN and len(order) > 2:
        return np.stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]], axis=1)
    return np.empty((0, 3), dtype=np.int64)


def _place(number: Any) -> int:
    """A count or place in a list: Python would take a negative one from the end."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        _torn(f"{number!r} is no place in a list")
    return number


def _torn(why: str) -> NoReturn:
    raise NotDrawable(f"a torn glTF file: {why}")
