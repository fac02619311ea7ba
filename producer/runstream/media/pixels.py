"""Arrays as pictures: which axis is which, and numbers as pixels of 8 or 16 bits."""

from __future__ import annotations

import math
import sys
from typing import Any

from runstream.media.arrays import Array
from runstream.media.blob import ValueRefused, Warn
from runstream.media.png import Picture

CHANNELS = (1, 2, 3, 4)
MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "BGR": 3, "BGRA": 4}
MAX_SIDE = 1 << 16


def with_channels_last(array: Array, *, first: bool, mode: str | None) -> Array:
    """A picture of H x W, H x W x C or C x H x W as H x W x C.

    Where both ends could be channels, they are the last axis, or the first when `first`, as for tensors. `mode`: of
    MODES, says how many there are and, with BGR, in which order. Raises ValueRefused.
    """
    if mode is not None and mode not in MODES:
        raise ValueRefused(f"mode {mode!r} is none of {', '.join(MODES)}")
    wanted = (MODES[mode],) if mode else CHANNELS
    shape = array.shape
    if len(shape) == 2:
        array = Array((*shape, 1), array.kind, array.bytes_each, _reshaped(array, (*shape, 1)))
    elif len(shape) != 3:
        raise ValueRefused(
            f"shape {shape} is no picture: H x W, H x W x C or C x H x W. Log several as a list of Images"
        )
    else:
        ends = [axis for axis in ((0, 2) if first else (2, 0)) if shape[axis] in wanted]
        if not ends:
            count = str(wanted[0]) if len(wanted) == 1 else f"{min(wanted)} to {max(wanted)}"
            raise ValueRefused(f"shape {shape} has its {count} channels neither first nor last")
        array = array.moved(1, 2, 0) if ends[0] == 0 else array
    height, width, channels = array.shape
    if mode and channels != MODES[mode]:
        raise ValueRefused(f"shape {shape} has {channels} channels; mode {mode} has {MODES[mode]}")
    if not 0 < height <= MAX_SIDE or not 0 < width <= MAX_SIDE:
        raise ValueRefused(f"a picture of {width} x {height}; each side may be 1 to {MAX_SIDE}")
    return _swapped(array) if mode in ("BGR", "BGRA") else array


def picture_of(array: Array, warn: Warn) -> Picture:
    """Of H x W x C numbers: booleans, integers from 0 to 255 (unsigned 16 bits: to 65535), floats from 0 to 1.

    What lies outside is set to the nearest of these, and NaN to 0, with a warning.
    """
    height, width, channels = array.shape
    depth = 16 if array.kind == "u" and array.bytes_each == 2 else 8
    data = _by_numpy(array, depth, warn) if array.by_numpy else _by_hand(array, warn)
    return Picture(width, height, channels, depth, data)


def _by_numpy(array: Array, depth: int, warn: Warn) -> Any:
    numpy = sys.modules["numpy"]
    numbers = array.numbers
    if array.kind == "b":
        numbers = numbers.astype("u1") * numpy.uint8(255)
    elif depth == 16:
        numbers = numbers.astype(">u2")
    elif array.kind in "ui" and not (array.kind == "u" and array.bytes_each == 1):
        numbers = _clipped(numbers, 0, 255, warn).astype("u1")
    elif array.kind == "f":
        with numpy.errstate(all="ignore"):
            numbers = numbers.astype("f4")
            missing = numpy.isnan(numbers)
            if missing.any():
                _say_nan(int(missing.sum()), warn)
                numbers[missing] = 0
            numbers = _clipped(numbers, 0.0, 1.0, warn)
            numbers = (numbers * 255 + 0.5).astype("u1")
    height = array.shape[0]
    return numpy.ascontiguousarray(numbers).reshape(-1).view("u1").reshape(height, -1)


def _clipped(numbers: Any, low: float, high: float, warn: Warn) -> Any:
    least, most = numbers.min().item(), numbers.max().item()
    if least < low or most > high:
        _say_range(least, most, high, warn)
        return numbers.clip(low, high)
    return numbers


def _by_hand(array: Array, warn: Warn) -> bytes:
    numbers = array.numbers
    if array.kind == "b":
        return bytes([255 if number else 0 for number in numbers])
    high = 255 if array.kind in "ui" else 1.0
    if array.kind == "f" and (missing := sum(map(math.isnan, numbers))):
        _say_nan(missing, warn)
        numbers = [0.0 if math.isnan(number) else number for number in numbers]
    least, most = min(numbers), max(numbers)
    if least < 0 or most > high:
        _say_range(least, most, high, warn)
        numbers = [min(max(number, 0), high) for number in numbers]
    return bytes(numbers) if high == 255 else bytes([int(number * 255 + 0.5) for number in numbers])


def _say_nan(count: int, warn: Warn) -> None:
    warn(f"{count} of its numbers are NaN, and black now")


def _say_range(least: float, most: float, high: float, warn: Warn) -> None:
    remedy = "scale it before"
    if high == 1 and 2 < most <= 255:
        remedy = "divide it by 255, or pass uint8"
    elif high == 1 and -1 <= least < 0 and most <= 1:
        remedy = "if it reaches from -1 to 1, log (image + 1) / 2"
    kind = "floats are 0 to 1" if high == 1 else "integers are 0 to 255"
    warn(f"its numbers reach from {least:g} to {most:g}; {kind}, what lies outside is cut off: {remedy}")


def _swapped(array: Array) -> Array:
    order = [2, 1, 0, 3][: array.shape[2]]
    if array.by_numpy:
        return Array(array.shape, array.kind, array.bytes_each, array.numbers[:, :, order])
    step = len(order)
    numbers = [array.numbers[at + place] for at in range(0, len(array.numbers), step) for place in order]
    return Array(array.shape, array.kind, array.bytes_each, numbers)


def _reshaped(array: Array, shape: tuple[int, ...]) -> Any:
    return array.numbers.reshape(shape) if array.by_numpy else array.numbers
