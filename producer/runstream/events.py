"""Events as Avro single objects: `C3 01`, the schema's CRC-64-AVRO fingerprint (8 bytes, little-endian), the body.

Every version of every schema ships in `runstream/schemas`: `<Kind>.avsc` is version 1, `<Kind>.v2.avsc` the second, and
so on. The highest version writes; all of them can be read, and a reader always gets the fields of the highest version.
Format: Avro 1.12 specification, "Single object encoding" and "Parsing Canonical Form for Schemas".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from io import BytesIO
from typing import Any
from uuid import UUID

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from runstream.errors import EventNotEncodable, EventTruncated, EventUnreadable, NotAnEvent, UnknownSchema

MARKER = b"\xc3\x01"
HEADER_BYTES = 10
CONTROL_KINDS = (
    "ArtifactEdited",
    "ArtifactLogged",
    "ArtifactUsed",
    "Attributes",
    "DatasetLogged",
    "EventAwaited",
    "Heartbeat",
    "HistogramLogged",
    "MediaLogged",
    "MediaStored",
    "MetricDefined",
    "ModelEdited",
    "Params",
    "RunFinished",
    "RunRewound",
    "RunStarted",
    "Summary",
    "TextLogged",
)
"""Of the control topic; all but Heartbeat and MediaStored, made by agents, have a place in their writer's sequence.
What waits for the object store gives its own to an EventAwaited."""
LOG_KINDS = ("ConsoleLines", "SystemFrame")
"""Of the logs topic; outside the sequence."""
_FILE_NAME = re.compile(r"(?P<kind>[A-Za-z]+)(?:\.v(?P<version>[0-9]+))?\.avsc")
# What a body that is not Avro, or not of this schema, makes fastavro raise.
_BODY_ERRORS = (ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError, StopIteration)


@dataclass(frozen=True, slots=True)
class Schema:
    """One version of one kind of event. `header` is the ten bytes that open each of its messages."""

    kind: str
    version: int
    declaration: dict[str, Any]
    parsed: Any
    header: bytes


class Registry:
    """All versions of all kinds, by kind and by the header of their messages."""

    def __init__(self, declarations: Iterable[tuple[str, int, dict[str, Any]]]) -> None:
        self.by_header: dict[bytes, Schema] = {}
        self.latest: dict[str, Schema] = {}
        for kind, version, declaration in sorted(declarations, key=lambda d: d[:2]):
            schema = _schema(kind, version, declaration)
            self.by_header[schema.header] = schema
            self.latest[kind] = schema

    def encode(self, kind: str, event: Mapping[str, Any]) -> bytes:
        """See `encode`."""
        schema = self.latest.get(kind)
        if schema is None:
            raise EventNotEncodable(kind=kind, reason=f"no such kind; known are {', '.join(sorted(self.latest))}")
        out = BytesIO()
        out.write(schema.header)
        try:
            fastavro.schemaless_writer(out, schema.parsed, event, strict_allow_default=True)
        except (*_BODY_ERRORS, AttributeError) as error:
            raise EventNotEncodable(kind=kind, reason=f"{type(error).__name__}: {error}") from error
        return out.getvalue()

    def schema_of(self, data: bytes) -> Schema:
        """The schema that wrote `data`, from its header alone. Raises NotAnEvent or UnknownSchema."""
        header = bytes(data[:HEADER_BYTES])
        schema = self.by_header.get(header)
        if schema is not None:
            return schema
        if len(header) < HEADER_BYTES or header[:2] != MARKER:
            raise NotAnEvent(first_bytes=header)
        raise UnknownSchema(fingerprint=header[2:])

    def decode(self, data: bytes) -> tuple[str, dict[str, Any]]:
        """See `decode`."""
        schema = self.schema_of(data)
        latest = self.latest[schema.kind]
        body = BytesIO(data)
        body.seek(HEADER_BYTES)
        try:
            reader_schema = None if schema is latest else latest.parsed
            event: Any = fastavro.schemaless_reader(body, schema.parsed, reader_schema)
            _check_run_id(event["run_id"])
        except EOFError as error:
            raise EventTruncated(kind=schema.kind, size=len(data)) from error
        except _BODY_ERRORS as error:
            raise EventUnreadable(kind=schema.kind, reason=f"{type(error).__name__}: {error}") from error
        if body.tell() != len(data):
            raise EventUnreadable(kind=schema.kind, reason=f"{len(data) - body.tell()} bytes follow its end")
        return schema.kind, event


@cache
def registry() -> Registry:
    """The schemas that ship in this package."""
    files = resources.files("runstream") / "schemas"
    found = []
    for file in files.iterdir():
        if match := _FILE_NAME.fullmatch(file.name):
            found.append((match["kind"], int(match["version"] or 1), json.loads(file.read_text("utf-8"))))
    return Registry(found)


def encode(kind: str, event: Mapping[str, Any]) -> bytes:
    """`event` as one Avro single object in the newest schema of `kind`.

    Fields with a default may be left out. Raises EventNotEncodable for an unknown kind, a missing or an unknown field,
    or a value that its field cannot hold.
    """
    return registry().encode(kind, event)


def decode(data: bytes) -> tuple[str, dict[str, Any]]:
    """The kind and the fields of one message; fields newer than the message have their defaults.

    `run_id` is the canonical lower-case text of the UUID. Floats come back bit for bit. A length that `data` does not
    hold costs no memory. Raises NotAnEvent (no single-object header), UnknownSchema (a version this package does not
    know: keep the message, a newer release can read it), EventTruncated, or EventUnreadable (the body is not of its
    schema).
    """
    return registry().decode(data)


def _schema(kind: str, version: int, declaration: dict[str, Any]) -> Schema:
    # fastavro gives the fingerprint in the byte order of the header, not as the number of the specification.
    header = MARKER + bytes.fromhex(fingerprint(to_parsing_canonical_form(declaration), "CRC-64-AVRO"))
    parsed = fastavro.parse_schema(_without_logical_types(declaration))
    return Schema(kind=kind, version=version, declaration=declaration, parsed=parsed, header=header)


def _without_logical_types(declaration: Any) -> Any:
    """The same wire format, but a run id stays the text that keys, files and tables use."""
    if isinstance(declaration, list):
        return [_without_logical_types(part) for part in declaration]
    if isinstance(declaration, Mapping):
        return {key: _without_logical_types(part) for key, part in declaration.items() if key != "logicalType"}
    return declaration


def _check_run_id(text: str) -> None:
    if str(UUID(text)) != text:
        raise ValueError(f"run_id {text!r} is not the canonical lower-case text of a UUID")
