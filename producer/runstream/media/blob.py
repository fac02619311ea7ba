"""What every rich value becomes when it is logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

MAX_CAPTION_BYTES = 4096
MAX_METADATA_BYTES = 256 << 10

Warn = Callable[[str], None]
"""Takes what is not as it should be, as a sentence without the value's name."""


class ValueRefused(ValueError):
    """A value that cannot be kept; the text names it, the limit and the remedy."""


@dataclass(slots=True)
class Blob:
    """One object of a series: its bytes, and what is said of it. docs/values.md lists the metadata of each kind."""

    kind: str
    mime: str
    file: str
    """The file's name beside the spool: a plain word and the extension."""
    content: bytes | Path | Iterable[bytes]
    """The bytes, where they are, or pieces of them; a path is copied."""
    caption: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    """Objects that the metadata or the bytes name by their content."""


@dataclass(slots=True)
class Part:
    """An object below another one: logged as `<name of the other>/<below>`."""

    below: str
    index: int | None
    """None: that of the other one."""
    blob: Blob


class Media:
    """A value that is kept as a blob. Making one never raises; what is wrong with it is said when it is logged."""

    rich_kind: ClassVar[str]
    """By this `log()` knows a rich value without loading this module."""

    def blob(self, warn: Warn) -> Blob:
        """Read the value and encode it. Raises ValueRefused or OSError, or what the user's own object raises."""
        raise NotImplementedError


def labels_of(classes: object) -> dict[str, str]:
    """Number to label, as text both, of a mapping, a list of labels, or a list of `{"id", "name"}`."""
    if isinstance(classes, Mapping):
        return {str(number): str(label) for number, label in classes.items()}
    out = {}
    for place, entry in enumerate(classes if isinstance(classes, Iterable) else ()):
        if isinstance(entry, Mapping):
            out[str(entry.get("id", place))] = str(entry.get("name", place))
        else:
            out[str(place)] = str(entry)
    return out
