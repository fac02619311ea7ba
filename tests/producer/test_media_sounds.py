"""Audio and Video: what is kept plays as what was given."""

import io
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from producer.media_values import Nested, blob_of
from runstream import Audio, Video
from runstream.media.blob import Blob, ValueRefused
from runstream.media.sniff import sound_type, video_type

RNG = np.random.default_rng(3)


def samples_of(blob: Blob) -> tuple[int, Any]:
    assert isinstance(blob.content, bytes)
    with wave.open(io.BytesIO(blob.content)) as file:
        assert file.getsampwidth() == 2
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return file.getframerate(), data.reshape(-1, file.getnchannels())


@pytest.mark.parametrize("shape", [(1000,), (1000, 2), (2, 1000), (1, 1000)])
def test_floats_become_16_bits(shape: tuple[int, ...]) -> None:
    data = RNG.uniform(-1, 1, shape)
    blob, said = blob_of(Audio(data, 8000, caption="hö"))
    rate, found = samples_of(blob)
    expected = data.reshape(shape if len(shape) > 1 else (-1, 1))
    expected = expected.T if expected.shape[0] < 10 else expected
    assert np.abs(found / 32767 - expected).max() < 1e-4
    assert (rate, said, blob.caption) == (8000, [], "hö")
    assert blob.metadata == {"sample_rate": 8000, "channels": found.shape[1], "duration_s": 0.125}


def test_integers_keep_their_loudness() -> None:
    for data in ([0, 255, 128], np.array([0, 16384, -32768], "i2"), np.array([2**30, -(2**31), 0], "i4")):
        array = np.array(data, np.uint8) if isinstance(data, list) else data
        _, found = samples_of(blob_of(Audio(array, 44100))[0])
        scale = {1: 256, 2: 1, 4: 1 / 65536}[array.dtype.itemsize]
        shift = 128 if array.dtype == np.uint8 else 0
        assert found[:, 0].tolist() == [int((int(n) - shift) * scale) for n in array]


def test_nan_is_silent_and_what_is_too_loud_is_cut_off_with_warnings() -> None:
    blob, said = blob_of(Audio(np.array([np.nan, 2.0, -np.inf, 0.0]), 8000))
    assert samples_of(blob)[1][:, 0].tolist() == [0, 32767, -32767, 0]
    assert len(said) == 2


def test_lists_and_tensors_without_numpy_sound_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [[0.0, 0.5] * 6, [-1.0, float("nan")] * 6]
    expected = samples_of(blob_of(Audio(given, 8000))[0])[1].tolist()
    monkeypatch.delitem(sys.modules, "numpy")
    made = [blob_of(Audio(value, 8000)) for value in (given, Nested(given), [100, -40000])]
    monkeypatch.undo()
    assert samples_of(made[0][0])[1].tolist() == samples_of(made[1][0])[1].tolist() == expected
    assert samples_of(made[2][0])[1][:, 0].tolist() == [100, -32768]
    assert "cut off" in made[2][1][0]


def test_a_sound_file_stays_as_it_is(tmp_path: Path) -> None:
    data = blob_of(Audio(np.zeros(100), 1000))[0].content
    assert isinstance(data, bytes)
    (tmp_path / "a.wav").write_bytes(data)
    for value in (tmp_path / "a.wav", data, io.BytesIO(data)):
        blob, _ = blob_of(Audio(value))
        assert (blob.content, blob.mime) == (data, "audio/wav")
        assert blob.metadata == {"sample_rate": 1000, "channels": 1, "duration_s": 0.1}
    torn, _ = blob_of(Audio(data[:20]))
    assert torn.metadata == {}


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"fLaC....", "audio/flac"),
        (b"OggS....", "audio/ogg"),
        (b"ID3.....", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
    ],
)
def test_sound_is_known_by_its_first_bytes(head: bytes, mime: str) -> None:
    assert sound_type(head) == mime
    assert blob_of(Audio(head))[0].mime == mime


