"""Columns of Arrow data, in the canonical form."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from runstream.datasets.column import Column
from runstream.datasets.progress import Progress

ROWS_AT_ONCE = 1 << 20


def columns(batches: Iterable[Any], progress: Progress) -> list[tuple[str, Column]]:
    """Name and digest of each column of batches (or tables) of one schema."""
    found: list[tuple[str, Column]] = []
    for number, batch in enumerate(batches):
        names = batch.schema.names
        if not number:
            found = [(name, column_of(type)) for name, type in zip(names, batch.schema.types, strict=True)]
        elif names != [name for name, _ in found]:
            raise TypeError(f"the batches differ in their columns: {names[:20]}")
        for (_, column), values in zip(found, batch.columns, strict=True):
            add(column, values)
        progress.add(batch.nbytes)
    return found


def add(column: Column, values: Any) -> None:
    """The values of an Array or a ChunkedArray."""
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    for chunk in chunks:
        for first in range(0, len(chunk), ROWS_AT_ONCE):
            _add(column, chunk.slice(first, ROWS_AT_ONCE))


def type_name(type: Any) -> str:
    """The logical type: the same for a dictionary and its values, and for all encodings of text."""
    if isinstance(type, pa.DictionaryType | pa.RunEndEncodedType):
        return type_name(type.value_type)
    if isinstance(type, pa.BaseExtensionType):
        return type_name(type.storage_type)
    if pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type):
        return "string"
    if pa.types.is_binary(type) or pa.types.is_large_binary(type) or pa.types.is_binary_view(type):
        return "binary"
    if pa.types.is_fixed_size_binary(type) and not pa.types.is_decimal(type):
        return "binary"
    if _is_list(type):
        return f"list<{type_name(type.value_type)}>"
    if pa.types.is_struct(type):
        return f"struct<{','.join(f'{json.dumps(f.name)}:{type_name(f.type)}' for f in type)}>"
    if pa.types.is_map(type):
        return f"map<{type_name(type.key_type)},{type_name(type.item_type)}>"
    names = {
        "float": "float32",
        "double": "float64",
        "halffloat": "float16",
        "date32[day]": "date",
        "date64[ms]": "date",
    }
    return names.get(str(type), str(type))


def column_of(type: Any) -> Column:
    """A column for values of that type, with one for each level inside."""
    name = type_name(type)
    while isinstance(type, pa.DictionaryType | pa.RunEndEncodedType | pa.BaseExtensionType):
        type = type.storage_type if isinstance(type, pa.BaseExtensionType) else type.value_type
    if _is_list(type):
        return Column(name, [column_of(type.value_type)])
    if pa.types.is_struct(type):
        return Column(name, [column_of(field.type) for field in type])
    if pa.types.is_map(type):
        return Column(name, [column_of(type.key_type), column_of(type.item_type)])
    return Column(name)


def _is_list(type: Any) -> bool:
    kinds = pa.types
    return bool(
        kinds.is_list(type)
        or kinds.is_large_list(type)
        or kinds.is_fixed_size_list(type)
        or kinds.is_list_view(type)
        or kinds.is_large_list_view(type)
    )


def _add(column: Column, values: Any) -> None:
    type = values.type
    if isinstance(type, pa.BaseExtensionType):
        return _add(column, values.storage)
    if isinstance(type, pa.DictionaryType):
        return _add(column, values.dictionary_decode())
    if isinstance(type, pa.RunEndEncodedType):
        import pyarrow.compute as pc

        return _add(column, pc.run_end_decode(values))
    null = np.asarray(values.is_null()) if values.null_count else None
    kinds = pa.types
    if kinds.is_null(type):
        column.nothing(len(values), np.ones(len(values), bool))
    elif column.type in ("string", "binary"):
        _add_bytes(column, values, null)
    elif column.type == "date":
        column.fixed(_numbers(values.cast(pa.date32()), pa.int32()), null)
    elif kinds.is_boolean(type) or kinds.is_integer(type) or kinds.is_floating(type):
        column.fixed(_numbers(values, None), null)
    elif kinds.is_temporal(type) and type.bit_width in (32, 64):
        column.fixed(_numbers(values, pa.int32() if type.bit_width == 32 else pa.int64()), null)
    elif kinds.is_list(type) or kinds.is_large_list(type) or kinds.is_fixed_size_list(type):
        import pyarrow.compute as pc

        column.lists(_lengths(pc.list_value_length(values)), null)
        add(column.children[0], values.flatten())
    elif _is_list(type):
        _add(column, values.cast(pa.large_list(type.value_type)))
    elif kinds.is_struct(type):
        column.nothing(len(values), null)
        for child, part in zip(column.children, values.flatten(), strict=True):
            add(child, part)
    elif kinds.is_map(type):
        listed = values.cast(pa.list_(pa.struct([("key", type.key_type), ("value", type.item_type)])))
        import pyarrow.compute as pc

        column.lists(_lengths(pc.list_value_length(listed)), null)
        for child, part in zip(column.children, listed.flatten().flatten(), strict=True):
            add(child, part)
    elif type.bit_width % 8 == 0:  # decimals and intervals
        width = type.bit_width // 8
        data = np.frombuffer(values.buffers()[1], np.uint8)[
            values.offset * width : (values.offset + len(values)) * width
        ]
        if null is not None:
            data = data.reshape(-1, width).copy()
            data[null] = 0
        column.raw(np.ascontiguousarray(data).data.cast("B"), len(values), null)
    else:
        raise TypeError(f"values of the Arrow type {type} have no fingerprint")
    return None


def _numbers(values: Any, as_type: Any) -> Any:
    if as_type is not None:
        values = values.view(as_type)
    if values.null_count:
        values = values.fill_null(False if pa.types.is_boolean(values.type) else 0)
    return values.to_numpy(zero_copy_only=False)


def _lengths(lengths: Any) -> Any:
    return lengths.fill_null(0).cast(pa.int64()).to_numpy(zero_copy_only=False)


def _add_bytes(column: Column, values: Any, null: Any) -> None:
    if not pa.types.is_large_binary(values.type):
        values = values.cast(pa.large_binary())
    if null is not None:
        values = values.fill_null(b"")
    _, offsets, data = values.buffers()
    if not len(values):
        return
    places = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    content = memoryview(data)[int(places[0]) : int(places[-1])] if data is not None else b""
    column.variable(np.diff(places), content, null)
