"""Columns of pandas data, in the canonical form, slice by slice."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from runstream.datasets.column import Column
from runstream.datasets.objects import add_objects, is_text
from runstream.datasets.progress import Progress

ROWS_AT_ONCE = 1 << 18


def columns(data: Any, progress: Progress) -> list[tuple[str, Column]]:
    """Name and digest of each column of a DataFrame, or of a Series; the levels of an index with a name come first."""
    pandas = sys.modules["pandas"]
    if isinstance(data, pandas.Index):
        data = data.to_series(name=data.name)
    if isinstance(data, pandas.Series):
        data = data.to_frame(name="" if data.name is None else data.name)
    if not isinstance(data, pandas.DataFrame):
        raise TypeError(f"a {type(data).__qualname__} of pandas has no fingerprint; give a DataFrame or a Series")
    named = [level for level, name in enumerate(data.index.names) if name is not None]
    found = []
    for level in named:
        values = data.index.get_level_values(level).to_series().reset_index(drop=True)
        found.append((str(data.index.names[level]), _column(values)))
    for place, name in enumerate(data.columns):
        values = data.iloc[:, place]
        found.append((name if isinstance(name, str) else repr(name), _column(values)))
        progress.add(values.memory_usage(index=False))
    return found


def _column(values: Any) -> Column:
    dtype = values.dtype
    if str(dtype) in ("object", "category") or is_text(values):
        return _objects(values)
    if isinstance(dtype, np.dtype):
        return _numpy(values, dtype)
    if getattr(dtype, "kind", "") == "M" and hasattr(dtype, "tz"):
        column = Column(f"timestamp[{dtype.unit}, tz={dtype.tz}]")
        for part in _slices(values):
            column.fixed(part.array.asi8, part.isna().to_numpy())
        return column
    if type(dtype).__name__ == "ArrowDtype":
        from runstream.datasets import arrow_tables

        arrow = values.array.__arrow_array__()
        column = arrow_tables.column_of(arrow.type)
        arrow_tables.add(column, arrow)
        return column
    if getattr(dtype, "numpy_dtype", None) is not None and getattr(dtype, "kind", "") in "iufb":  # Int64, boolean, …
        column = Column(dtype.numpy_dtype.name)
        for part in _slices(values):
            null = part.isna().to_numpy()
            column.fixed(part.to_numpy(dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0)), null)
        return column
    return _objects(values.astype(object))


def _numpy(values: Any, dtype: Any) -> Column:
    if dtype.kind in "iufb":
        column = Column(dtype.name)
        for part in _slices(values):
            column.fixed(part.to_numpy())
        return column
    if dtype.kind in "mM":
        unit = np.datetime_data(dtype)[0]
        column = Column(f"{'timestamp' if dtype.kind == 'M' else 'duration'}[{unit}]")
        for part in _slices(values):
            column.fixed(part.to_numpy().view(np.int64), part.isna().to_numpy())
        return column
    if dtype.kind == "c":
        column = Column(dtype.name)
        for part in _slices(values):
            array = np.ascontiguousarray(part.to_numpy(), dtype.newbyteorder("<"))
            column.raw(array.tobytes(), len(array))
        return column
    raise TypeError(f"a column of dtype {dtype} has no fingerprint")


def _objects(values: Any) -> Column:
    """Texts, or any objects: as texts until there is one that is none."""
    for type in ("string", "binary", "object"):
        column = Column(type)
        if all(add_objects(column, _listed(part)) for part in _slices(values)):
            return column
    raise TypeError("the objects of a column have no fingerprint")


def _listed(part: Any) -> list[Any]:
    null = part.isna().to_numpy()
    return [None if missing else value for value, missing in zip(part.astype(object).tolist(), null, strict=True)]


def _slices(values: Any) -> Any:
    for first in range(0, len(values), ROWS_AT_ONCE):
        yield values.iloc[first : first + ROWS_AT_ONCE]