@pytest.mark.parametrize(
    ("data", "rate", "why"),
    [
        (np.zeros(5), None, "sample_rate=None"),
        (np.zeros(5), 0, "sample_rate=0"),
        (np.zeros(5), "fast", "sample_rate='fast'"),
        (np.zeros(5), float("inf"), "sample_rate=inf"),
        (np.zeros(0), 8000, "no sound"),
        (np.zeros((2, 3, 4)), 8000, "no sound"),
        (np.zeros((100, 100)), 8000, "channels"),
        (np.zeros(5, bool), 8000, "booleans"),
        ([], 8000, "no sound"),
        (None, 8000, "NoneType is no sound"),
        (b"text", None, "first bytes"),
        ("/nowhere.wav", None, "no file"),
    ],
)
def test_what_is_no_sound_is_refused_with_its_reason(data: Any, rate: Any, why: str) -> None:
    with pytest.raises(ValueRefused, match=why):
        blob_of(Audio(data, rate))


# Video


def frames_of(blob: Blob) -> tuple[Any, list[Any]]:
    assert isinstance(blob.content, bytes)
    film = Pillow.open(io.BytesIO(blob.content))
    frames = []
    for number in range(film.n_frames):  # type: ignore[attr-defined]
        film.seek(number)
        frames.append(np.asarray(film.convert("RGB")).copy())
    return film, frames


@pytest.mark.parametrize("layout", ["TCHW", "THWC", "THW"])
def test_every_frame_comes_back_without_loss(layout: str) -> None:
    data = RNG.integers(0, 256, (6, 10, 12, 3), dtype=np.uint8)
    given = {"TCHW": np.moveaxis(data, 3, 1), "THWC": data, "THW": data[..., 0]}[layout]
    blob, said = blob_of(Video(given, fps=5))
    film, frames = frames_of(blob)
    expected = data if layout != "THW" else np.repeat(data[..., :1], 3, axis=3)
    assert np.array_equal(np.array(frames), expected)
    assert film.info["duration"] == 200
    metadata = {"width": 12, "height": 10, "frames": 6, "fps": 5.0, "duration_s": 1.2}
    assert (blob.mime, blob.metadata, said) == ("image/apng", metadata, [])
    assert isinstance(blob.content, bytes)
    assert video_type(blob.content) == "image/apng"


def test_one_frame_is_a_video_and_nan_is_said_once() -> None:
    assert len(frames_of(blob_of(Video(np.zeros((1, 4, 4))))[0])[1]) == 1
    _, said = blob_of(Video(np.full((5, 4, 4), np.nan)))
    assert len(said) == 1


def test_a_video_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    nested = [[[0, 255], [128, 3]], [[5, 6], [7, 8]]]
    monkeypatch.delitem(sys.modules, "numpy")
    blob, _ = blob_of(Video(nested, fps=2.5))
    monkeypatch.undo()
    film, frames = frames_of(blob)
    assert [frame[..., 0].tolist() for frame in frames] == nested
    assert film.info["duration"] == 400


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"\x1a\x45\xdf\xa3....", "video/webm"),
        (b"OggS....", "video/ogg"),
        (b"GIF89a\x05\0\x04\0", "image/gif"),
    ],
)
def test_a_video_file_stays_as_it_is(head: bytes, mime: str) -> None:
    blob, _ = blob_of(Video(head))
    assert (blob.content, blob.mime) == (head, mime)


@pytest.mark.parametrize(
    ("data", "fps", "why"),
    [
        (np.zeros((4, 4)), 8, "no video"),
        (np.zeros((0, 4, 4)), 8, "0 frames"),
        (np.zeros((2, 9, 9, 9)), 8, "channels"),
        (np.zeros((2, 4, 4)), 0, "fps=0"),
        (np.zeros((2, 4, 4)), float("nan"), "fps=nan"),
        (np.zeros((2, 4, 4)), None, "fps=None"),
        (b"text", 8, "Convert it to MP4"),
        (object(), 8, "object is no video"),
        ("/nowhere.mp4", 8, "no file"),
    ],
)
def test_what_is_no_video_is_refused_with_its_reason(data: Any, fps: Any, why: str) -> None:
    with pytest.raises(ValueRefused, match=why):
        blob_of(Video(data, fps=fps))
