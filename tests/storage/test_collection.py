"""A collection on another host, while the upload of an artifact lasts longer than the grace time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runstream.agent.uploads import Uploader
from runstream.objects import FileState, object_key
from runstream_deploy.operations.collection import collect
from runstream_storage.connection import connect
from runstream_storage.objects import ObjectStore, open_store

GRACE = timedelta(hours=24)
DAYS = timedelta(hours=30)
FIRST, LAST = "a/first.bin", "z/last.bin"


class Slow:
    """A store to which the last file takes days: all others are there, then `meanwhile` is called, then it arrives."""

    def __init__(self, store: ObjectStore, others: int, meanwhile: Callable[[], object]) -> None:
        self._store = store
        self._others = threading.Semaphore(0)
        self._count = others
        self._meanwhile: Callable[[], object] | None = meanwhile
        self.puts: list[bytes] = []

    def renew(self, key: str, size: int) -> bool:
        return self._store.renew(key, size)

    def put_file(self, key: str, path: Path, sha256: str, seen: FileState | None = None) -> None:
        if path.name == Path(LAST).name and self._meanwhile is not None:
            for _ in range(self._count):
                self._others.acquire()
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        self._store.put_file(key, path, sha256, seen)
        self.puts.append(path.read_bytes())
        self._others.release()


@pytest.fixture(params=["directory", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "directory":
        return open_store((tmp_path / "objects").as_uri())
    return open_store(request.getfixturevalue("bucket"))


def staged(directory: Path, files: dict[str, bytes]) -> dict[str, Any]:
    for name, data in files.items():
        path = directory / "files/1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    listed = [{"path": name, "size": len(data)} for name, data in files.items()]
    return {"name": "net", "artifact_type": "model", "stage": "files/1", "files": listed}


def upload(directory: Path, objects: Slow, files: dict[str, bytes], clock: Callable[[], float]) -> list[dict[str, Any]]:
    async def through() -> list[dict[str, Any]]:
        uploader = Uploader(objects, clock)
        try:
            event = await uploader.upload(directory, staged(directory, files))
        finally:
            await uploader.close()
        announced: list[dict[str, Any]] = event["files"]
        return announced

    return asyncio.run(through())


@pytest.mark.clickhouse
@pytest.mark.parametrize("others", [1, 150])
def test_what_a_collection_takes_of_a_long_upload_is_sent_again_before_it_is_announced(
    store: ObjectStore, database: str, tmp_path: Path, others: int
) -> None:
    files = {FIRST: b"first"} | {f"m/{n}.bin": f"{n}".encode() for n in range(others - 1)} | {LAST: b"last"}
    passed, freed = [0.0], []
    client = connect(database)

    def days_later() -> None:
        passed[0] += DAYS.total_seconds()
        now = datetime.now(UTC) + DAYS
        freed.append(collect(client, store, now=now, grace=GRACE, staged=set, remove=True).total.objects)

    objects = Slow(store, others, days_later)
    announced = upload(tmp_path / "writer", objects, files, lambda: passed[0])
    client.close()
    assert freed[0] > 0
    assert [file["path"] for file in announced] == list(files)
    for file in announced:
        with store.open(object_key(file["sha256"])) as stream:
            assert stream.read() == files[file["path"]]
    assert objects.puts.count(b"first") == 2
    assert objects.puts.count(b"last") == 1


def test_what_no_collection_took_is_young_when_it_is_announced(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    store, passed = open_store(root.as_uri()), [0.0]
    long_ago = (datetime.now(UTC) - DAYS).timestamp()

    def days_later() -> None:
        passed[0] += DAYS.total_seconds()
        for path in root.glob("sha256/*/*"):
            os.utime(path, (long_ago, long_ago))

    objects = Slow(store, 1, days_later)
    announced = upload(tmp_path / "writer", objects, {FIRST: b"first", LAST: b"last"}, lambda: passed[0])
    for file in announced:
        assert store.stat(object_key(file["sha256"])).modified_us / 1e6 > long_ago + GRACE.total_seconds()
    assert len(objects.puts) == 2


def test_a_short_upload_is_not_looked_for_again(tmp_path: Path) -> None:
    store = open_store((tmp_path / "objects").as_uri())
    objects = Slow(store, 1, lambda: None)
    renewed: list[str] = []
    renew = objects.renew
    objects.renew = lambda key, size: renewed.append(key) or renew(key, size)  # type: ignore[method-assign, func-returns-value]
    upload(tmp_path / "writer", objects, {FIRST: b"first", LAST: b"last"}, lambda: 0.0)
    assert len(renewed) == 2


@pytest.mark.clickhouse
def test_a_staged_file_that_changed_is_announced_as_it_is_when_the_old_content_is_gone(
    database: str, tmp_path: Path
) -> None:
    store, passed = open_store((tmp_path / "objects").as_uri()), [0.0]
    client = connect(database)

    def days_later() -> None:
        passed[0] += DAYS.total_seconds()
        collect(client, store, now=datetime.now(UTC) + DAYS, grace=GRACE, staged=set, remove=True)
        (tmp_path / "writer/files/1" / FIRST).write_bytes(b"changed in place")

    objects = Slow(store, 1, days_later)
    announced = upload(tmp_path / "writer", objects, {FIRST: b"first", LAST: b"last"}, lambda: passed[0])
    client.close()
    with store.open(object_key(announced[0]["sha256"])) as stream:
        assert stream.read() == b"changed in place"
    assert announced[0]["size"] == len(b"changed in place")
