"""Media as `widgets/media.js` draws them: what each item is to a browser, its boxes and masks, and its facts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runstream_storage.queries.media import MediaItem
from runstream_ui import formats, urls
from runstream_ui.errors import WHY_MISSING
from runstream_ui.palette import RUN_COLOURS
from runstream_ui.shape_files import DRAWN

PLOTLY = "application/vnd.plotly.v1+json"
# Moving pictures that browsers show as pictures.
_PICTURES = frozenset({"image/png", "image/apng", "image/jpeg", "image/gif", "image/webp", "image/bmp"})
_DRAWING = "image/svg+xml"
_MAX_BOXES = 400
_CAPTION = 400
_SCENE_AXIS = {
    "showbackground": False,
    "gridcolor": "rgba(128,128,128,0.45)",
    "linecolor": "rgba(128,128,128,0.6)",
    "zerolinecolor": "rgba(128,128,128,0.7)",
}
# Plotly loads the shapes and tiles of maps from the network, which these pages never do.
_MAPS = {
    *("scattergeo", "choropleth", "choroplethmap", "choroplethmapbox"),
    *("scattermap", "scattermapbox", "densitymap", "densitymapbox"),
}
_GROUND = {"bgcolor": "rgba(0,0,0,0)"}
_ROUND = ("polar", "ternary", "smith")


@dataclass
class Classes:
    """The classes of boxes and masks in one panel, each with the colour it has on every picture of it."""

    labels: dict[str, str] = field(default_factory=dict)

    def key(self, layer: str, number: object, label: str) -> str:
        """The key of a class in a set of boxes or in a mask; the same label is the same class."""
        key = f"{layer}\0{number if number is not None else label}"
        self.labels.setdefault(key, label or (str(number) if number is not None else "box"))
        return key

    def as_json(self) -> list[dict[str, Any]]:
        layers = {key.split("\0")[0] for key in self.labels}
        # A class has one colour in all sets, so that what was predicted and what is true can be told to be alike.
        colours = {label: place for place, label in enumerate(dict.fromkeys(self.labels.values()))}
        return [
            {
                "key": key,
                "label": f"{key.split(chr(0))[0]}: {label}" if len(layers) > 1 else label,
                "colour": RUN_COLOURS[colours[label] % len(RUN_COLOURS)],
                # Painted over, nothing of the picture would keep its colours.
                "off": label.lower() == "background",
            }
            for key, label in self.labels.items()
        ]


def shown_as(item: MediaItem) -> str:
    """How a browser shows it: image, audio, video, html, shape, text, plotly or, for anything else, file."""
    if item.kind == "file":
        return "file"
    if item.mime in _PICTURES or item.mime == _DRAWING:
        return "image"
    if item.mime == PLOTLY:
        return "plotly"
    if item.mime == "text/html":
        return "html"
    if item.mime in DRAWN:
        return "shape"
    for kind in ("audio", "video"):
        if item.mime.startswith(f"{kind}/"):
            return kind
    return "text" if item.kind == "text" else "file"


def item_json(item: MediaItem, classes: Classes, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`extra` is what only the bytes say: `shape` or `text`, or `why` it is offered as a file."""
    extra = extra or {}
    shown = shown_as(item)
    if "why" in extra or shown == "plotly":
        shown = "file"
    name = _file_name(item)
    links = {
        "image": urls.drawing_link if item.mime == _DRAWING else urls.image_link,
        "audio": urls.media_link,
        "video": urls.media_link,
        "html": urls.html_link,
    }
    size = formats.size(item.size)
    cut_off = "its file ends before the picture does" if item.metadata.get("cut_off") else ""
    drawn: dict[str, Any] = {
        "kind": shown,
        "src": links[shown](item.sha256, name) if shown in links else "",
        "download": urls.file_link(item.sha256, name),
        "name": name,
        "label": formats.middle_cut(str(item.metadata.get("name") or name), 60),
        "alt": f"{item.name}, step {formats.count(item.step)}" + (f", {item.index + 1}" if item.index else ""),
        "caption": " · ".join(text for text in (cut_off, formats.middle_cut(item.caption, _CAPTION)) if text),
        "missing": WHY_MISSING[item.state],
        "facts": " · ".join(fact for fact in (item.mime, size, *_facts(item.metadata)) if fact),
        **extra,
    }
    if shown == "image":
        drawn["boxes"] = _boxes(item.metadata, classes)
        drawn["masks"] = _masks(item.metadata, classes)
    return drawn


def plotly_figure(content: bytes) -> dict[str, Any]:
    """A figure that draws without the network. Raises ValueError for what is none, or is a map."""
    figure = json.loads(content)
    if not isinstance(figure, dict) or not isinstance(figure.get("data"), list):
        raise ValueError("not a Plotly figure")  # noqa: TRY004 - it is a file that is wrong, not an argument
    if any(str(trace.get("type", "")) in _MAPS for trace in figure["data"] if isinstance(trace, dict)):
        raise ValueError("maps are drawn with data from the network, which these pages never load")
    layout = figure.get("layout")
    layout = dict(layout) if isinstance(layout, dict) else {}
    pictures = layout.get("images")
    layout["images"] = [
        picture
        for picture in (pictures if isinstance(pictures, list) else [])
        if isinstance(picture, dict) and str(picture.get("source", "")).startswith("data:image/")
    ]
    layout = {name: value for name, value in layout.items() if not name.startswith(("geo", "mapbox", "map"))}
    layout["template"] = _without_walls(layout.get("template"))
    return {"data": [trace for trace in figure["data"] if isinstance(trace, dict)], "layout": layout}


