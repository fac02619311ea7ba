"""What a file is by its first bytes: the types that a browser may be told of.

What somebody logged is shown as what its bytes are, never as what its name or its event says.
"""

from __future__ import annotations

HEAD_BYTES = 64
_EBML = b"\x1a\x45\xdf\xa3"


def image_type(head: bytes) -> str | None:
    """The media type of a picture by its first 12 bytes; None for anything else, SVG included: it may hold scripts."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "image/bmp"
    return None


def playable_type(head: bytes) -> str | None:
    """The media type of sound or moving pictures by its first 64 bytes; None for anything else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if head.startswith(b"OggS"):
        return "video/ogg" if b"theora" in head else "audio/ogg"
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "audio/mpeg"
    if head[4:8] == b"ftyp":
        return "audio/mp4" if head[8:12] in {b"M4A ", b"M4B "} else "video/mp4"
    if head.startswith(_EBML):
        return "video/webm"
    return None
