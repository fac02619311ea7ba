"""Points out of the files that runs log."""

from __future__ import annotations

import base64
import struct

import numpy as np
import pytest

from runstream_ui.point_cloud import MAX_POINTS, NotDrawable, points_of
from ui.values_data import ply

STL = bytes(80) + struct.pack("<I", 1) + struct.pack("<12fH", *[0.0] * 3, *range(9), 0)


def test_binary_ply_with_classes_has_a_colour_for_each() -> None:
    found = points_of("model/ply", ply([(0, 0, 0), (1, 1, 1), (2, 4, 8)]))
    assert found.xyz.tolist() == [[0, 0, 0], [1, 1, 1], [2, 4, 8]]
    assert found.rgb is not None
    assert len({tuple(row) for row in found.rgb.tolist()}) == 3


def test_ply_in_text_form_keeps_its_colours() -> None:
    head = "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
    head += "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    found = points_of("model/ply", f"{head}0 0 0 255 0 0\n1 2 3 0 255 0\n".encode())
    assert found.rgb is not None
    assert found.rgb.tolist() == [[255, 0, 0], [0, 255, 0]]


def test_corners_of_obj_and_stl_are_points() -> None:
    assert points_of("model/obj", b"# x\nv 1 2 3\nvn 0 0 1\nv 4 5 6 1.0\nf 1 2 1\n").total == 2
    assert points_of("model/stl", STL).total == 3


def test_more_points_than_can_be_told_apart_are_thinned() -> None:
    found = points_of("model/obj", b"".join(b"v %d 0 0\n" % n for n in range(3 * MAX_POINTS)))
    assert found.total == 3 * MAX_POINTS
    assert len(found.xyz) == MAX_POINTS
    assert found.xyz[-1, 0] == 3 * MAX_POINTS - 1


def test_points_come_to_the_page_inside_a_cube() -> None:
    shown = points_of("model/obj", b"v 1e6 0 0\nv 1000100 50 7\nv nan 0 0\n").as_json()
    xyz = np.frombuffer(base64.b64decode(shown["xyz"]), "<f4")
    assert xyz.size == 6
    assert np.abs(xyz).max() == 1


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
        points_of(mime, content)
