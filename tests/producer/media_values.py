"""What the tests of rich values share: a value's blob, and readers of what it wrote that are not ours."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from runstream.media.blob import Blob, Media


class Nested:
    """A tensor without numpy: shape, tolist, and torch's detach and cpu."""

    def __init__(self, nested: Any) -> None:
        self._nested = nested
        self.dtype = "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        shape, level = [], self._nested
        while isinstance(level, list):
            shape.append(len(level))
            level = level[0] if level else None
        return tuple(shape)

    def detach(self) -> Nested:
        return self

    def cpu(self) -> Nested:
        return self

    def tolist(self) -> Any:
        return self._nested


def blob_of(value: Media) -> tuple[Blob, list[str]]:
    """The blob, its bytes read, and the warnings."""
    said: list[str] = []
    blob = value.blob(said.append)
    if isinstance(blob.content, Path):
        blob.content = blob.content.read_bytes()
    elif not isinstance(blob.content, bytes):
        blob.content = b"".join(blob.content)
    return blob, said


def opened(blob: Blob) -> Any:
    """The picture as Pillow reads it, which checks it whole."""
    assert isinstance(blob.content, bytes)
    Pillow.open(io.BytesIO(blob.content)).verify()
    picture = Pillow.open(io.BytesIO(blob.content))
    picture.load()
    return picture
