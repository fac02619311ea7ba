"""Digests of tables: pandas, polars, Arrow, Hugging Face, and what gives an Arrow stream."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from runstream.datasets.column import Column
from runstream.datasets.files import Found
from runstream.datasets.progress import Progress

MAX_TOLD = 1000
"""Columns whose schema and profile are told; all of them count in the digest."""
BATCH_ROWS = 10_000


def splits(data: Any) -> Mapping[str, Any] | None:
    """The parts of a dataset that is divided, such as a Hugging Face DatasetDict; None for a single table."""
    if isinstance(data, Mapping) and type(data).__module__.startswith("datasets."):
        return {str(name): part for name, part in data.items()}
    return None


def table(data: Any, progress: Progress) -> Found:
    """The digest covers names, types and values of the columns, in order, and the order of rows.

    Chunks, slices, dictionaries and the width of string offsets do not matter, nor an index of pandas without a name;
    one with a name counts as columns in front. Raises TypeError for a value without a canonical form, or when Arrow is
    needed and not installed.
    """
    library = type(data).__module__.partition(".")[0]
    kind = "table"
    if library == "pandas":
        from runstream.datasets import pandas_tables

        columns = pandas_tables.columns(data, progress)
    else:
        from runstream.datasets import arrow_tables

        kind = "huggingface" if library == "datasets" else "table"
        columns = arrow_tables.columns(_batches(data, library), progress)
    return _found(kind, columns, _source(data))


def _batches(data: Any, library: str) -> Iterator[Any]:
    """Record batches or tables of Arrow."""
    if library == "datasets":
        yield from _of_hugging_face(data)
        return
    if hasattr(data, "collect_schema") and hasattr(data, "collect") and not hasattr(data, "__arrow_c_stream__"):
        raise TypeError("a LazyFrame has no fingerprint before it is computed; give frame.collect()")
    pyarrow = _pyarrow()
    if library == "polars" and not hasattr(data, "columns"):  # a Series
        data = data.to_frame()
    if isinstance(data, pyarrow.Table | pyarrow.RecordBatch):
        yield data
    elif isinstance(data, pyarrow.Array | pyarrow.ChunkedArray):
        yield pyarrow.table({"": data})
    elif hasattr(data, "to_batches"):  # a pyarrow.dataset.Dataset
        yield data.schema.empty_table()
        yield from data.to_batches()
    elif hasattr(data, "__arrow_c_stream__"):
        reader = pyarrow.RecordBatchReader.from_stream(data)
        yield reader.schema.empty_table()
        yield from reader
    else:
        raise TypeError(f"a {type(data).__qualname__} has no fingerprint; give a table of it")


def _of_hugging_face(data: Any) -> Iterator[Any]:
    """In the order of the dataset's own indices, files of pictures and sounds by their bytes and not by their paths."""
    pyarrow = _pyarrow()
    features = getattr(data, "features", None) or {}
    blobs = [name for name, feature in features.items() if type(feature).__name__ in ("Image", "Audio", "Video")]
    if hasattr(data, "select") and not len(data):
        yield data.data.table.slice(0, 0)
        return
    for batch in data.with_format("arrow").iter(batch_size=BATCH_ROWS):
        for name in blobs:
            place = batch.schema.get_field_index(name)
            content = pyarrow.array([_blob(value) for value in batch.column(place).to_pylist()], pyarrow.large_binary())
            batch = batch.set_column(place, name, content)
        yield batch


def _blob(value: Any) -> bytes | None:
    if value is None or value.get("bytes") is not None:
        return None if value is None else bytes(value["bytes"])
    with open(value["path"], "rb") as file:  # noqa: PTH123
        return file.read()


def _found(kind: str, columns: list[tuple[str, Column]], source: str) -> Found:
    rows = columns[0][1].rows if columns else 0
    lines = [[name, column.type, column.digest()] for name, column in columns]
    digest = hashlib.sha256(b"runstream:table:1\n" + json.dumps([rows, lines]).encode()).hexdigest()
    schema = [{"name": name[:300], "type": column.type[:1000]} for name, column in columns[:MAX_TOLD]]
    profile: dict[str, Any] = {"columns": len(columns)}
    profile["values"] = {name[:300]: column.profile() for name, column in columns[:MAX_TOLD]}
    return Found(kind, digest, rows, sum(column.bytes() for _, column in columns), schema, profile, source)


def _source(data: Any) -> str:
    if type(data).__module__.startswith("datasets."):
        info = getattr(data, "info", None)
        parts = [
            getattr(info, "dataset_name", None),
            getattr(info, "config_name", None),
            str(getattr(data, "split", "")),
        ]
        return "/".join(part for part in parts if part and part != "None")
    return ""


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise TypeError(
            "this kind of table is read through pyarrow, which is not installed: pip install pyarrow"
        ) from None
    return sys.modules.get("pyarrow", pyarrow)
