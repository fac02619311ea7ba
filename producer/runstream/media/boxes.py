"""Boxes on a picture, as people give them, in fractions of the picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runstream.media.blob import Warn, labels_of

MAX_BOXES = 1000


def boxes_of(given: Any, size: tuple[Any, Any], classes: dict[str, str], warn: Warn) -> list[dict[str, Any]]:
    """The boxes of all sets, each `{"set", "x", "y", "width", "height", "class", "label", "score"}` in fractions.

    What is no box is left out with a warning, and what comes after MAX_BOXES.
    """
    found: list[dict[str, Any]] = []
    bad, beyond = 0, 0
    for name, box, labels in _each(given, classes):
        if len(found) >= MAX_BOXES:
            beyond += 1
            continue
        made = _box(box, size, labels)
        if made is None:
            bad += 1
        else:
            found.append({"set": name, **made})
    if bad:
        warn(f'{bad} of its boxes are left out: a box is {{"box": [left, top, right, bottom]}} of finite numbers')
    if beyond:
        warn(f"{beyond} of its boxes are left out; a picture may have {MAX_BOXES}")
    return found


def _each(given: Any, classes: dict[str, str]) -> Iterator[tuple[str, Any, dict[str, str]]]:
    sets = given if isinstance(given, Mapping) else {"boxes": given}
    for name, boxes in sets.items():
        labels = classes
        if isinstance(boxes, Mapping):
            labels = labels_of(boxes.get("class_labels")) or classes
            boxes = boxes.get("box_data", ())
        for box in boxes if isinstance(boxes, Sequence) or hasattr(boxes, "__iter__") else (boxes,):
            yield str(name), box, labels


def _box(box: Any, size: tuple[Any, Any], labels: dict[str, str]) -> dict[str, Any] | None:
    fields = box if isinstance(box, Mapping) else {"box": box}
    try:
        corners, in_pixels = _corners(fields)
        left, top, right, bottom = (float(number) for number in corners)
    except (TypeError, ValueError, KeyError):
        return None
    if not all(map(math.isfinite, (left, top, right, bottom))):
        return None
    if in_pixels:
        if not size[0] or not size[1]:
            return None
        left, right, top, bottom = left / size[0], right / size[0], top / size[1], bottom / size[1]
    made: dict[str, Any] = {
        "x": round(min(left, right), 6),
        "y": round(min(top, bottom), 6),
        "width": round(abs(right - left), 6),
        "height": round(abs(bottom - top), 6),
    }
    number = fields.get("class", fields.get("class_id"))
    label = fields.get("label", fields.get("box_caption"))
    score = fields.get("score", _first_number(fields.get("scores")))
    if number is not None:
        made["class"] = str(number)
    if label is not None or number is not None:
        made["label"] = str(label) if label is not None else labels.get(str(number), str(number))
    if score is not None and _finite(score):
        made["score"] = float(score)
    return made


def _corners(fields: Mapping[Any, Any]) -> tuple[Sequence[Any], bool]:
    """Left, top, right, bottom, and whether they are pixels."""
    if "box" in fields:
        corners = [float(number) for number in fields["box"]]
        if len(corners) != 4:
            raise ValueError(len(corners))
        domain = fields.get("domain")
        return corners, domain == "pixel" if domain else max(map(abs, corners)) > 1
    position = fields["position"]
    in_pixels = fields.get("domain") == "pixel"
    if "minX" in position:
        return [position[name] for name in ("minX", "minY", "maxX", "maxY")], in_pixels
    (x, y), width, height = position["middle"], position["width"], position["height"]
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2], in_pixels


def _first_number(scores: object) -> object:
    return next(iter(scores.values()), None) if isinstance(scores, Mapping) else None


def _finite(number: Any) -> bool:
    try:
        return math.isfinite(float(number))
    except (TypeError, ValueError):
        return False
