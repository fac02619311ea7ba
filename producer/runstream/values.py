"""Python objects as named, typed values: what `run.config` and `run.summary` send."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from runstream.masking import MASK, is_secret_name, mask_text

MAX_DEPTH = 32
MAX_TEXT_BYTES = 64 * 1024
MAX_NAME_BYTES = 1024
DELETED = "deleted"


def as_mapping(value: object) -> Mapping[Any, Any] | None:
    """`value` as a mapping of its fields, or None when it is not of a kind that has named fields.

    Knows mappings, argparse and types namespaces, dataclasses, attrs, pydantic models and what has `to_dict()`.
    """
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type) or type(value).__module__.startswith("pandas."):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if attributes := getattr(type(value), "__attrs_attrs__", None):
        return {field.name: getattr(value, field.name) for field in attributes}
    if type(value).__name__ in ("Namespace", "SimpleNamespace") and hasattr(value, "__dict__"):
        return vars(value)
    for method in ("model_dump", "to_dict", "flag_values_dict"):
        dump = getattr(value, method, None)
        if callable(dump):
            fields = dump()
            if isinstance(fields, Mapping):
                return fields
    return None


def flatten(name: str, value: object, depth: int = 0) -> Iterator[tuple[str, object]]:
    """The leaves below `value`, named with `/` between the parts; an empty mapping is a leaf."""
    try:
        fields = dict(as_mapping(value) or {}) if depth < MAX_DEPTH else {}
    except Exception:  # noqa: BLE001 - a user's to_dict() may do anything
        fields = {}
    if not fields:
        yield name, value
        return
    for key, inner in fields.items():
        part = key if isinstance(key, str) else str(key)
        yield from flatten(f"{name}/{part}" if name else part, inner, depth + 1)


def typed(name: str, value: object) -> dict[str, Any]:
    """One `Value` of an event. Never raises: what has no better text is kept as the text of its repr.

    Texts of more than MAX_TEXT_BYTES are cut; secrets are masked by name and shape.
    """
    try:
        kind, text, number = _kind_of(_plain(value))
    except Exception as error:  # noqa: BLE001 - any object may come, with any __repr__
        kind, text, number = "string", f"<{type(value).__name__}: {type(error).__name__} when read>", None
    if kind in ("string", "json"):
        text, was_cut = cut(text, MAX_TEXT_BYTES)
        text = MASK if text and kind == "string" and is_secret_name(name) else mask_text(text)
        kind = "string" if was_cut else kind
    return {"name": name, "kind": kind, "text": text, "number": number}


def cut(text: str, max_bytes: int) -> tuple[str, bool]:
    """`text` within `max_bytes` of UTF-8 (lone surrogates replaced), and whether something is missing."""
    data = text.encode("utf-8", "replace")
    if len(data) <= max_bytes:
        return data.decode(), False
    return data[: max_bytes - 3].decode("utf-8", "ignore") + "…", True


def number_text(value: float) -> float | str:
    """A double as JSON of our events has it: NaN and infinities are the strings NaN, Infinity, -Infinity."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _kind_of(value: object) -> tuple[str, str, float | str | None]:
    if value is None:
        return "null", "null", None
    if isinstance(value, bool):
        return "bool", "true" if value else "false", float(value)
    if isinstance(value, int):
        try:
            return "int", str(int(value)), float(value)
        except (OverflowError, ValueError):  # beyond a double, or beyond the digits that Python prints
            return "string", f"{value:#x}", None
    if isinstance(value, float):
        number = number_text(float(value))
        return "float", number if isinstance(number, str) else repr(number), number
    if isinstance(value, str):
        return "string", value, None
    if "datetime" in sys.modules and isinstance(value, sys.modules["datetime"].date):
        return "datetime", value.isoformat(), None
    if isinstance(value, list | dict):
        return "json", json.dumps(value, ensure_ascii=False, default=_as_json, skipkeys=True), None
    return "string", str(value), None


def _plain(value: object, depth: int = 0) -> object:
    """The built-in object behind numpy and torch scalars and arrays, enums, paths, sets and tuples."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, enum.Enum):
        return _plain(value.value) if isinstance(value.value, bool | int | float | str) else value.name
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if depth > MAX_DEPTH:
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(inner, depth + 1) for inner in value), key=str)
    if isinstance(value, list | tuple):
        return [_finite(_plain(inner, depth + 1)) for inner in value]
    tolist = getattr(value, "tolist", None)  # numpy, torch, jax
    if callable(tolist):
        return _plain(tolist(), depth + 1)
    return value


def _finite(value: object) -> object:
    return number_text(value) if isinstance(value, float) else value


def _as_json(value: object) -> object:
    fields = as_mapping(value)
    return dict(fields) if fields is not None else str(value)
