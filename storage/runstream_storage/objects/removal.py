"""How a collection and those who log the same content again keep out of each other's way.

A collection marks the keys it is about to look at for the last time, looks, removes, and takes the mark away. Who finds
an object, and will name it, makes it new first, then waits for the mark to go, then looks whether it is still there. So
either the collection sees that the object is new, or the other sees that it is gone and uploads it.

A mark stands for 1/256 of all keys: content whose sha256 begins with the same two digits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runstream_storage.errors import ObjectNotFound, ObjectStoreUnavailable
from runstream_storage.objects.keys import CONTENT_KEY

if TYPE_CHECKING:
    from runstream.objects import ObjectStore

MARK_S = 600.0
"""A mark that is older was left by a collection that died; one that still runs removes nothing after half of it."""
WAIT_S = 20.0
LOOK_EVERY_S = 0.1


def mark_of(key: str) -> str:
    """The key of the mark under which the object is removed; empty for keys that are not content."""
    match = CONTENT_KEY.fullmatch(key)
    return f"removing/{match[1]}" if match else ""


@contextmanager
def removing(store: ObjectStore, keys: Iterable[str]) -> Iterator[Callable[[], bool]]:
    """Marks the keys; what it gives says whether the marks can still be relied upon. One collection at a time."""
    marks = sorted({mark for key in keys if (mark := mark_of(key))})
    began = time.monotonic()
    try:
        for mark in marks:
            store.put_bytes(mark, b"")
        yield lambda: time.monotonic() - began < MARK_S / 2
    finally:
        for mark in marks:
            store.delete(mark)


def wait_until_not_removed(store: ObjectStore, key: str) -> None:
    """Returns when no collection may be about to remove `key`. Raises ObjectStoreUnavailable: try again later."""
    mark = mark_of(key)
    until = time.monotonic() + WAIT_S
    while mark and _is_marked(store, mark):
        if time.monotonic() > until:
            raise ObjectStoreUnavailable(store=repr(store), reason="a collection removes objects here")
        time.sleep(LOOK_EVERY_S)


def _is_marked(store: ObjectStore, mark: str) -> bool:
    try:
        return time.time() - store.stat(mark).modified_us / 1e6 < MARK_S
    except ObjectNotFound:
        return False
