"""`run.tags`: a set whose changes are recorded at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableSet

from runstream.errors import SettingsError
from runstream.notices import warn

MAX_TAG_BYTES = 256


class Tags(MutableSet[str]):
    """The run's tags; each change is recorded at once."""

    def __init__(self, tags: Iterable[str], send: Callable[[dict[str, str | None]], None]) -> None:
        self._tags = set(tags)
        self._send = send

    def __contains__(self, tag: object) -> bool:
        return tag in self._tags

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._tags))

    def __len__(self) -> int:
        return len(self._tags)

    def __repr__(self) -> str:
        return f"Tags({sorted(self._tags)!r})"

    def add(self, value: str) -> None:
        self.replace({*self._tags, value})

    def discard(self, value: str) -> None:
        self.replace(self._tags - {value})

    def replace(self, tags: Iterable[str]) -> None:
        """Make these the tags; a tag that cannot be kept is left out with a warning."""
        wanted = set()
        for tag in [tags] if isinstance(tags, str) else tags:
            try:
                wanted.add(checked_tag(tag))
            except SettingsError as error:
                warn(str(error))
        changes: dict[str, str | None] = {f"tag:{tag}": "true" for tag in sorted(wanted - self._tags)}
        changes.update({f"tag:{tag}": None for tag in sorted(self._tags - wanted)})
        self._tags = wanted
        if changes:
            self._send(changes)


def checked_tag(tag: object) -> str:
    """The tag, stripped. Raises SettingsError for an empty or too long one, or with control characters."""
    text = str(tag).strip()
    if not text or not text.isprintable() or len(text.encode("utf-8", "replace")) > MAX_TAG_BYTES:
        raise SettingsError("tags", tag, f"a tag is printable text of 1 to {MAX_TAG_BYTES} bytes")
    return text
