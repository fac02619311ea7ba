"""Shapes out of glTF files."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest

from runstream_ui.shape_files import shape_of
from runstream_ui.shapes import NotDrawable

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4")
PLACES = np.array([0, 1, 2], dtype="<u2")


def document(**changed: Any) -> dict[str, Any]:
    """One triangle, placed once."""
    data = CORNERS.tobytes() + PLACES.tobytes()
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 3, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 6},
        ],
        "buffers": [
            {"byteLength": 42, "uri": "data:application/octet-stream;base64," + base64.b64encode(data).decode()}
        ],
        **changed,
    }


def text(**changed: Any) -> bytes:
    return json.dumps(document(**changed)).encode()


def binary() -> bytes:
    data = CORNERS.tobytes() + PLACES.tobytes() + bytes(2)
    said = json.dumps(document(buffers=[{"byteLength": 42}])).encode()
    said += b" " * (-len(said) % 4)
    chunks = struct.pack("<II", len(said), 0x4E4F534A) + said + struct.pack("<II", len(data), 0x004E4942) + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def test_a_triangle_is_the_same_in_text_and_in_bytes_and_stands_upright() -> None:
    for mime, content in (("model/gltf+json", text()), ("model/gltf-binary", binary())):
        found = shape_of(mime, content)
        assert found.faces is not None
        assert found.xyz[found.faces[0]].tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]
        assert found.rgb is None


def test_nodes_place_their_meshes_by_what_is_above_them() -> None:
    half_turn = [0, 0, 1, 0]
    nodes = [
        {"children": [1, 2], "translation": [10, 0, 0]},
        {"mesh": 0, "rotation": half_turn, "scale": [2, 3, 1]},
        {"mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 5, 1]},
    ]
    found = shape_of("model/gltf+json", text(nodes=nodes))
    assert found.faces is not None
    first, second = found.xyz[found.faces].tolist()
    assert first == [[10, 0, 0], [8, 0, 0], [10, 0, -3]]
    assert second == [[10, -5, 0], [11, -5, 0], [10, -5, 1]]


def test_a_material_gives_its_colour() -> None:
    primitive = {"attributes": {"POSITION": 0}, "indices": 1, "material": 0}
    found = shape_of(
        "model/gltf+json",
        text(
            meshes=[{"primitives": [primitive]}],
            materials=[{"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 1]}}],
        ),
    )
    assert found.rgb is not None
    assert found.rgb.tolist() == [[255, 0, 0]] * 3


@pytest.mark.parametrize(("mode", "faces"), [(4, 1), (5, 1), (6, 1), (0, 0), (1, 0)])
def test_what_is_no_triangle_is_drawn_as_points(mode: int, faces: int) -> None:
    found = shape_of(
        "model/gltf+json", text(meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "mode": mode}]}])
    )
    assert len(found.xyz) == 3
    assert (0 if found.faces is None else len(found.faces)) == faces


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"buffers": [{"uri": "scene.bin"}]}, "another file, 'scene.bin'"),
        ({"buffers": [{"byteLength": 42}]}, "buffer is missing"),
        ({"buffers": [{"uri": "data:;base64,AAAA"}]}, "beyond its buffer of 3 bytes"),
        ({"nodes": [{"mesh": 0, "children": [0]}]}, "in a circle"),
        ({"nodes": [{"mesh": -1}]}, "-1 is no place"),
        ({"nodes": [{"mesh": 7}]}, "torn"),
        ({"nodes": [{"camera": 0}]}, "no meshes"),
        ({"nodes": [{"mesh": 0, "matrix": [1]}]}, "torn"),
        ({"nodes": [{"mesh": 0, "scale": [float("nan")] * 3}]}, "no points"),
        ({"asset": {"version": "1.0"}}, "not glTF 2.0"),
        ({"asset": None}, "not glTF 2.0"),
        (
            {"extensionsUsed": ["KHR_draco_mesh_compression"], "extensionsRequired": ["KHR_draco_mesh_compression"]},
            "KHR_draco",
        ),
        ({"accessors": [{"componentType": 5126, "count": 1 << 60, "type": "VEC3"}] * 2}, "limit"),
        ({"accessors": [{"bufferView": 0, "componentType": 9, "count": 3, "type": "VEC3"}] * 2}, "torn"),
    ],
)
def test_what_cannot_be_drawn_says_why(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(NotDrawable, match=said):
        shape_of("model/gltf+json", text(**changed))


def test_a_file_that_is_cut_anywhere_is_refused() -> None:
    whole = binary()
    for length in range(len(whole)):
        with pytest.raises(NotDrawable):
            shape_of("model/gltf-binary", whole[:length])
