"""What a file is by its first bytes, and how large the picture in it is."""

from __future__ import annotations

import struct

HEAD_BYTES = 64 << 10
TAIL_BYTES = 1024
"""Of a JPEG, the size comes after its previews and profiles."""


def image_type(head: bytes) -> str | None:
    """The media type of a picture; None for anything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/apng" if b"acTL" in head[:200] else "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"BM") and len(head) > 26 and head[6:10] == bytes(4):
        return "image/bmp"
    text = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<") and b"<svg" in text:
        return "image/svg+xml"
    return None


def is_cut_off(mime: str, tail: bytes) -> bool:
    """Whether a PNG, JPEG or GIF ends before its picture does, by its last bytes: others do not tell."""
    if mime in ("image/png", "image/apng"):
        return b"IEND" not in tail
    if mime == "image/jpeg":
        return b"\xff\xd9" not in tail
    return mime == "image/gif" and not tail.rstrip(b"\0").endswith(b";")


def image_size(head: bytes) -> tuple[int, int] | None:
    """Width and height in pixels; None where they cannot be told."""
    try:
        match image_type(head):
            case "image/png" | "image/apng":
                return struct.unpack(">II", head[16:24])
            case "image/gif":
                return struct.unpack("<HH", head[6:10])
            case "image/bmp":
                width, height = struct.unpack("<ii", head[18:26])
                return width, abs(height)
            case "image/jpeg":
                return _jpeg_size(head)
            case "image/webp":
                return _webp_size(head)
    except struct.error:
        pass
    return None


def sound_type(head: bytes) -> str | None:
    """The media type of sound; None for anything else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if head.startswith(b"OggS"):
        return "audio/ogg"
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "audio/mpeg"
    if head[4:8] == b"ftyp":
        return "audio/mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "audio/webm"
    return None


def video_type(head: bytes) -> str | None:
    """The media type of moving pictures; None for anything else."""
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm"
    if head.startswith(b"OggS"):
        return "video/ogg"
    found = image_type(head)
    return found if found in ("image/gif", "image/apng", "image/webp") else None


def object_type(head: bytes) -> str | None:
    """The media type of an object in space that says what it is; None for others, Wavefront OBJ among them."""
    if head.startswith(b"glTF"):
        return "model/gltf-binary"
    if head.startswith(b"ply"):
        return "model/ply"
    if head[:6].lower() == b"solid ":
        return "model/stl"
    return None


EXTENSIONS = {
    "image/png": ".png",
    "image/apng": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/bmp": ".bmp",
    "image/svg+xml": ".svg",
    "audio/wav": ".wav",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/webm": ".webm",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "video/ogg": ".ogv",
    "model/gltf-binary": ".glb",
    "model/gltf+json": ".gltf",
    "model/obj": ".obj",
    "model/stl": ".stl",
    "model/ply": ".ply",
}


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 + struct.unpack(">H", head[at + 2 : at + 4])[0]
    return None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    form = head[12:16]
    if form == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if form == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if form == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None
