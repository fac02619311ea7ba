"""Sound."""

from __future__ import annotations

import io
import math
import sys
from array import array as packed_array
from pathlib import Path
from typing import Any

from runstream.media.arrays import Array, as_array, is_array
from runstream.media.blob import Blob, Media, ValueRefused, Warn
from runstream.media.sniff import EXTENSIONS, sound_type
from runstream.media.source import content_of, head_of, is_source

MAX_RATE = 768_000
MAX_CHANNELS = 64
_TOP = 32767


class Audio(Media):
    """Sound: a path, bytes, an open file, or an array of samples with its `sample_rate` in Hz.

    Arrays are N, N x channels or channels x N: floats from -1 to 1, or int16, int32, uint8; kept as WAV of 16 bits.
    """

    rich_kind = "audio"

    def __init__(self, data: Any, sample_rate: int | None = None, *, caption: str = "") -> None:
        self.data = data
        self.sample_rate = sample_rate
        self.caption = caption

    def blob(self, warn: Warn) -> Blob:
        """See Media.blob."""
        blob = _from_source(self.data) if is_source(self.data) else _from_samples(self.data, self.sample_rate, warn)
        blob.caption = self.caption
        return blob


def _from_source(data: Any) -> Blob:
    content = content_of(data)
    mime = sound_type(head_of(content))
    if mime is None:
        raise ValueRefused("it is no WAV, FLAC, OGG, MP3, M4A or WebM by its first bytes. Log it as a File")
    metadata = _of_wav(content) if mime == "audio/wav" else {}
    return Blob("audio", mime, "audio" + EXTENSIONS[mime], content, metadata=metadata)


def _of_wav(content: bytes | Path) -> dict[str, Any]:
    import wave

    try:
        with wave.open(str(content) if isinstance(content, Path) else io.BytesIO(content)) as file:
            return _described(file.getnframes(), file.getframerate(), file.getnchannels())
    except (wave.Error, EOFError, ZeroDivisionError):  # of floats, or torn: players may still take it
        return {}


def _described(frames: int, rate: int, channels: int) -> dict[str, Any]:
    return {"sample_rate": rate, "channels": channels, "duration_s": round(frames / rate, 6)}


def _from_samples(data: Any, sample_rate: Any, warn: Warn) -> Blob:
    if not (is_array(data) or isinstance(data, list | tuple)):
        raise ValueRefused(f"{type(data).__name__} is no sound: a path, bytes or an array is")
    try:
        rate = int(sample_rate)
    except (TypeError, ValueError, OverflowError):
        rate = 0
    if not 0 < rate <= MAX_RATE:
        raise ValueRefused(f"sample_rate={sample_rate!r}; an array needs one from 1 to {MAX_RATE} Hz")
    samples = _frames_first(as_array(data))
    frames, channels = samples.shape
    data16 = _as_16_bits(samples, warn)
    import wave

    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(data16)
    return Blob("audio", "audio/wav", "audio.wav", out.getvalue(), metadata=_described(frames, rate, channels))


def _frames_first(samples: Array) -> Array:
    """As frames x channels."""
    shape = samples.shape
    if len(shape) == 1:
        shape = (shape[0], 1)
        numbers = samples.numbers.reshape(shape) if samples.by_numpy else samples.numbers
        samples = Array(shape, samples.kind, samples.bytes_each, numbers)
    if len(shape) != 2 or 0 in shape:
        raise ValueRefused(f"shape {samples.shape} is no sound: N samples, N x channels or channels x N")
    if shape[0] <= 8 < shape[1] or shape[1] > MAX_CHANNELS >= shape[0]:
        samples = samples.moved(1, 0)
    if samples.shape[1] > MAX_CHANNELS:
        raise ValueRefused(f"{samples.shape[1]} channels; the limit is {MAX_CHANNELS}")
    return samples


def _as_16_bits(samples: Array, warn: Warn) -> bytes:
    if samples.kind == "f":
        return _of_floats(samples, warn)
    bits = 8 * samples.bytes_each
    if samples.kind == "b":
        raise ValueRefused("booleans are no samples: floats from -1 to 1 or integers are")
    if not samples.by_numpy:  # Python has one kind of integers: those of 16 bits are meant
        least, most = min(samples.numbers), max(samples.numbers)
        if least < -_TOP - 1 or most > _TOP:
            warn(f"its samples reach from {least} to {most}; integers are of 16 bits, what lies outside is cut off")
        return _little(packed_array("h", [max(-_TOP - 1, min(_TOP, number)) for number in samples.numbers]))
    numbers = samples.numbers.astype("i8")
    if samples.kind == "u":
        numbers = numbers - (1 << bits - 1)
    shifted = numbers << (16 - bits) if bits < 16 else numbers >> (bits - 16)
    data: bytes = shifted.astype("<i2").tobytes()
    return data


def _of_floats(samples: Array, warn: Warn) -> bytes:
    if samples.by_numpy:
        numpy = sys.modules["numpy"]
        with numpy.errstate(all="ignore"):
            numbers = samples.numbers.astype("f4")
            missing = numpy.isnan(numbers)
            count = int(missing.sum())
            if count:
                numbers[missing] = 0
            peak = float(numpy.abs(numbers).max())
            data: bytes = (numbers.clip(-1, 1) * _TOP).round().astype("<i2").tobytes()
    else:
        count = sum(map(math.isnan, samples.numbers))
        known = [0.0 if math.isnan(number) else number for number in samples.numbers]
        peak = max(map(abs, known))
        data = _little(packed_array("h", [round(max(-1.0, min(1.0, number)) * _TOP) for number in known]))
    if count:
        warn(f"{count} of its samples are NaN, and silent now")
    if peak > 1:
        warn(
            f"its samples reach {peak:g}; floats are -1 to 1, what lies outside is cut off: scale it, or pass integers"
        )
    return data


def _little(samples: packed_array[int]) -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
