"""Text, Html, File, Figure and Object3D."""

import io
import json
import math
import struct
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.figure import Figure as Drawing

from producer.media_values import Nested, blob_of, opened
from runstream import Figure, File, Html, Image, Object3D, Text
from runstream.media import objects3d
from runstream.media.blob import ValueRefused
from runstream.media.figures import PLOTLY_MIME

mpl.use("Agg")


def drawing() -> Drawing:
    figure = Drawing(figsize=(3, 2))
    figure.subplots().plot([1, 2, 3])
    return figure


# Text


def test_a_text_is_clean_when_it_leaves() -> None:
    said: list[str] = []
    assert Text("a\0b\ud800 ü").clean(said.append) == "a�b? ü"
    assert "hunter22" not in Text("https://me:hunter22@host/").clean(said.append)
    assert Text(3.5).clean(said.append) == "3.5"
    assert said == []


# Html and File


def test_html_comes_from_text_paths_and_files(tmp_path: Path) -> None:
    page = "<p>schön</p>"
    path = tmp_path / "page.html"
    path.write_text(page)
    for value in (page, path, str(path), page.encode(), io.StringIO(page), io.BytesIO(page.encode())):
        blob, _ = blob_of(Html(value, caption="c"))
        assert (blob.content, blob.mime, blob.caption) == (page.encode(), "text/html", "c")
    assert blob_of(Html("just words"))[0].content == b"just words"


@pytest.mark.parametrize("value", ["", b"", None, 3, "/nowhere/page.html", "\0.html"])
def test_what_is_no_html_is_refused(value: Any) -> None:
    with pytest.raises(ValueRefused):
        blob_of(Html(value))


def test_a_file_keeps_its_name_and_type(tmp_path: Path) -> None:
    path = tmp_path / "größe 1.csv"
    path.write_bytes(b"a,b\n")
    blob, _ = blob_of(File(path))
    assert (blob.content, blob.mime, blob.metadata, blob.file) == (
        b"a,b\n",
        "text/csv",
        {"name": "größe 1.csv"},
        "file.csv",
    )
    blob, _ = blob_of(File(b"", name="../../etc/passwd\n"))
    assert (blob.content, blob.metadata) == (b"", {"name": "....etcpasswd"})
    assert blob_of(File(io.BytesIO(b"x"), mime="a/b"))[0].mime == "a/b"


@pytest.mark.parametrize("value", ["/nowhere", None, 3, Path("/proc"), "\ud800"])
def test_what_is_no_file_is_refused(value: Any) -> None:
    with pytest.raises(ValueRefused):
        blob_of(File(value))


# Figure


def test_a_matplotlib_figure_is_drawn() -> None:
    blob, _ = blob_of(Figure(drawing(), dpi=50))
    assert opened(blob).size == (blob.metadata["width"], blob.metadata["height"])
    assert (blob.kind, blob.mime, blob.metadata["library"]) == ("figure", "image/png", "matplotlib")
    svg, _ = blob_of(Figure(drawing(), format="svg"))
    assert isinstance(svg.content, bytes)
    assert b"<svg" in svg.content
    assert svg.mime == "image/svg+xml"


def test_the_same_drawing_is_the_same_bytes() -> None:
    for file_format in ("png", "svg"):
        first, second = (blob_of(Figure(drawing(), format=file_format))[0].content for _ in range(2))
        assert first == second


def test_pyplot_and_a_closed_figure_can_be_logged() -> None:
    from matplotlib import pyplot

    figure = pyplot.figure()
    figure.subplots().plot([1, 2])
    assert blob_of(Figure(pyplot))[0].mime == "image/png"
    pyplot.close(figure)
    assert blob_of(Figure(figure))[0].mime == "image/png"
    assert blob_of(Image(figure))[0].kind == "image"


def test_a_plotly_figure_is_its_json_or_a_page_that_needs_no_network() -> None:
    figure = go.Figure(go.Scatter(x=[1, 2], y=np.array([3.0, np.nan])))
    blob, _ = blob_of(Figure(figure))
    assert isinstance(blob.content, bytes)
    assert json.loads(blob.content)["data"][0]["type"] == "scatter"
    assert blob.mime == PLOTLY_MIME
    page, _ = blob_of(Figure(figure, format="html"))
    assert isinstance(page.content, bytes)
    assert b"<script src=" not in page.content
    assert b"Plotly.newPlot" in page.content


@pytest.mark.parametrize(("value", "arguments"), [(None, {}), ("x", {}), (drawing(), {"format": "json"})])
def test_what_is_no_figure_is_refused(value: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueRefused):
        blob_of(Figure(value, **arguments))


# Object3D


