"""Garbage collection of the object store: what nothing names any more goes, and what is young, staged or needed stays.

Objects are read in order of key beside what the database names, a range of keys at a time, so that memory is bounded by
the range. An object goes when

1. no version of an artifact that is not deleted names it, and no media of a run that is not deleted or that a fork
   shows (a deletion counts when it is older than the grace time, so that it can be taken back);
2. it is older than the grace time: its event may be on the way, and an agent that is to log it again makes it young;
3. no file in a spool of this host has its content.

The database must not be far behind, or not the right one: see `reasons_against`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from runstream_storage.objects.removal import removing
from runstream_storage.queries.retention import named_count, named_objects

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from runstream.objects import ObjectStat, ObjectStore

PREFIX = "sha256/"
HEX = "0123456789abcdef"
RANGE_NAMES = 200_000
"""About so many names of objects are held in memory."""
DELETES_AT_ONCE = 16
BATCH = 1000
MOST_SHARE = 0.5
"""Of the objects, that may go without being asked twice:"""
FEW = 100
"""in a store of more than so many."""
KINDS = {
    "artifact": "of artifact versions that were deleted",
    "media": "of media of runs that were deleted",
    "unnamed": "that nothing ever named",
}


@runtime_checkable
class KeepsUnfinished(Protocol):
    """A store that keeps parts of unfinished uploads, and can let go of them."""

    def unfinished(self, age_s: float, *, give_up: bool = False) -> tuple[int, int]:
        """Uploads that began longer ago, and the bytes of their parts; with `give_up` they go."""


@dataclasses.dataclass(slots=True)
class Amount:
    objects: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        self.objects += 1
        self.bytes += size


@dataclasses.dataclass(slots=True)
class Collected:
    """What one look at the store found, or removed."""

    looked_at: Amount = dataclasses.field(default_factory=Amount)
    needed: Amount = dataclasses.field(default_factory=Amount)
    young: Amount = dataclasses.field(default_factory=Amount)
    """Not needed, and not older than the grace time."""
    staged: Amount = dataclasses.field(default_factory=Amount)
    """Not needed, but a file in a spool of this host has the content."""
    missing: int = 0
    """Objects that are needed and not there: on their way, or lost."""
    removable: dict[str, Amount] = dataclasses.field(default_factory=lambda: {kind: Amount() for kind in KINDS})

    @property
    def total(self) -> Amount:
        of = self.removable.values()
        return Amount(sum(one.objects for one in of), sum(one.bytes for one in of))

    @property
    def suspicious(self) -> bool:
        """Most of the store would go: rather a wrong database than so much waste."""
        return self.looked_at.objects > FEW and self.total.objects > MOST_SHARE * self.looked_at.objects


def collect(
    client: Client,
    store: ObjectStore,
    *,
    now: datetime,
    grace: timedelta,
    staged: Callable[[], set[str]],
    remove: bool = False,
    progress: Callable[[Collected], object] = lambda _: None,
) -> Collected:
    """What is in the store, and what of it may go at `now`; with `remove` it goes.

    `staged` gives the sha256 of the files in local spools, and is asked once, before anything may go.
    """
    found = Collected()
    oldest_us = int((now - grace).timestamp() * 1e6)
    protected: set[str] | None = None
    for prefix in ranges(named_count(client)):
        named = {
            one.sha256: one
            for block in named_objects(client, prefix=prefix, deleted_before=now - grace)
            for one in block
        }
        needed = {sha256 for sha256, one in named.items() if one.needed}
        batch: list[tuple[str, ObjectStat]] = []
        for stat in _listed(store, prefix):
            sha256 = stat.key.rpartition("/")[2]
            found.looked_at.add(stat.size)
            if sha256 in needed:
                needed.discard(sha256)
                found.needed.add(stat.size)
                continue
            if stat.modified_us > oldest_us:
                found.young.add(stat.size)
                continue
            protected = staged() if protected is None else protected
            if sha256 in protected:
                found.staged.add(stat.size)
                continue
            batch.append((named[sha256].kind if sha256 in named else "unnamed", stat))
            if len(batch) >= BATCH:
                _take(store, batch, found, oldest_us, remove=remove)
                batch = []
                progress(found)
        _take(store, batch, found, oldest_us, remove=remove)
        found.missing += len(needed)
        progress(found)
    return found


def unfinished_uploads(store: object, grace: timedelta, *, remove: bool) -> Amount:
    """Uploads that nobody finished within `grace`; with `remove` they go."""
    if not isinstance(store, KeepsUnfinished):
        return Amount()
    return Amount(*store.unfinished(grace.total_seconds(), give_up=remove))


def staged_contents(spool_dirs: Iterable[Path]) -> set[str]:
    """The sha256 of every file that waits in a spool for its upload."""
    from runstream.agent.deposits import hashed

    found = set()
    for spool_dir in spool_dirs:
        for path in spool_dir.glob("*/*/files/**/*"):
            try:
                if path.is_file():
                    found.add(hashed(path).sha256)
            except FileNotFoundError:
                continue  # it was uploaded meanwhile, and so is young
    return found


def ranges(names: int, at_once: int = RANGE_NAMES) -> list[str]:
    """Beginnings of sha256 that split so many names into parts of `at_once` or fewer, or into 256."""
    if names <= at_once:
        return [""]
    if names <= at_once * len(HEX):
        return list(HEX)
    return [first + second for first in HEX for second in HEX]


def _listed(store: ObjectStore, prefix: str) -> Iterator[ObjectStat]:
    below = f"{PREFIX}{prefix}" if len(prefix) < 2 else f"{PREFIX}{prefix}/"
    for stat in store.list(below):
        parts = stat.key.split("/")
        if len(parts) == 3 and len(parts[2]) == 64:
            yield stat


def _take(
    store: ObjectStore, batch: list[tuple[str, ObjectStat]], found: Collected, oldest_us: int, *, remove: bool
) -> None:
    """Count these objects, and remove them where that is asked for; not one that has become young meanwhile."""
    if not batch:
        return
    gone = [True] * len(batch)
    if remove:
        with removing(store, (stat.key for _, stat in batch)) as marked:

            def one(stat: ObjectStat) -> bool:
                try:
                    if store.stat(stat.key).modified_us > oldest_us or not marked():
                        return False
                    store.delete(stat.key)
                except FileNotFoundError:
                    return False
                return True

            with ThreadPoolExecutor(min(DELETES_AT_ONCE, len(batch))) as pool:
                gone = list(pool.map(one, (stat for _, stat in batch)))
    for (kind, stat), is_gone in zip(batch, gone, strict=True):
        (found.removable[kind] if is_gone else found.young).add(stat.size)


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
