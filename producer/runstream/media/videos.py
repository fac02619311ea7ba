"""Moving pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from runstream.media.arrays import Array, as_array, is_array
from runstream.media.blob import Blob, Media, ValueRefused, Warn
from runstream.media.pixels import CHANNELS, MAX_SIDE, picture_of
from runstream.media.png import Picture, apng
from runstream.media.sniff import EXTENSIONS, image_size, video_type
from runstream.media.source import content_of, head_of, is_source

MAX_FRAMES = 10_000


class Video(Media):
    """Moving pictures: a path, bytes or an open file of MP4, WebM, OGG, GIF, APNG or WebP, or an array.

    Arrays are T x C x H x W, T x H x W x C or T x H x W, with numbers as in Image, shown `fps` a second; they are kept
    without loss as animated PNG, which every browser plays and which needs no encoder. For minutes of video log an MP4.
    """

    rich_kind = "video"

    def __init__(self, data: Any, *, fps: float = 8, caption: str = "") -> None:
        self.data = data
        self.fps = fps
        self.caption = caption

    def blob(self, warn: Warn) -> Blob:
        """See Media.blob."""
        blob = _from_source(self.data) if is_source(self.data) else _from_frames(self.data, self.fps, warn)
        blob.caption = self.caption
        return blob


def _from_source(data: Any) -> Blob:
    content = content_of(data)
    head = head_of(content)
    mime = video_type(head)
    if mime is None:
        raise ValueRefused("it is no MP4, WebM, OGG, GIF, APNG or WebP by its first bytes. Convert it to MP4")
    size = image_size(head)
    metadata = {"width": size[0], "height": size[1]} if size else {}
    return Blob("video", mime, "video" + EXTENSIONS[mime], content, metadata=metadata)


def _from_frames(data: Any, given_fps: Any, warn: Warn) -> Blob:
    if not (is_array(data) or isinstance(data, list | tuple)):
        raise ValueRefused(f"{type(data).__name__} is no video: a path, bytes or an array is")
    try:
        fps = float(given_fps)
    except (TypeError, ValueError):
        fps = math.nan
    if not 0.001 <= fps <= 1000:
        raise ValueRefused(f"fps={given_fps!r}; 0.001 to 1000 frames a second can be shown")
    array = _channels_last(as_array(data))
    frames, height, width, _ = array.shape
    said: set[str] = set()

    def once(text: str) -> None:  # not for each frame
        kind = text.rsplit(";", 1)[-1].rsplit("are", 1)[-1]
        if kind not in said:
            said.add(kind)
            warn(text)

    def pictures() -> Iterator[Picture]:
        for place in range(frames):
            yield picture_of(array.item(place), once)

    metadata = {"width": width, "height": height, "frames": frames, "fps": fps, "duration_s": round(frames / fps, 6)}
    return Blob("video", "image/apng", "video.png", apng(pictures(), frames, fps), metadata=metadata)


def _channels_last(array: Array) -> Array:
    shape = array.shape
    if len(shape) == 3:
        numbers = array.numbers.reshape((*shape, 1)) if array.by_numpy else array.numbers
        array = Array((*shape, 1), array.kind, array.bytes_each, numbers)
    elif len(shape) != 4:
        raise ValueRefused(f"shape {shape} is no video: T x C x H x W, T x H x W x C or T x H x W")
    elif shape[1] in CHANNELS:
        array = array.moved(0, 2, 3, 1)
    elif shape[3] not in CHANNELS:
        raise ValueRefused(f"shape {shape} has 1 to 4 channels neither second nor last")
    frames, height, width, _ = array.shape
    if not 0 < frames <= MAX_FRAMES or not 0 < height <= MAX_SIDE or not 0 < width <= MAX_SIDE:
        raise ValueRefused(
            f"{frames} frames of {width} x {height}; 1 to {MAX_FRAMES} frames of at most {MAX_SIDE} a side can be kept"
        )
    return array
