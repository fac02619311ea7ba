"""Whether the bytes of a picture are all there. A browser draws a blank box of what it cannot read, without a word.

The structure is walked, nothing is decoded: the chunks and checksums of a PNG (RFC 2083), the end marks of JPEG and
GIF, the length that WebP and BMP tell.
"""

from __future__ import annotations

import zlib

from runstream_ui.file_types import image_type

_PNG_HEAD = 8
_TORN = "it ends before the picture does"


def flaw(content: bytes) -> str:
    """What is wrong with a picture; empty when nothing is."""
    kind = image_type(content[:12])
    if kind is None:
        return "its bytes are no picture that browsers show"
    if kind == "image/png":
        return _png_flaw(content)
    if kind == "image/jpeg":
        return "" if b"\xff\xd9" in content[-1024:] else _TORN
    if kind == "image/gif":
        return "" if content.rstrip(b"\0").endswith(b";") else _TORN
    told = (
        int.from_bytes(content[4:8], "little") + 8 if kind == "image/webp" else int.from_bytes(content[2:6], "little")
    )
    return _TORN if len(content) < told else ""


def _png_flaw(content: bytes) -> str:
    at, pixels = _PNG_HEAD, False
    while at + 12 <= len(content):
        length, name = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        end = at + 8 + length
        if end + 4 > len(content):
            return _TORN
        if zlib.crc32(content[at + 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
            return "a checksum in it is wrong: its bytes were changed"
        if name == b"IEND":
            return "" if pixels else "it has no pixels"
        pixels = pixels or name == b"IDAT"
        at = end + 4
    return _TORN
