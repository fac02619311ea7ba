"""What people may call things and set them to: one place for the rules, for runs, artifacts and models alike."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from runstream.errors import EditRefused

MAX_NAME_BYTES = 256
MAX_ALIAS_BYTES = 128
MAX_NOTE_BYTES = 64 * 1024
MAX_METADATA_BYTES = 64 * 1024
ATTRIBUTES = ("name", "notes", "group", "job_type", "archived", "deleted", "starred")
"""Of a run, that people change; tags are attributes `tag:<tag>` of their own."""
_VERSION = re.compile(r"v[0-9]+")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_STAGE = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def name(text: object, what: str = "artifact") -> str:
    """The name of an artifact or a model. Raises EditRefused for one that `name:version` could not ask for."""
    checked = _line(what, text, MAX_NAME_BYTES)
    if ":" in checked:
        raise EditRefused(what, text, "a colon stands between a name and its version; use '-' or '/'")
    return checked


def project(text: object) -> str:
    return _line("project", text, MAX_NAME_BYTES)


def actor(text: object) -> str:
    return _line("actor", text, MAX_NAME_BYTES)


def kind(text: object) -> str:
    """The type of an artifact, such as `model` or `dataset`."""
    return _line("type", text, MAX_NAME_BYTES)


def tag(text: object) -> str:
    return _line("tag", text, MAX_NAME_BYTES)


def alias(text: object) -> str:
    """An alias for people. Raises EditRefused for `latest`, for what looks like a version or digest, and for what
    `name:alias` could not ask for."""
    checked = _line("alias", text, MAX_ALIAS_BYTES)
    if checked == "latest":
        raise EditRefused("alias", text, "latest is always the newest version and cannot be moved; choose another word")
    if _VERSION.fullmatch(checked):
        raise EditRefused("alias", text, "v and a number names a version; choose a word such as best or prod")
    if _DIGEST.fullmatch(checked):
        raise EditRefused("alias", text, "64 hex digits name a digest; choose a word such as best or prod")
    if ":" in checked or "/" in checked:
        raise EditRefused("alias", text, "an alias has no colon and no slash")
    return checked


def version(text: object) -> str:
    """What a version is asked for by: `v3`, `latest`, an alias, a digest or its beginning."""
    return _line("version", text, MAX_ALIAS_BYTES)


def stage(text: object) -> str:
    """A stage of a model's version, lower case; empty: in no stage."""
    checked = str(text).strip().lower()
    if checked in ("", "none"):
        return ""
    if not _STAGE.fullmatch(checked):
        raise EditRefused(
            "stage", text, "a word of a-z 0-9 _ - that begins with a letter, such as staging or production"
        )
    return checked


def digest(text: object) -> str:
    checked = str(text)
    if not _DIGEST.fullmatch(checked):
        raise EditRefused("digest", text, "the 64 hex digits of a version, as `runstream artifacts show` prints them")
    return checked


def note(text: object) -> str:
    """Text for people, of several lines if they like."""
    checked = "" if text is None else str(text).replace("\0", "\ufffd")
    size = len(checked.encode("utf-8", "replace"))
    if size > MAX_NOTE_BYTES:
        raise EditRefused("note", checked, f"it has {size} bytes, the limit is {MAX_NOTE_BYTES}; keep it as a file")
    return checked.encode("utf-8", "replace").decode()


def metadata(value: Mapping[str, Any] | str | None) -> str:
    """Metadata as the JSON text of an object, NaN and infinities as strings, secrets masked by name and shape."""
    from runstream.values import typed

    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise EditRefused("metadata", value, f"not JSON ({error})") from None
    if value is not None and not isinstance(value, Mapping):
        raise EditRefused("metadata", type(value).__name__, "a mapping of names and values")
    text = str(typed("", dict(value or {}))["text"])
    try:
        return json.dumps(json.loads(text, parse_constant=str), ensure_ascii=False)
    except ValueError:  # it was too long, and is cut
        raise EditRefused(
            "metadata", text[:40] + "…", f"the limit is {MAX_METADATA_BYTES} bytes of JSON; keep more as a file"
        ) from None


def attribute(key: object) -> str:
    """The key of an attribute of a run that people change."""
    text = str(key)
    if text.startswith("tag:"):
        return "tag:" + tag(text[4:])
    if text.startswith("view:"):
        return "view:" + _line("view", text[5:], MAX_NAME_BYTES)
    if text not in ATTRIBUTES:
        raise EditRefused("attribute", text, f"one of {', '.join(ATTRIBUTES)}, tag:<tag> or view:<name>")
    return text


def _line(what: str, text: object, max_bytes: int) -> str:
    checked = str(text).strip() if text is not None else ""
    if not checked:
        raise EditRefused(what, text, f"it is empty; 1 to {max_bytes} bytes of printable text")
    if not checked.isprintable():
        raise EditRefused(what, text, f"it has a control character; 1 to {max_bytes} bytes of printable text")
    size = len(checked.encode("utf-8", "replace"))
    if size > max_bytes:
        raise EditRefused(what, text, f"it has {size} bytes, the limit is {max_bytes}")
    return checked
