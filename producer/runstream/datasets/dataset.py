"""What a dataset is, found out from the value that a user has at hand."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runstream.datasets.files import FileDigests, Found
from runstream.datasets.progress import Progress
from runstream.masking import mask_text

MAX_PARTS = 10_000
ARRAYS = ("numpy", "torch", "jax", "jaxlib", "tensorflow", "cupy")
TABLES = ("pandas", "polars", "pyarrow", "datasets", "duckdb", "modin")


@dataclasses.dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset as `log_dataset` recorded it."""

    name: str
    context: str
    digest: str
    """64 hex digits; the same content has the same digest on any machine."""
    kind: str
    """file, directory, array, table, huggingface or uri; of several parts: that of the parts, or `table`."""
    source: str
    rows: int
    """-1: unknown."""
    size: int
    """Bytes as read; -1: unknown."""
    schema: Any
    profile: dict[str, Any]


def described(data: Any, files: FileDigests, progress: Progress, s3: str = "") -> Found:
    """Digest, schema and profile of `data`. `s3`: the object store that may serve s3://.

    Raises TypeError for what has no canonical form, OSError for files.
    """
    if isinstance(data, os.PathLike):
        return files.described(Path(data), progress)
    if isinstance(data, str) and data:
        return _of_text(data, files, progress, s3)
    library = type(data).__module__.partition(".")[0]
    if library in TABLES or hasattr(data, "__arrow_c_stream__"):
        from runstream.datasets.tables import splits, table

        parts = splits(data)
        return _of_parts(parts, files, progress, s3) if parts is not None else table(data, progress)
    if library in ARRAYS and (hasattr(data, "shape") or hasattr(data, "__array__")):
        from runstream.datasets.arrays import array

        return array(data, progress)
    if isinstance(data, Mapping):
        return _of_parts({str(name): part for name, part in data.items()}, files, progress, s3)
    if isinstance(tensors := getattr(data, "tensors", None), tuple):  # torch.utils.data.TensorDataset
        return _of_parts({str(i): part for i, part in enumerate(tensors)}, files, progress, s3)
    if isinstance(data, list | tuple) and data:
        if all(isinstance(path, str | os.PathLike) for path in data):
            return files.described_list([Path(path) for path in data], progress)
        if len(data) <= MAX_PARTS and not isinstance(data[0], int | float | complex | bytes):
            return _of_parts({str(i): part for i, part in enumerate(data)}, files, progress, s3)
    raise TypeError(
        f"a {type(data).__module__}.{type(data).__qualname__} has no fingerprint; give a path, an address, an array, a "
        "table, a Hugging Face dataset, or a mapping of those"
    )


def _of_text(text: str, files: FileDigests, progress: Progress, s3: str) -> Found:
    scheme, found, _ = text.partition("://")
    if found and scheme.isalnum() and scheme.lower() != "file":
        from runstream.datasets.addresses import address

        return address(text, progress, s3)
    return files.described(Path(text.removeprefix("file://")).expanduser(), progress)


def _of_parts(parts: Mapping[str, Any], files: FileDigests, progress: Progress, s3: str) -> Found:
    """Of named parts, such as the splits of a dataset: their digests in order of name."""
    if not parts:
        raise TypeError("an empty collection has no fingerprint")
    found = {name: described(part, files, progress, s3) for name, part in sorted(parts.items())}
    lines = [[name, part.kind, part.digest] for name, part in found.items()]
    text = json.dumps(lines, ensure_ascii=True, separators=(",", ":"))
    kinds = {part.kind for part in found.values()}
    counts = [part.rows for part in found.values()]
    sizes = [part.size for part in found.values()]
    return Found(
        kind=kinds.pop() if len(kinds) == 1 else "table",
        digest=hashlib.sha256(b"runstream:parts:1\n" + text.encode()).hexdigest(),
        rows=sum(counts) if min(counts) >= 0 else -1,
        size=sum(sizes) if min(sizes) >= 0 else -1,
        schema={"parts": {name: part.schema for name, part in found.items()}},
        profile={"parts": {name: {"digest": p.digest, "rows": p.rows, **p.profile} for name, p in found.items()}},
        source="",
    )


def source_of(found: Found, given: str | None) -> str:
    """Where the data comes from, masked."""
    return mask_text(given if given is not None else found.source)
