"""Points and triangles out of the files that runs log."""

from __future__ import annotations

import base64
import struct

import numpy as np
import pytest

from runstream_ui.shape_files import shape_of
from runstream_ui.shapes import MAX_FACES, MAX_POINTS, NotDrawable, Shape
from ui.values_data import ply

STL = bytes(80) + struct.pack("<I", 1) + struct.pack("<12fH", *[0.0] * 3, *range(9), 0)


def test_binary_ply_with_classes_has_a_colour_for_each() -> None:
    found = shape_of("model/ply", ply([(0, 0, 0), (1, 1, 1), (2, 4, 8)]))
    assert found.xyz.tolist() == [[0, 0, 0], [1, 1, 1], [2, 4, 8]]
    assert found.rgb is not None
    assert len({tuple(row) for row in found.rgb.tolist()}) == 3


def test_ply_in_text_form_keeps_its_colours() -> None:
    head = "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
    head += "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    found = shape_of("model/ply", f"{head}0 0 0 255 0 0\n1 2 3 0 255 0\n".encode())
    assert found.rgb is not None
    assert found.rgb.tolist() == [[255, 0, 0], [0, 255, 0]]


def test_faces_of_obj_are_triangles_around_their_first_corner() -> None:
    square = b"# x\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0 1.0\nvn 0 0 1\n"
    assert _faces(shape_of("model/obj", square + b"f 1/1/1 2//1 3 4\n")) == [[0, 1, 2], [0, 2, 3]]
    assert _faces(shape_of("model/obj", square + b"f -4 -3 -2\nv 9 9 9\nf 1 2 -1\n")) == [[0, 1, 2], [0, 1, 3]]
    assert shape_of("model/obj", square).faces is None


def test_stl_is_the_same_in_text_and_in_bytes() -> None:
    corners = "".join(f"   vertex {n} {n + 1}.0e0 {n + 2}\n" for n in (0, 3, 6))
    text = f"solid ö\n facet normal 0 0 1\n  outer loop\n{corners}  endloop\n endfacet\nendsolid\n"
    for content in (STL, text.encode(), text.replace("\n", "\r\n").upper().encode()):
        found = shape_of("model/stl", content)
        assert found.faces is not None
        assert found.xyz[found.faces].tolist() == [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]


def test_triangles_of_ply_are_a_surface_in_both_forms() -> None:
    head = "element vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    head += "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    text = f"ply\nformat ascii 1.0\n{head}0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n".encode()
    points = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    packed = f"ply\nformat binary_little_endian 1.0\n{head}".encode() + points + struct.pack("<B3i", 3, 0, 1, 2)
    assert _faces(shape_of("model/ply", text)) == _faces(shape_of("model/ply", packed)) == [[0, 1, 2]]


def test_triangles_with_corners_that_are_not_there_are_left_out() -> None:
    assert _faces(shape_of("model/obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv nan 0 0\nf 1 2 3\nf 1 2 9\nf 1 2 4\n")) == [
        [0, 1, 2]
    ]


def test_more_points_than_can_be_told_apart_are_thinned() -> None:
    found = shape_of("model/obj", b"".join(b"v %d 0 0\n" % n for n in range(3 * MAX_POINTS)))
    assert len(found.xyz) == MAX_POINTS
    assert found.xyz[-1, 0] == 3 * MAX_POINTS - 1


def test_a_surface_of_too_many_triangles_becomes_a_coarser_one_of_the_same_extent() -> None:
    side = np.arange(200)
    x, y = (axis.reshape(-1) for axis in np.meshgrid(side, side, indexing="ij"))
    at = (x * 200 + y).reshape(200, 200)
    faces = np.stack([at[:-1, :-1], at[1:, :-1], at[1:, 1:]], axis=-1).reshape(-1, 3)
    found = Shape(np.stack([x, y, np.sin(x / 30)], axis=1), faces=faces).thinned()
    assert found.faces is not None
    assert MAX_FACES / 4 < len(found.faces) <= MAX_FACES
    assert found.faces.max() == len(found.xyz) - 1
    assert np.ptp(found.xyz[:, 0]) > 190


def test_a_shape_comes_to_the_page_inside_a_ball() -> None:
    shown = shape_of("model/obj", b"v 1e6 0 0\nv 1000100 50 7\nv nan 0 0\n").as_json()
    xyz = np.frombuffer(base64.b64decode(shown["xyz"]), "<f4").reshape(-1, 3)
    assert np.linalg.norm(xyz, axis=1) == pytest.approx([1, 1])
    shown = shape_of("model/stl", STL).as_json()
    assert sorted(np.frombuffer(base64.b64decode(shown["faces"]), "<u2").tolist()) == [0, 1, 2]


def _faces(shape: Shape) -> list[list[int]] | None:
    return None if shape.faces is None else shape.faces.tolist()


@pytest.mark.parametrize(
    ("mime", "content"),
    [
        ("model/ply", b""),
        ("model/ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 9\nproperty float x\nend_header\n"),
        ("model/ply", b"ply\nformat binary_big_endian 1.0\nelement vertex 1\nproperty float x\nend_header\n"),
        ("model/ply", b"ply\nelement face 3\nproperty list uchar int a\nend_header\n"),
        ("model/ply", b"ply\nelement vertex\nend_header\n"),
        ("model/ply", b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\nx\n"),
        ("model/ply", ply([(0, 0, 0), (1, 1, 1)])[:-4]),
        ("model/stl", b"solid text"),
        ("model/stl", STL[:-1]),
        ("model/obj", b"v nan nan nan\n"),
        ("model/obj", b"v a b c\n"),
        ("model/obj", b""),
        ("model/gltf-binary", b"glTF"),
    ],
)
def test_what_cannot_be_drawn_says_so(mime: str, content: bytes) -> None:
    with pytest.raises(NotDrawable):
        shape_of(mime, content)
