"""Files of artifacts and media: what waits for the object store, what is lost, and whether the store has the rest.

A file is one object for all that name it, so a content is looked up once, whoever names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from runstream.objects import object_key
from runstream_deploy.audit.report import Kind, Problem, Report, Scope
from runstream_deploy.operations.collection import RANGE_NAMES, ranges
from runstream_storage.errors import ChecksumMismatch, ObjectNotFound
from runstream_storage.execution import rows
from runstream_storage.objects.keys import copy_checked
from runstream_storage.queries.retention import named_count

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from runstream.objects import ObjectStore

AT_ONCE = 16
CHUNK_BYTES = 1 << 20
SHOW_EVERY = 100
NAMES_OF_A_QUESTION = 1_000_000
"""For which the database needs half a GiB; where only those that are not stored come back, we need next to none."""


class Content(NamedTuple):
    """`size` bytes with this sha256; `state` is what the database knows of it: stored, pending or lost. `what`, in
    `project` and `run_id`, is one of those that name it."""

    sha256: str
    size: int
    state: str
    project: str
    run_id: str
    what: str


def awaited(client: Client, scope: Scope, report: Report) -> None:
    """What the database knows to be on its way to the object store, and to be lost on that way."""
    of = {"project": scope.project, "run": scope.run_id}
    for project, run, kind, name, count, state, reason in rows(client, "audit_awaited", **of):
        what = f"artifact {name}" if kind == "ArtifactLogged" else f"version of the model {name}"
        if state == "lost":
            report.add(Problem("lost file", f"{what}: {reason}", count, project, run))
        else:
            report.on_the_way_files += count


def known(client: Client, scope: Scope, report: Report) -> None:
    """Media whose bytes the database knows to be on their way, or lost."""
    for block, _ in _contents(client, scope, stored=False):
        for content in block:
            _not_there(report, content)


def compare(
    client: Client,
    store: ObjectStore,
    scope: Scope,
    report: Report,
    *,
    deep: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Asks the store for every content that something names: is it there, in its whole length? With `deep` it is read,
    and its sha256 computed. Memory does not grow with their number.

    Raises StorageError when the database or the store does not answer.
    """
    damage = partial(_damage, store, deep=deep)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="runstream-verify") as pool:
        for block, blocks_left in _contents(client, scope, stored=True):
            total = report.objects + len(block) * (1 + blocks_left)
            for content, text in zip(block, pool.map(damage, block), strict=True):
                report.objects += 1
                if text is None:
                    _not_there(report, content)
                elif text:
                    _add(report, content, "damaged object", text)
                if progress is not None and report.objects % SHOW_EVERY == 0:
                    progress(report.objects, total)
        if progress is not None:
            progress(report.objects, report.objects)


def _contents(client: Client, scope: Scope, *, stored: bool) -> Iterator[tuple[list[Content], int]]:
    """In lists that fit into memory and are about equally long, each with how many follow. Each is read to its end
    before you see it: to read objects takes its time."""
    at_once = RANGE_NAMES if stored else NAMES_OF_A_QUESTION
    prefixes = ranges(named_count(client, project=scope.project, run_id=scope.run_id), at_once)
    of = {"project": scope.project, "run": scope.run_id, "stored": int(stored)}
    for place, prefix in enumerate(prefixes, 1):
        found = rows(client, "audit_files", **of, prefix=prefix)
        yield [Content(*row) for row in found], len(prefixes) - place


def _damage(store: ObjectStore, content: Content, *, deep: bool) -> str | None:
    """What is wrong with the object, empty when nothing is; None: it is not there."""
    key = object_key(content.sha256)
    try:
        size = store.stat(key).size
        if size != content.size:
            return f"{key} has {size:,} bytes in place of {content.size:,}"
        if deep:
            with store.open(key) as source:
                copy_checked(source, len, key=key, expected=content.sha256, chunk=CHUNK_BYTES)  # copied nowhere
    except ObjectNotFound:
        return None
    except ChecksumMismatch as error:
        return f"{key} has other bytes: their sha256 is {error.found}"
    return ""


def _not_there(report: Report, content: Content) -> None:
    """What it means that the store does not have it, by what the database knows."""
    if content.state == "pending":
        report.on_the_way_files += 1
    elif content.state == "lost":
        _add(report, content, "lost file", "its file was gone before it was sent")
    else:
        what = f"{object_key(content.sha256)}, {content.size:,} bytes, is not in the object store"
        _add(report, content, "missing object", what)


def _add(report: Report, content: Content, kind: Kind, text: str) -> None:
    report.add(Problem(kind, f"{content.what}: {text}", 1, content.project, content.run_id))
