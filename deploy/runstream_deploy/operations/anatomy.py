"""What can still be made out of a message that could not be read."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

ITEMS_SHOWN = 5
LINE = 16


@dataclass(frozen=True, slots=True)
class Anatomy:
    """`kind` and `version` are of the schema in the message's header, empty and 0 when it names none that is known."""

    kind: str = ""
    version: int = 0
    fields: dict[str, Any] = field(default_factory=dict)
    """The fields that could be read, in order; long lists are cut."""
    problem: str = ""
    """Why reading ended; empty: the message is whole."""


def dissect(data: bytes) -> Anatomy:
    """Reads `data` field by field, as far as it goes."""
    import fastavro
    from fastavro.schema import expand_schema

    from runstream import events
    from runstream.errors import EventError

    if not data:
        return Anatomy(problem="the message has no value")
    try:
        schema = events.registry().schema_of(data)
    except EventError as error:
        return Anatomy(problem=str(error))
    body = io.BytesIO(data)
    body.seek(events.HEADER_BYTES)
    fields: dict[str, Any] = {}
    problem = ""
    declared: Any = expand_schema(schema.parsed)
    for part in declared["fields"]:
        at = body.tell()
        try:
            fields[part["name"]] = shown(fastavro.schemaless_reader(body, part["type"], None))
        except Exception as error:  # noqa: BLE001 - any damage may be met here; it is what the user asked about
            # A decoder that falls off the end says so in words about itself.
            why = "the message ends inside it" if isinstance(error, EOFError | IndexError) else str(error)
            problem = f"the field {part['name']!r} at byte {at} cannot be read: {why}"
            break
    else:
        if rest := len(data) - body.tell():
            problem = f"{rest} bytes follow the end of the event"
    return Anatomy(schema.kind, schema.version, fields, problem)


def shown(value: Any) -> Any:
    """`value` for JSON: lists are cut after a few items, floats that JSON lacks become text."""
    if isinstance(value, list):
        items = [shown(one) for one in value[:ITEMS_SHOWN]]
        return items if len(value) <= ITEMS_SHOWN else [*items, f"… {len(value):,} in all"]
    if isinstance(value, dict):
        return {str(name): shown(one) for name, one in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value.hex() if isinstance(value, bytes) else value


def hexdump(data: bytes, limit: int) -> Iterator[str]:
    """Lines of 16 bytes with their place and their printable ASCII, `limit` bytes at most."""
    for at in range(0, min(limit, len(data)), LINE):
        part = data[at : min(at + LINE, limit)]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{at:08x}  {part.hex(' '):<{LINE * 3 - 1}}  {text}"
    if len(data) > limit:
        yield f"… {len(data) - limit:,} more bytes"
