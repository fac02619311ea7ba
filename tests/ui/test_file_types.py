"""What a file is follows from its bytes."""

from __future__ import annotations

import pytest

from runstream_ui.file_types import image_type, playable_type


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"ID3\x04\x00", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"fLaC\x00", "audio/flac"),
        (b"OggS\x00\x02" + bytes(22) + b"\x01vorbis", "audio/ogg"),
        (b"OggS\x00\x02" + bytes(22) + b"\x80theora", "video/ogg"),
        (b"\x00\x00\x00\x20ftypisom", "video/mp4"),
        (b"\x00\x00\x00\x20ftypM4A ", "audio/mp4"),
        (b"\x1a\x45\xdf\xa3\x01", "video/webm"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"<html><script>", None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_sounds_and_videos_are_known_by_their_first_bytes(head: bytes, expected: str | None) -> None:
    assert playable_type(head) == expected


def test_a_sound_is_no_picture() -> None:
    assert image_type(b"RIFF\x24\x00\x00\x00WAVEfmt ") is None
