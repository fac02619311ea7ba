"""Media as the page draws them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from runstream_storage.queries.media import MediaItem, MediaKind, MediaState
from runstream_ui.media_items import PLOTLY, Classes, item_json, plotly_figure, shown_as, top_level

HOSTILE = '<img src=x onerror="window.hacked=1">'
SHA = "ab" * 32


def _item(mime: str, kind: MediaKind = "image", name: str = "val/x", **metadata: Any) -> MediaItem:
    return MediaItem("r", name, 0, 1200, 0, datetime.now(UTC), kind, SHA, 2048, mime, HOSTILE, metadata, "stored")


@pytest.mark.parametrize(
    ("mime", "kind", "expected"),
    [
        ("image/png", "image", "image"),
        ("image/apng", "video", "image"),
        ("video/mp4", "video", "video"),
        ("audio/wav", "audio", "audio"),
        ("text/html", "html", "html"),
        ("image/svg+xml", "figure", "image"),
        (PLOTLY, "figure", "plotly"),
        ("model/ply", "object3d", "shape"),
        ("model/gltf-binary", "object3d", "shape"),
        ("text/plain", "text", "text"),
        ("text/html", "file", "file"),
        ("image/png", "file", "file"),
        ("application/x-msdownload", "image", "file"),
        ("", "image", "file"),
    ],
)
def test_a_value_is_shown_as_its_type_allows_else_offered_as_a_file(mime: str, kind: MediaKind, expected: str) -> None:
    assert shown_as(_item(mime, kind)) == expected


@pytest.mark.parametrize(("state", "said"), [("pending", "on their way"), ("lost", "are lost"), ("stored", "")])
def test_it_is_said_why_bytes_are_not_there(state: MediaState, said: str) -> None:
    missing = item_json(replace(_item("image/png"), state=state), Classes())["missing"]
    assert said in missing
    assert bool(said) == bool(missing)


def test_a_picture_that_was_cut_off_says_so_before_its_caption() -> None:
    drawn = item_json(replace(_item("image/png", cut_off=True), caption="epoch 1"), Classes())
    assert drawn["caption"] == "its file ends before the picture does · epoch 1"


def test_every_address_is_on_this_server_whatever_the_name() -> None:
    drawn = item_json(_item("image/png", name='../../x"onload=y?#%'), Classes())
    assert drawn["src"].startswith(f"images/{SHA}/")
    assert drawn["download"].startswith(f"files/{SHA}/")
    assert not set('"<>?#') & set(drawn["src"] + drawn["download"])
    assert ".." not in drawn["src"].split("/")


def test_an_svg_never_goes_where_pictures_go() -> None:
    assert item_json(_item("image/svg+xml", "figure"), Classes())["src"].startswith("drawings/")


def test_boxes_of_one_class_share_a_colour_and_sets_differ_in_their_lines() -> None:
    boxes = [
        {"set": "predictions", "x": 0.1, "y": 0.1, "width": 0.2, "height": 0.3, "class": 1, "score": 0.91},
        {"set": "truth", "x": 0.2, "y": 0.1, "width": 0.2, "height": 0.3, "class": 1},
    ]
    classes = Classes()
    drawn = item_json(_item("image/png", boxes=boxes, classes={"1": "cat"}), classes)
    assert [box["label"] for box in drawn["boxes"]] == ["cat 0.91", "cat"]
    assert [box["dashed"] for box in drawn["boxes"]] == [False, True]
    legend = classes.as_json()
    assert [entry["label"] for entry in legend] == ["predictions: cat", "truth: cat"]
    assert legend[0]["colour"] == legend[1]["colour"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"boxes": "nonsense", "masks": [1]},
        {
            "boxes": [
                None,
                3,
                {},
                {"x": "a", "y": 0, "width": 0, "height": 0},
                {"x": True, "y": 0, "width": 1, "height": 1},
            ]
        },
        {"masks": {"m": {"sha256": 7}, "n": "x", "o": {"sha256": SHA, "classes": [1]}}, "classes": 3},
    ],
)
def test_what_is_no_box_and_no_mask_is_left_out(metadata: dict[str, Any]) -> None:
    drawn = item_json(_item("image/png", **metadata), Classes())
    assert drawn["boxes"] == []
    json.dumps(drawn)


def test_a_mask_comes_through_the_pages_so_that_its_pixels_can_be_read() -> None:
    classes = Classes()
    drawn = item_json(_item("image/png", masks={"m": {"sha256": SHA, "classes": {"0": "sky", "x": "y"}}}), classes)
    assert drawn["masks"] == [{"src": f"images/{SHA}/mask.png?through=1", "classes": {"0": "m\x000"}}]


def test_a_figure_loads_nothing_from_elsewhere() -> None:
    figure = {
        "data": [{"type": "scatter", "y": [1, 2]}],
        "layout": {"images": [{"source": "http://evil/x.png"}, {"source": "data:image/png;base64,x"}], "geo": {}},
    }
    drawn = plotly_figure(json.dumps(figure).encode())
    assert [picture["source"] for picture in drawn["layout"]["images"]] == ["data:image/png;base64,x"]
    assert "geo" not in drawn["layout"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"data": 3}',
        b"\xff\xfe",
        json.dumps({"data": [{"type": "scattergeo"}]}).encode(),
        json.dumps({"data": [{"type": "choroplethmap"}]}).encode(),
    ],
)
def test_what_is_no_figure_or_needs_the_network_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        plotly_figure(content)


def test_masks_and_cells_of_tables_are_not_listed_beside_what_was_logged() -> None:
    names = ["seg", "seg/masks/truth", "table/picture", "masks/own", "other"]
    assert top_level(names, ["table"]) == ["seg", "masks/own", "other"]


def test_the_scene_of_a_figure_has_no_white_walls_in_the_dark_unless_it_asks_for_them() -> None:
    white = {"backgroundcolor": "#E5ECF6", "gridcolor": "white", "showbackground": True}
    figure = {
        "data": [{"type": "surface", "z": [[1, 2], [3, 4]]}],
        "layout": {
            "scene": {"zaxis": {"showbackground": True}},
            "template": {"layout": {"scene": {"xaxis": white}, "colorway": ["red"]}},
        },
    }
    layout = plotly_figure(json.dumps(figure).encode())["layout"]
    assert layout["template"]["layout"]["scene"]["xaxis"]["showbackground"] is False
    assert layout["template"]["layout"]["colorway"] == ["red"]
    assert layout["scene"] == {"zaxis": {"showbackground": True}}


@pytest.mark.parametrize(
    "template", [None, [], {"layout": 3}, {"layout": {"scene": []}}, {"layout": {"scene": {"xaxis": 1}}}]
)
def test_a_template_that_is_none_does_not_break_a_figure(template: object) -> None:
    drawn = plotly_figure(json.dumps({"data": [], "layout": {"template": template}}).encode())
    assert "scene" in drawn["layout"]["template"]["layout"]


@pytest.mark.parametrize("kind", ["heatmap", "treemap", "contour", "histogram2dcontour", "icicle"])
def test_what_is_no_map_is_drawn_though_its_name_sounds_like_one(kind: str) -> None:
    figure = {"data": [{"type": kind, "z": [[1, 2], [3, 4]]}]}
    assert plotly_figure(json.dumps(figure).encode())["data"] == figure["data"]


@pytest.mark.parametrize("kind", ["choropleth", "scattergeo", "scattermap", "densitymapbox", "choroplethmapbox"])
def test_a_map_is_not_drawn(kind: str) -> None:
    with pytest.raises(ValueError, match="network"):
        plotly_figure(json.dumps({"data": [{"type": kind}]}).encode())


def test_round_plots_have_no_white_ground_unless_they_ask_for_it() -> None:
    figure = {"data": [], "layout": {"polar": {"bgcolor": "red"}, "template": {"layout": {"polar": {"hole": 0.1}}}}}
    layout = plotly_figure(json.dumps(figure).encode())["layout"]
    assert layout["template"]["layout"]["polar"] == {"hole": 0.1, "bgcolor": "rgba(0,0,0,0)"}
    assert layout["template"]["layout"]["ternary"]["bgcolor"] == "rgba(0,0,0,0)"
    assert layout["polar"] == {"bgcolor": "red"}
