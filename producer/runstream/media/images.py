"""Pictures."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Mapping
from typing import Any

from runstream.media.arrays import as_array, is_array, is_tensor
from runstream.media.blob import Blob, Media, Part, ValueRefused, Warn, labels_of
from runstream.media.boxes import boxes_of
from runstream.media.pixels import picture_of, with_channels_last
from runstream.media.png import Picture, png
from runstream.media.sniff import EXTENSIONS, image_size, image_type, is_cut_off
from runstream.media.source import content_of, head_of, is_source, tail_of

FORMATS = ("png", "jpeg")


class Image(Media):
    """A picture: a path, bytes, an open file, a PIL image, a matplotlib figure, or an array.

    Arrays are H x W, H x W x C or C x H x W (tensors: C x H x W first) with 1 to 4 channels: uint8, uint16, booleans,
    or floats from 0 to 1. `mode`: how to read the channels, L, LA, RGB, RGBA, BGR (as OpenCV has them) or BGRA.
    `format`: `png`, or `jpeg` of `quality` 1 to 95, which needs Pillow; files stay as they are.

    `boxes`: `{set: boxes}` or a list of boxes, each `{"box": [left, top, right, bottom], "label", "class", "score"}` in
    pixels, or in fractions of the picture where all four are at most 1; wandb's `box_data` is understood. `masks`:
    `{set: H x W array of class numbers}`. `classes`: labels by number. A path or array that cannot be used is left out
    with a warning when it is logged.
    """

    rich_kind = "image"

    def __init__(
        self,
        data: Any,
        *,
        caption: str = "",
        mode: str | None = None,
        boxes: Any = None,
        masks: Mapping[str, Any] | None = None,
        classes: Any = None,
        format: str = "png",
        quality: int = 90,
    ) -> None:
        self.data = data
        self.caption = caption
        self.mode = mode
        self.boxes = boxes
        self.masks = masks
        self.classes = classes
        self.format = format
        self.quality = quality

    def blob(self, warn: Warn) -> Blob:
        """See Media.blob."""
        if self.format not in FORMATS:
            raise ValueRefused(f"format {self.format!r} is none of {', '.join(FORMATS)}")
        blob = self._picture(warn)
        blob.caption = self.caption
        size = (blob.metadata.get("width"), blob.metadata.get("height"))
        classes = labels_of(self.classes)
        if self.boxes is not None:
            blob.metadata["boxes"] = boxes_of(self.boxes, size, classes, warn)
        if self.masks is not None:
            _add_masks(blob, self.masks, classes, warn)
        if classes:
            blob.metadata["classes"] = classes
        return blob

    def _picture(self, warn: Warn) -> Blob:
        data = self.data
        if is_source(data):
            return _from_source(data, warn)
        if callable(getattr(data, "savefig", None)):
            from runstream.media.figures import Figure

            drawn = Figure(data).blob(warn)
            return Blob("image", drawn.mime, drawn.file, drawn.content, metadata=drawn.metadata)
        if _is_pil(data):
            return _from_pil(data, self.mode, self.format, self.quality)
        if not (is_array(data) or isinstance(data, list | tuple)):
            raise ValueRefused(f"{type(data).__name__} is no picture: a path, bytes, a PIL image or an array is")
        array = with_channels_last(as_array(data), first=is_tensor(data), mode=self.mode)
        picture = picture_of(array, warn)
        if self.format == "jpeg":
            made = _jpeg(picture, self.quality, warn)
            if made is not None:
                return made
        return _blob("image/png", png(picture), picture.width, picture.height)


def _blob(mime: str, data: bytes, width: int, height: int) -> Blob:
    return Blob("image", mime, "image" + EXTENSIONS[mime], data, metadata={"width": width, "height": height})


def _from_source(data: Any, warn: Warn) -> Blob:
    content = content_of(data)
    head = head_of(content)
    mime = image_type(head)
    if mime is None:
        raise ValueRefused(
            "it is no PNG, JPEG, GIF, WebP, BMP or SVG by its first bytes. Open it with PIL, or log it as a File"
        )
    size = image_size(head)
    metadata: dict[str, Any] = {"width": size[0], "height": size[1]} if size else {}
    if is_cut_off(mime, tail_of(content)):
        warn("the file ends before its picture does, and is kept as it is. Log it when it is written whole")
        metadata["cut_off"] = True
    return Blob("image", mime, "image" + EXTENSIONS[mime], content, metadata=metadata)


def _is_pil(data: object) -> bool:
    return any(base.__module__.partition(".")[0] == "PIL" for base in type(data).__mro__)


def _from_pil(picture: Any, mode: str | None, file_format: str, quality: int) -> Blob:
    if not picture.width or not picture.height:
        raise ValueRefused(f"a picture of {picture.width} x {picture.height}")
    if mode is not None:
        picture = picture.convert(mode)
    out = io.BytesIO()
    if file_format == "jpeg":
        if picture.mode not in ("L", "RGB", "CMYK"):
            picture = picture.convert("RGB")
        picture.save(out, "JPEG", quality=quality)
    else:
        if picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
            picture = picture.convert("RGBA" if "A" in picture.mode or "a" in picture.mode else "RGB")
        picture.save(out, "PNG", compress_level=3)
    return _blob(f"image/{file_format}", out.getvalue(), picture.width, picture.height)


def _jpeg(picture: Picture, quality: int, warn: Warn) -> Blob | None:
    try:
        from PIL import Image as Pillow
    except ImportError:
        warn("JPEG needs Pillow, which is not installed; it is kept as PNG")
        return None
    if picture.depth == 16:
        raise ValueRefused("16 bits a channel do not fit JPEG. Use format='png', or pass uint8")
    data = picture.data if isinstance(picture.data, bytes) else picture.data.tobytes()
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[picture.channels]
    made = Pillow.frombytes(mode, (picture.width, picture.height), data)
    return _from_pil(made, None, "jpeg", quality)


def _add_masks(blob: Blob, masks: Mapping[str, Any], classes: dict[str, str], warn: Warn) -> None:
    described: dict[str, Any] = {}
    for given_name, given in masks.items():
        name = str(given_name)
        try:
            numbers, labels = given, classes
            if isinstance(given, Mapping):
                numbers = given.get("mask_data")
                labels = labels_of(given.get("class_labels")) or classes
            mask = _mask(numbers, (blob.metadata.get("width"), blob.metadata.get("height")), warn)
        except ValueRefused as refused:
            warn(f"its mask {name!r} is left out: {refused}")
            continue
        assert isinstance(mask.content, bytes)
        described[name] = {"sha256": hashlib.sha256(mask.content).hexdigest(), "classes": labels}
        blob.parts.append(Part(f"masks/{name}", None, mask))
    blob.metadata["masks"] = described


def _mask(numbers: Any, size: tuple[Any, Any], warn: Warn) -> Blob:
    array = as_array(numbers)
    if len(array.shape) == 3 and 1 in (array.shape[0], array.shape[2]):
        array = with_channels_last(array, first=array.shape[0] == 1, mode="L").moved(2, 0, 1).item(0)
    if len(array.shape) != 2 or 0 in array.shape:
        raise ValueRefused(f"shape {array.shape} is no mask: H x W class numbers")
    if array.kind == "f":
        raise ValueRefused("class numbers are integers, these are floats")
    if size[0] and (array.shape[1], array.shape[0]) != size:
        warn(f"a mask of {array.shape[1]} x {array.shape[0]} is stretched over a picture of {size[0]} x {size[1]}")
    flat = array.flat()
    least, most = (
        int(min(flat)) if isinstance(flat, list) else int(flat.min()),
        int(max(flat)) if isinstance(flat, list) else int(flat.max()),
    )
    if least < 0 or most > 0xFFFF:
        raise ValueRefused(f"class numbers from {least} to {most}; 0 to 65535 can be kept")
    height, width = array.shape
    depth = 8 if most < 256 else 16
    if array.by_numpy:
        numpy = sys.modules["numpy"]
        typed = numpy.ascontiguousarray(array.numbers.astype("u1" if depth == 8 else ">u2"))
        data = typed.reshape(-1).view("u1").reshape(height, -1)
    else:
        data = b"".join(int(number).to_bytes(depth // 8, "big") for number in flat)
    return _blob("image/png", png(Picture(width, height, 1, depth, data)), width, height)