def _without_walls(template: object) -> dict[str, Any]:
    """A figure's template with scenes and round plots that fit a light and a dark page: the pages colour all else by
    their theme, and Plotly's own templates paint these in white or near it. What a figure itself says stays."""
    made = dict(template) if isinstance(template, dict) else {}
    of_layout = made.get("layout")
    layout = dict(of_layout) if isinstance(of_layout, dict) else {}
    given = layout.get("scene")
    scene = dict(given) if isinstance(given, dict) else {}
    for name in ("xaxis", "yaxis", "zaxis"):
        axis = scene.get(name)
        scene[name] = (dict(axis) if isinstance(axis, dict) else {}) | _SCENE_AXIS
    for name in _ROUND:
        plot = layout.get(name)
        layout[name] = (dict(plot) if isinstance(plot, dict) else {}) | _GROUND
    return made | {"layout": layout | {"scene": scene | _GROUND}}


def top_level(names: Sequence[str], tables: Sequence[str]) -> list[str]:
    """Names that somebody logged: without masks of images and cells of tables, which have rows of their own."""
    known = set(names)
    return [
        name
        for name in names
        if not (name.partition("/masks/")[1] and name.partition("/masks/")[0] in known)
        and not any(name.startswith(f"{table}/") for table in tables)
    ]


def _boxes(metadata: Mapping[str, Any], classes: Classes) -> list[dict[str, Any]]:
    labels = _labels(metadata.get("classes"))
    drawn: list[dict[str, Any]] = []
    given = metadata.get("boxes")
    layers: dict[str, int] = {}
    for box in (given if isinstance(given, list) else [])[:_MAX_BOXES]:
        if not isinstance(box, dict) or not all(_is_number(box.get(name)) for name in ("x", "y", "width", "height")):
            continue
        number = box.get("class")
        label = str(box.get("label") or labels.get(str(number), "") or "")
        score = f" {formats.number(float(box['score']), 2)}" if _is_number(box.get("score")) else ""
        layer = str(box.get("set") or "boxes")
        key = classes.key(layer, number, labels.get(str(number), label))
        drawn.append(
            {
                "key": key,
                "label": f"{formats.middle_cut(label or classes.labels[key], 40)}{score}",
                # A class has one colour in all sets; the sets differ in their lines.
                "dashed": layers.setdefault(layer, len(layers)) > 0,
                **{name: float(box[name]) for name in ("x", "y", "width", "height")},
            }
        )
    return drawn


def _masks(metadata: Mapping[str, Any], classes: Classes) -> list[dict[str, Any]]:
    given = metadata.get("masks")
    drawn = []
    for layer, mask in (given if isinstance(given, dict) else {}).items():
        if not isinstance(mask, dict) or not isinstance(mask.get("sha256"), str):
            continue
        labels = _labels(mask.get("classes")) or _labels(metadata.get("classes"))
        keys = {number: classes.key(layer, number, label) for number, label in labels.items() if number.isdigit()}
        # The pixels are read by the page, which a store of another origin would not let it do.
        drawn.append({"src": f"{urls.image_link(mask['sha256'], 'mask.png')}?through=1", "classes": keys})
    return drawn


def _labels(classes: object) -> dict[str, str]:
    return {str(number): str(label) for number, label in classes.items()} if isinstance(classes, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _facts(metadata: Mapping[str, Any]) -> list[str]:
    width, height, rate, seconds = (metadata.get(name) for name in ("width", "height", "sample_rate", "duration_s"))
    points = metadata.get("points")
    return [
        f"{width} × {height}" if isinstance(width, int) and isinstance(height, int) else "",
        f"{rate} Hz" if isinstance(rate, int) else "",
        formats.duration(float(seconds)) if isinstance(seconds, int | float) else "",
        formats.plural(points, "point") if isinstance(points, int) else "",
    ]


def _file_name(item: MediaItem) -> str:
    """What a download is called: the logged name, step and place, with the extension of its type."""
    given = item.metadata.get("name")
    if isinstance(given, str) and given:
        return given.replace("\\", "/").rsplit("/", 1)[-1] or "file"
    stem = item.name.replace("/", "-").replace("\\", "-")
    return f"{stem}-{item.step}{f'-{item.index}' if item.index else ''}.{_EXTENSIONS.get(item.mime, 'bin')}"


_EXTENSIONS = {
    "image/png": "png",
    "image/apng": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/bmp": "bmp",
    "image/svg+xml": "svg",
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/ogg": "ogv",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    PLOTLY: "json",
    "model/ply": "ply",
    "model/obj": "obj",
    "model/stl": "stl",
    "model/gltf-binary": "glb",
    "model/gltf+json": "gltf",
    "application/vnd.runstream.table+jsonl": "jsonl",
}