def vertices(content: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Properties and vertices of a binary little-endian PLY file."""
    header, _, body = content.partition(b"end_header\n")
    lines = header.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    count = int(lines[2].split()[-1])
    kinds = {"float": "f", "uchar": "B", "int": "i"}
    properties = [line.split()[1:] for line in lines[3:]]
    record = struct.Struct("<" + "".join(kinds[kind] for kind, _ in properties))
    assert len(body) == count * record.size
    return [name for _, name in properties], list(record.iter_unpack(body))


POINTS = {
    3: [[0.0, 1.0, 2.0], [3.5, -4.0, 5.0]],
    4: [[0.0, 1.0, 2.0, 7], [3.5, -4.0, 5.0, 300]],
    6: [[0.0, 1.0, 2.0, 255, 0, 10], [3.5, -4.0, 5.0, 300, -1, 1.9]],
}


@pytest.mark.parametrize("width", [3, 4, 6])
def test_points_are_a_ply_file_by_numpy_and_by_hand(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = POINTS[width]
    by_numpy, _ = blob_of(Object3D(np.array(given)))
    monkeypatch.delitem(sys.modules, "numpy")
    by_hand, _ = blob_of(Object3D(Nested(given)))
    monkeypatch.undo()
    assert by_hand.content == by_numpy.content
    names, found = vertices(by_numpy.content)
    assert names[3:] == {3: [], 4: ["class"], 6: ["red", "green", "blue"]}[width]
    assert [row[:3] for row in found] == [(0, 1, 2), (3.5, -4, 5)]
    assert found[1][3:] == {3: (), 4: (300,), 6: (255, 0, 1)}[width]
    assert (by_numpy.metadata["points"], by_numpy.metadata["low"]) == (2, [0, -4, 2])
    assert by_numpy.metadata["high"] == by_hand.metadata["high"] == [3.5, 1, 5]


def test_points_that_are_not_finite_are_left_out_with_a_warning() -> None:
    blob, said = blob_of(Object3D(np.array([[0, 0, 0], [np.nan, 0, 0], [0, np.inf, 0]])))
    assert blob.metadata["points"] == 1
    assert "2 of its points" in said[0]


def test_a_cloud_beyond_the_limit_is_thinned_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects3d, "MAX_POINTS", 10)
    blob, said = blob_of(Object3D(np.arange(75).reshape(25, 3)))
    assert len(vertices(blob.content)[1]) == blob.metadata["points"] == 9
    assert "one of 3 of its 25 points" in said[0]


@pytest.mark.parametrize(
    ("name", "data", "mime"),
    [
        ("a.glb", b"glTF....", "model/gltf-binary"),
        ("a.GLTF", b"{}", "model/gltf+json"),
        ("a.obj", b"v 0 0 0", "model/obj"),
        ("a.stl", b"solid x", "model/stl"),
        ("b.stl", b"\0" * 84, "model/stl"),
        ("a.ply", b"ply\n", "model/ply"),
    ],
)
def test_a_file_of_an_object_stays_as_it_is(tmp_path: Path, name: str, data: bytes, mime: str) -> None:
    (tmp_path / name).write_bytes(data)
    blob, _ = blob_of(Object3D(tmp_path / name))
    assert (blob.content, blob.mime) == (data, mime)
    assert blob_of(Object3D(data, file_type=name[-4:].strip(".")))[0].mime == mime


SQUARE = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
TRIANGLES = [[0, 1, 2], [0, 2, 3]]


def test_points_with_faces_are_a_surface_by_numpy_and_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    by_numpy, _ = blob_of(Object3D(np.array(SQUARE), faces=np.array(TRIANGLES)))
    monkeypatch.delitem(sys.modules, "numpy")
    by_hand, _ = blob_of(Object3D(SQUARE, faces=TRIANGLES))
    monkeypatch.undo()
    assert by_hand.content == by_numpy.content
    header, _, body = bytes(by_numpy.content).partition(b"end_header\n")
    assert header.endswith(b"element face 2\nproperty list uchar int vertex_indices\n")
    assert body[4 * 12 :] == struct.pack("<B3iB3i", 3, 0, 1, 2, 3, 0, 2, 3)
    assert (by_numpy.metadata["points"], by_numpy.metadata["faces"]) == (4, 2)


def test_a_mesh_of_another_library_is_kept_as_a_surface() -> None:
    class Mesh:
        vertices, triangles = np.array(SQUARE), np.array(TRIANGLES, np.uint32)

    class Trimesh:
        __module__ = "trimesh.base"

        def export(self, file_type: str) -> bytes:
            return b"glTF" + file_type.encode()

    surface, _ = blob_of(Object3D(Mesh()))
    exported, _ = blob_of(Object3D(Trimesh()))
    assert (surface.mime, surface.metadata["faces"]) == ("model/ply", 2)
    assert (exported.mime, exported.content) == ("model/gltf-binary", b"glTFglb")


@pytest.mark.parametrize(
    ("points", "faces", "said"),
    [
        (SQUARE, [[0, 1, 4]], "names the point 4; there are 4"),
        (SQUARE, [[0, 1, -1]], "names the point -1"),
        (SQUARE, [[0, 1, 2, 3]], "no triangles"),
        (SQUARE, [[0.0, 1.0, 2.0]], "no triangles"),
        ([*SQUARE[:3], [0.0, math.nan, 0.0]], TRIANGLES, "not finite"),
        (b"solid x", TRIANGLES, "faces= belongs to points"),
    ],
)
def test_faces_that_make_no_surface_are_refused(points: Any, faces: Any, said: str) -> None:
    for of_faces in (faces, np.array(faces)):
        with pytest.raises(ValueRefused, match=said):
            blob_of(Object3D(points, faces=of_faces))


@pytest.mark.parametrize(
    "value", [np.zeros((0, 3)), np.zeros((4, 5)), np.zeros(3), [], None, b"v 0", "/no.obj", [[np.nan] * 3]]
)
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(ValueRefused):
        blob_of(Object3D(value))
