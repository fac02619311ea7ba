"""What the client writes is what the pages read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runstream
from runstream_storage.queries.media import MediaItem
from runstream_ui import file_types, logged_tables
from runstream_ui.media_items import Classes, item_json, plotly_figure, shown_as
from runstream_ui.shape_files import shape_of

PHOTO = np.random.default_rng(0).random((24, 32, 3))


def _blob(value: Any) -> tuple[Any, bytes]:
    blob = value.blob(lambda text: pytest.fail(text))
    content = blob.content
    if isinstance(content, Path):
        return blob, content.read_bytes()
    return blob, content if isinstance(content, bytes) else b"".join(content)


def _item(blob: Any, content: bytes) -> MediaItem:
    return MediaItem(
        "r",
        "x",
        0,
        1,
        0,
        datetime.now(UTC),
        blob.kind,
        "0" * 64,
        len(content),
        blob.mime,
        blob.caption,
        blob.metadata,
        "stored",
    )


def test_boxes_and_masks_of_an_image_are_drawn() -> None:
    mask = np.zeros((24, 32), int)
    mask[4:9, 3:20] = 1
    image = runstream.Image(
        PHOTO,
        boxes={"predicted": [{"box": [8, 6, 24, 18], "class": 1, "score": 0.9}]},
        masks={"truth": mask},
        classes={0: "background", 1: "cat"},
    )
    blob, content = _blob(image)
    classes = Classes()
    drawn = item_json(_item(blob, content), classes)
    assert drawn["kind"] == "image"
    assert drawn["boxes"][0] | {"key": ""} == {
        "key": "", "label": "cat 0.90", "dashed": False, "x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5,
    }  # fmt: skip
    assert [entry["label"] for entry in classes.as_json()] == ["predicted: cat", "truth: background", "truth: cat"]
    assert len(drawn["masks"]) == 1
    assert file_types.image_type(content) == "image/png"


def test_a_table_with_pictures_and_odd_numbers_is_read() -> None:
    table = runstream.Table(["id", "picture", "score"], [[1, runstream.Image(PHOTO), float("nan")], [2, None, 0.5]])
    _, content = _blob(table)
    found = logged_tables.read(content)
    assert found.names == ["id", "picture", "score"]
    assert logged_tables.is_media(found.rows[0][1])
    assert np.isnan(found.rows[0][2])
    assert found.rows[1] == (2, None, 0.5)


@pytest.mark.parametrize("width", [3, 4, 6])
def test_a_point_cloud_is_drawn(width: int) -> None:
    points = np.abs(np.random.default_rng(0).normal(size=(50, width))).round(2)
    points[:, 3:] = 7
    blob, content = _blob(runstream.Object3D(points))
    assert shown_as(_item(blob, content)) == "shape"
    found = shape_of(blob.mime, content)
    assert len(found.xyz) == 50
    assert (found.rgb is not None) == (width > 3)


def test_sound_and_moving_pictures_are_played_as_what_they_are() -> None:
    audio, content = _blob(runstream.Audio(np.sin(np.arange(800) / 9), sample_rate=8000))
    assert file_types.playable_type(content) == audio.mime == "audio/wav"
    video, content = _blob(runstream.Video(np.random.default_rng(0).random((4, 3, 8, 8)), fps=8))
    assert shown_as(_item(video, content)) == "image"
    assert file_types.image_type(content) == "image/png"


def test_a_plotly_figure_is_drawn() -> None:
    import plotly.graph_objects as go

    blob, content = _blob(runstream.Figure(go.Figure(go.Scatter(y=[1, 3, 2]))))
    assert shown_as(_item(blob, content)) == "plotly"
    assert plotly_figure(content)["data"][0]["type"] == "scatter"


def test_html_is_shown_in_its_frame_and_a_file_is_only_offered() -> None:
    assert shown_as(_item(*_blob(runstream.Html("<b>bold</b>")))) == "html"
    assert shown_as(_item(*_blob(runstream.File(b"<b>bold</b>", name="page.html")))) == "file"
