from __future__ import annotations

import pytest

from runstream_ui.pictures import flaw
from ui.values_data import png

PICTURES = {
    "png": png(5, 4, lambda x, y: x * y),
    "jpeg": b"\xff\xd8\xff\xe0" + bytes(40) + b"\xff\xd9",
    "gif": b"GIF89a" + bytes(40) + b";",
    "webp": b"RIFF" + (40).to_bytes(4, "little") + b"WEBP" + bytes(36),
    "bmp": b"BM" + (60).to_bytes(4, "little") + bytes(54),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_whole_picture_has_no_flaw_and_a_torn_one_has(kind: str) -> None:
    picture = PICTURES[kind]
    assert flaw(picture) == ""
    for length in range(12, len(picture)):
        assert flaw(picture[:length]) == "it ends before the picture does", length


def test_a_changed_byte_and_a_picture_without_pixels_are_told() -> None:
    picture = bytearray(PICTURES["png"])
    picture[45] ^= 1
    assert "checksum" in flaw(bytes(picture))
    assert flaw(PICTURES["png"][:33] + PICTURES["png"][-12:]) == "it has no pixels"
    assert "no picture" in flaw(b"not a picture")
