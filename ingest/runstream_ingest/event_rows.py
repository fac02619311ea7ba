"""What all kinds of events share when they become rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from runstream_ingest.errors import MessageUnusable
from runstream_ingest.versions import version

Row = tuple[Any, ...]
TableRow = tuple[str, Row]
MAX_LABEL_BYTES = 1_024
"""Of the name of a param, series, artifact, model, alias or attribute."""


@dataclass(frozen=True, slots=True)
class Header:
    """The fields that every event has, checked, and the version of the rows that it writes."""

    project: str
    run: int
    writer: int
    attempt: int
    rank: int
    seq: int
    time_us: int
    actor: str
    ver: int
    arrived_us: int
    """By the brokers' clock."""

    @property
    def edit_ver(self) -> int:
        """The version of what people change, too: the last change in time wins, in whatever attempt it was made."""
        return version(0, self.time_us, self.writer)


def label(text: str, what: str) -> str:
    """`text`, a name. Raises MessageUnusable when it is too long."""
    size = len(text.encode())
    if size > MAX_LABEL_BYTES:
        raise MessageUnusable("invalid", f"the name of {what} has {size} bytes; the limit is {MAX_LABEL_BYTES}")
    return text


def one_of(word: str, known: Collection[str], what: str) -> str:
    """`word`. Raises MessageUnusable when it is not known."""
    if word not in known:
        raise MessageUnusable("invalid", f"{what} is {word[:100]!r}; it is one of {', '.join(sorted(known))}")
    return word


def not_negative(number: int, what: str) -> int:
    """`number`. Raises MessageUnusable for one below 0."""
    if number < 0:
        raise MessageUnusable("invalid", f"{what} is {number}; it is not negative")
    return number
