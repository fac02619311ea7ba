"""Fetching files of a version: in part, side by side, checked, and gone on with."""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from runstream.downloads import File, check_paths, chosen, differences, fetch
from runstream.errors import ArtifactError
from runstream.objects import ObjectStore, object_key, open_store


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store((tmp_path / "objects").as_uri())


def put(store: ObjectStore, path: str, content: bytes) -> File:
    sha256 = hashlib.sha256(content).hexdigest()
    store.put_bytes(object_key(sha256), content)
    return File(path, sha256, len(content))


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


class Cut:
    """A store whose streams break off."""

    def __init__(self, store: ObjectStore, after: int) -> None:
        self.store, self.after = store, after
        self.offsets: list[int] = []

    def open(self, key: str, offset: int = 0) -> BinaryIO:
        self.offsets.append(offset)
        stream = self.store.open(key, offset)
        left = [self.after]

        class Broken:
            def read(self, size: int) -> bytes:
                if left[0] <= 0:
                    raise ConnectionResetError("the connection is gone")
                data = stream.read(min(size, left[0]))
                left[0] -= len(data)
                return data

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                stream.close()

        return Broken()  # type: ignore[return-value]


def test_files_arrive_with_their_content_and_nothing_else(store: ObjectStore, tmp_path: Path) -> None:
    wanted = {f"d{number % 7}/f{number}": random.Random(number).randbytes(number * 37) for number in range(200)}
    came: list[int] = []
    files = [put(store, path, content) for path, content in wanted.items()]
    fetch(files, tmp_path / "out", store, progress=came.append)
    assert contents(tmp_path / "out") == wanted
    assert sum(came) == sum(len(content) for content in wanted.values())


def test_what_is_there_is_kept_and_what_is_damaged_is_fetched_again(store: ObjectStore, tmp_path: Path) -> None:
    files = [put(store, "a", b"first"), put(store, "b", b"second")]
    fetch(files, tmp_path / "out", store)
    before = (tmp_path / "out" / "a").stat().st_ino
    (tmp_path / "out" / "b").write_bytes(b"SECOND")
    assert differences(files, tmp_path / "out", None) == {"b": "changed"}
    fetch(files, tmp_path / "out", store)
    assert (tmp_path / "out" / "a").stat().st_ino == before
    assert differences(files, tmp_path / "out", None) == {}
    (tmp_path / "out" / "a").unlink()
    assert differences(files, tmp_path / "out", None) == {"a": "missing"}


def test_a_file_that_was_cut_off_is_gone_on_with(store: ObjectStore, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(5 << 20)
    file = put(store, "big", content)
    cut: Any = Cut(store, 3 << 20)
    with pytest.raises(ConnectionResetError):
        fetch([file], tmp_path / "out", cut)
    assert "big" not in contents(tmp_path / "out")
    whole: Any = Cut(store, 1 << 40)
    fetch([file], tmp_path / "out", whole)
    assert whole.offsets == [3 << 20]
    assert contents(tmp_path / "out") == {"big": content}


def test_the_beginning_of_another_content_is_not_gone_on_with(store: ObjectStore, tmp_path: Path) -> None:
    file = put(store, "big", b"x" * 1000)
    cut: Any = Cut(store, 500)
    with pytest.raises(ConnectionResetError):
        fetch([file], tmp_path / "out", cut)
    (part,) = (tmp_path / "out").iterdir()
    part.write_bytes(b"y" * 500)
    with pytest.raises(ArtifactError, match="damaged"):
        fetch([file], tmp_path / "out", store)
    assert list((tmp_path / "out").iterdir()) == []
    fetch([file], tmp_path / "out", store)
    assert contents(tmp_path / "out") == {"big": b"x" * 1000}


def test_two_processes_may_fetch_the_same_file_into_one_place(store: ObjectStore, tmp_path: Path) -> None:
    file = put(store, "f", b"content")
    cut: Any = Cut(store, 3)
    with pytest.raises(ConnectionResetError):
        fetch([file], tmp_path / "out", cut)
    (part,) = (tmp_path / "out").iterdir()
    with part.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        fetch([file], tmp_path / "out", store)
    assert (tmp_path / "out" / "f").read_bytes() == b"content"
    assert part.read_bytes() == b"con"


def test_an_object_that_is_gone_is_named(store: ObjectStore, tmp_path: Path) -> None:
    file = put(store, "f", b"content")
    store.delete(object_key(file.sha256))
    with pytest.raises(ArtifactError, match=r"f is not in the object store"):
        fetch([file, put(store, "g", b"other")], tmp_path / "out", store)


@pytest.mark.parametrize("what", ["link", "linked directory", "device", "directory", "file for a directory"])
def test_nothing_is_written_through_what_is_there_already(store: ObjectStore, tmp_path: Path, what: str) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    (outside / "f").write_bytes(b"mine")
    (out / "d").mkdir(parents=True)
    path = "d/f"
    if what == "link":
        (out / "d" / "f").symlink_to(outside / "f")
    elif what == "linked directory":
        (out / "d").rmdir()
        (out / "d").symlink_to(outside)
    elif what == "device":
        os.mkfifo(out / "d" / "f")
    elif what == "directory":
        (out / "d" / "f").mkdir()
    else:
        path = "d/g/f"
        (out / "d" / "g").write_bytes(b"")
    with pytest.raises(ArtifactError, match="nothing is written through it"):
        fetch([put(store, path, b"theirs")], out, store)
    assert contents(outside) == {"f": b"mine"}


def test_files_that_clash_are_not_fetched_together(store: ObjectStore) -> None:
    with pytest.raises(ArtifactError, match="only="):
        check_paths([put(store, "a", b""), put(store, "a/b", b"")])


@pytest.mark.parametrize(
    ("only", "paths"),
    [
        (None, ["a.json", "d/b.json", "d/c.bin"]),
        ("*.json", ["a.json", "d/b.json"]),
        ("d/*", ["d/b.json", "d/c.bin"]),
        (["a.*", "c.*"], ["a.json", "d/c.bin"]),
        (lambda path: path.endswith("n"), ["a.json", "d/b.json", "d/c.bin"]),
    ],
)
def test_some_of_the_files_can_be_chosen(only: Any, paths: list[str]) -> None:
    files = [File(path, "", 0) for path in ("a.json", "d/b.json", "d/c.bin")]
    assert [file.path for file in chosen(files, only)] == paths


def test_a_choice_of_nothing_is_told() -> None:
    with pytest.raises(ArtifactError, match=r"None of the 1 files"):
        chosen([File("a", "", 0)], "*.json")
