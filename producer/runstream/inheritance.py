"""What a fork inherits besides points: its parent's config, copied when the fork begins.

A copy, so that the fork's own params are complete for filters and tables, `run.config` has them in the process, and a
later change of the parent changes no other run.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from runstream.errors import LookupFailed, SpoolError
from runstream.lookup import ask, database_url
from runstream.notices import warn
from runstream.settings import Settings
from runstream.spool import Position, segment_numbers
from runstream.spool_reader import EventRecord, SpoolReader
from runstream.values import DELETED

LOOKUP_TIMEOUT_S = 2.0
_PARAMS = "SELECT name, value AS text, kind FROM v_params WHERE project = {project:String} AND run_id = {run:UUID}"


def inherited_config(settings: Settings, project: str, parent: str) -> dict[str, Any]:
    """The config of the run `parent`: what the database knows, and on top what its spool on this host still has.

    Nested names are nested dicts. Where neither has all of it, that is said in a warning. Raises nothing.
    """
    leaves, why = _known_there(settings, project, parent)
    changes, whole = _known_here(settings.spool_dir / str(uuid.UUID(parent)))
    for value in changes:
        if value["kind"] == DELETED:
            leaves.pop(value["name"], None)
        else:
            leaves[value["name"]] = value
    if why and not whole:
        warn(f"fork: not all of the parent's config could be read ({why}); pass config= for what is missing")
    return nested({name: value_of(leaf) for name, leaf in leaves.items()})


def nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Dicts of dicts from names with `/` between the parts; a name that is a value and a part stays a whole name."""
    found: dict[str, Any] = {}
    for name, value in sorted(leaves.items()):
        *parts, last = name.split("/")
        place: Any = found
        for part in parts:
            place = place.setdefault(part, {}) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place[last] = value
        else:
            found[name] = value
    return found


def value_of(leaf: Mapping[str, Any]) -> Any:
    """A value as it was given; one that cannot be read as its kind is its text."""
    kind, text = leaf["kind"], leaf["text"]
    try:
        match kind:
            case "null":
                return None
            case "bool":
                return text == "true"
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "json":
                return json.loads(text)
            case "datetime":
                return datetime.fromisoformat(text) if len(text) > len("2026-01-01") else date.fromisoformat(text)
    except ValueError:
        pass
    return text


def _known_there(settings: Settings, project: str, parent: str) -> tuple[dict[str, dict[str, Any]], str]:
    """The leaves in the database by name, and why it was not asked or did not answer (empty: it answered)."""
    url = database_url(settings)
    if url is None:
        return {}, "no database is configured"
    try:
        rows = ask(url, _PARAMS, {"project": project, "run": parent}, LOOKUP_TIMEOUT_S)
    except LookupFailed as error:
        return {}, str(error)
    return {row["name"]: row for row in rows}, ""


def _known_here(directory: Path) -> tuple[list[dict[str, Any]], bool]:
    """The changes of config in the spools of a run in order of time, and whether a spool is there from its start."""
    found: list[tuple[int, list[dict[str, Any]]]] = []
    whole = False
    for writer in directory.iterdir() if directory.is_dir() else ():
        try:
            numbers = segment_numbers(writer)
            with SpoolReader(writer, Position(numbers[0])) as reader:
                while records := reader.read():
                    found += [
                        (one.time_us, one.body["values"])
                        for one in records
                        if isinstance(one, EventRecord) and one.body.get("type") == "Params"
                    ]
                whole = whole or numbers[0] == 1
        except (OSError, SpoolError, IndexError, KeyError):
            continue  # the agent has just removed it
    return [value for _, values in sorted(found, key=lambda one: one[0]) for value in values], whole
