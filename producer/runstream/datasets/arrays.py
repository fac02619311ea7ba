"""Digests of arrays and tensors."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from runstream.datasets.column import Column, little_endian, one_nan
from runstream.datasets.files import Found
from runstream.datasets.progress import Progress

CHUNK_BYTES = 4 << 20


def array(data: Any, progress: Progress) -> Found:
    """numpy, torch, jax and what numpy can read. The digest covers dtype, shape, and the values in C order.

    The order of bytes and of axes in memory, strides, the device and the library do not matter. Raises TypeError for
    objects and sparse tensors.
    """
    dtype, values = _plain(data)
    progress.total += values.nbytes
    digest = hashlib.sha256(b"runstream:array:1\n" + json.dumps([dtype, list(values.shape)]).encode() + b"\n")
    numbers = Column(dtype)
    for chunk in _chunks(values):
        if values.dtype.kind in "UST":
            for text in chunk.reshape(-1).tolist():
                value = text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogatepass")
                digest.update(len(value).to_bytes(8, "little") + value)
        else:
            part = little_endian(chunk)
            if part.dtype.kind == "f":
                part = one_nan(part)
            digest.update(part.data.cast("B") if part.size and part.dtype.kind not in "mM" else part.tobytes())
            numbers.note(part.reshape(-1))
        progress.add(chunk.nbytes)
    profile = {name: value for name, value in numbers.profile().items() if name != "nulls"}
    rows = values.shape[0] if values.ndim else 1
    schema = {"dtype": dtype, "shape": list(values.shape)}
    return Found("array", digest.hexdigest(), rows, values.nbytes, schema, profile, "")


def _plain(data: Any) -> tuple[str, Any]:
    """The name of the dtype, and the values as a numpy array."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(data, torch.Tensor):
        if data.layout is not torch.strided:
            raise TypeError(f"a tensor of layout {data.layout} has no fingerprint; give to_dense()")
        tensor = data.detach().cpu().resolve_conj().resolve_neg()
        name = str(tensor.dtype).removeprefix("torch.")
        try:
            return name, tensor.numpy()
        except TypeError:  # bfloat16 and the small floats, which numpy does not know: their bits
            bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
            return name, tensor.contiguous().view(bits).numpy()
    array = np.asarray(data)
    if array.dtype.hasobject:
        raise TypeError("an array of objects has no fingerprint; make it one of numbers or texts")
    if array.dtype.kind in "UT":
        return "string", array
    if array.dtype.kind == "S":
        return "binary", array
    if array.dtype.kind in "mM":
        return array.dtype.newbyteorder("<").str[1:], array
    if array.dtype.names:
        return json.dumps(np.lib.format.dtype_to_descr(array.dtype.newbyteorder("<"))), array
    if array.dtype.name == "bfloat16":  # of ml_dtypes
        return "bfloat16", array.view(np.int16)
    return array.dtype.name, array


def _chunks(array: Any) -> Iterator[Any]:
    if array.ndim == 0:
        yield array.reshape(1)
        return
    if not array.size:
        return
    rows = max(1, CHUNK_BYTES // max(1, array.nbytes // array.shape[0]))
    for first in range(0, array.shape[0], rows):
        yield array[first : first + rows]
