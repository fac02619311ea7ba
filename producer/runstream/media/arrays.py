"""Arrays of numpy, torch, jax, TensorFlow, and nested lists, by what they can do: none of these is imported.

numpy does the work when the program has loaded it; else it is done by hand, slowly but alike.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runstream.media.blob import ValueRefused

MAX_ARRAY_BYTES = 1 << 30
MAX_BY_HAND = 4_000_000
"""Numbers without numpy: a few seconds."""


@dataclass(slots=True)
class Array:
    """Numbers in row-major order: `numbers` is a numpy array of `shape`, or a flat list."""

    shape: tuple[int, ...]
    kind: str
    """`b` boolean, `u` unsigned, `i` signed integers, `f` floats, as in numpy."""
    bytes_each: int
    numbers: Any

    @property
    def by_numpy(self) -> bool:
        return not isinstance(self.numbers, list)

    def moved(self, *order: int) -> Array:
        """With its axes in another order."""
        shape = tuple(self.shape[axis] for axis in order)
        if self.by_numpy:
            return Array(shape, self.kind, self.bytes_each, self.numbers.transpose(order))
        strides = [math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape))]
        places = itertools.product(*[range(0, self.shape[axis] * strides[axis], strides[axis]) for axis in order])
        return Array(shape, self.kind, self.bytes_each, [self.numbers[sum(place)] for place in places])

    def item(self, place: int) -> Array:
        """One element of the first axis."""
        shape = self.shape[1:]
        if self.by_numpy:
            return Array(shape, self.kind, self.bytes_each, self.numbers[place])
        size = math.prod(shape)
        return Array(shape, self.kind, self.bytes_each, self.numbers[place * size : (place + 1) * size])

    def flat(self) -> Any:
        """All numbers as one sequence."""
        return self.numbers.reshape(-1) if self.by_numpy else self.numbers

    def rows(self) -> list[list[Any]]:
        """Of a matrix, as lists."""
        if self.by_numpy:
            rows: list[list[Any]] = self.numbers.tolist()
            return rows
        width = self.shape[1]
        return [self.numbers[start : start + width] for start in range(0, len(self.numbers), width)]


def is_array(value: object) -> bool:
    """Whether it looks like an array or tensor; a list is none."""
    return hasattr(value, "shape") and (hasattr(value, "__array__") or hasattr(value, "tolist"))


def is_tensor(value: object) -> bool:
    """Whether it is a torch tensor: those have their channels first."""
    return type(value).__module__.partition(".")[0] == "torch"


def as_array(value: Any) -> Array:
    """The numbers of an array, a tensor on any device, or nested lists of one shape.

    Raises ValueRefused for what is none, for complex numbers and objects, and above MAX_ARRAY_BYTES.
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        return _from_numpy(_to_numpy(value, numpy))
    value = _on_host(value)
    nested = value.tolist() if callable(getattr(value, "tolist", None)) else value
    return _from_lists(nested)


def _to_numpy(value: Any, numpy: Any) -> Any:
    if isinstance(value, numpy.ndarray):
        return value
    try:
        return numpy.asarray(_on_host(value))
    except Exception as error:
        raise ValueRefused(f"{type(value).__name__} cannot be read as an array ({_short(error)})") from error


def _from_numpy(numbers: Any) -> Array:
    kind = numbers.dtype.kind
    if kind == "V" or kind not in "buif":
        numbers = _plain_floats(numbers)
        kind = numbers.dtype.kind
    if numbers.nbytes > MAX_ARRAY_BYTES:
        raise ValueRefused(
            f"an array of {numbers.nbytes} bytes; the limit is {MAX_ARRAY_BYTES}. Log a part of it, or a file"
        )
    return Array(tuple(numbers.shape), kind, numbers.dtype.itemsize, numbers)


def _plain_floats(numbers: Any) -> Any:
    """Of number types that are not numpy's own, such as bfloat16."""
    if numbers.dtype.kind == "V" and numbers.dtype.fields is None and "float" in str(numbers.dtype):
        return numbers.astype("float32")
    raise ValueRefused(f"an array of {numbers.dtype}; integers, floats and booleans can be kept")


def _on_host(value: Any) -> Any:
    """A tensor without its graph, in the memory of the host, in a type that numpy has."""
    detach = getattr(value, "detach", None)
    if callable(detach):
        value = detach()
        if callable(getattr(value, "cpu", None)):
            value = value.cpu()
        if "bfloat16" in str(getattr(value, "dtype", "")):
            value = value.float()
    return value


def _from_lists(nested: Any) -> Array:
    shape: list[int] = []
    level = nested
    while isinstance(level, Sequence) and not isinstance(level, str | bytes):
        shape.append(len(level))
        if not level:
            break
        level = level[0]
    if not shape:
        raise ValueRefused(f"{type(nested).__name__} is no array")
    flat: Any = nested
    for size in shape[1:]:
        if any(not isinstance(part, Sequence) or len(part) != size for part in flat):
            raise ValueRefused("the lists in it differ in length")
        flat = list(itertools.chain.from_iterable(flat))
    flat = list(flat)
    if len(flat) > MAX_BY_HAND:
        raise ValueRefused(
            f"{len(flat)} numbers without numpy; the limit is {MAX_BY_HAND}. Import numpy, or log a part"
        )
    kinds = {type(number) for number in flat}
    if kinds <= {bool}:
        return Array(tuple(shape), "b", 1, flat)
    if kinds <= {bool, int}:
        return Array(tuple(shape), "i", 8, flat)
    try:
        return Array(tuple(shape), "f", 8, [float(number) for number in flat])
    except (TypeError, ValueError) as error:
        raise ValueRefused(f"it holds what is no number ({_short(error)})") from error


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]
