"""One suite over every object store."""

import hashlib
import os
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runstream.objects import FileState
from runstream_storage.errors import (
    ChecksumMismatch,
    InvalidKey,
    ObjectError,
    ObjectNotFound,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
)
from runstream_storage.objects import DirectoryStore, ObjectStore, S3Store, object_key, open_store
from runstream_storage.objects.removal import mark_of, removing


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(params=["directory", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "directory":
        return open_store((tmp_path / "objects").as_uri())
    return open_store(request.getfixturevalue("bucket"))


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    def make(data: bytes) -> Path:
        path = tmp_path / "source.bin"
        path.write_bytes(data)
        return path

    return make


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_a_file_comes_back_byte_for_byte(
    store: ObjectStore, file: Callable[[bytes], Path], tmp_path: Path, size: int
) -> None:
    data = os.urandom(size)
    key = object_key(sha256(data))
    store.put_file(key, file(data), sha256(data))
    store.get_file(key, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    with store.open(key) as stream:
        assert stream.read() == data
    assert (store.stat(key).key, store.stat(key).size) == (key, size)
    assert abs(store.stat(key).modified_us / 1e6 - time.time()) < 3600


def test_a_file_of_several_parts_comes_back(store: ObjectStore, file: Callable[[bytes], Path], tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * 40
    store.put_file("large", file(data), sha256(data))
    store.get_file("large", tmp_path / "back")
    assert sha256((tmp_path / "back").read_bytes()) == sha256(data)


@pytest.mark.parametrize("size", [0, 100, 40 << 20])
def test_a_file_that_is_not_what_was_promised_is_not_kept(
    store: ObjectStore, file: Callable[[bytes], Path], size: int
) -> None:
    with pytest.raises(ChecksumMismatch):
        store.put_file("a/b", file(bytes(size)), sha256(b"something else"))
    assert not store.exists("a/b")
    assert list(store.list("")) == []


@pytest.mark.parametrize("size", [100, 40 << 20])
def test_a_file_that_the_caller_has_hashed_is_checked_by_its_state(
    store: ObjectStore, file: Callable[[bytes], Path], tmp_path: Path, size: int
) -> None:
    data = os.urandom(size)
    path = file(data)
    with path.open("rb") as source:
        seen = FileState.of(source.fileno())
    store.put_file("a", path, sha256(data), seen)
    store.get_file("a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    path.write_bytes(os.urandom(size))
    os.utime(path, ns=(seen.mtime_ns + 1000, seen.mtime_ns + 1000))
    with pytest.raises(ChecksumMismatch):
        store.put_file("b", path, sha256(data), seen)
    assert not store.exists("b")


def test_a_refused_file_leaves_the_object_that_was_there(store: ObjectStore, file: Callable[[bytes], Path]) -> None:
    store.put_bytes("a", b"good")
    with pytest.raises(ChecksumMismatch):
        store.put_file("a", file(b"bad"), sha256(b"good"))
    with store.open("a") as stream:
        assert stream.read() == b"good"


def test_bytes_under_a_content_key_must_be_that_content(store: ObjectStore) -> None:
    with pytest.raises(ChecksumMismatch):
        store.put_bytes(object_key(sha256(b"a")), b"b")
    store.put_bytes(object_key(sha256(b"a")), b"a")
    assert store.exists(object_key(sha256(b"a")))


def test_an_object_that_is_wanted_again_counts_as_new(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstream_storage.objects.s3.RENEW_AFTER_S", -3600)
    assert not store.renew("k", 4)
    store.put_bytes("k", b"data")
    before = store.stat("k").modified_us
    deadline = time.monotonic() + 60
    while store.stat("k").modified_us == before and time.monotonic() < deadline:
        assert store.renew("k", 4)
        time.sleep(0.1)  # stores tell times in seconds
    assert store.stat("k").modified_us > before
    with store.open("k") as stream:
        assert stream.read() == b"data"


def test_an_object_of_another_length_is_as_none_and_is_stored_again(store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "whole"
    path.write_bytes(b"data")
    store.put_bytes("k", b"dat")
    assert not store.renew("k", 4)
    store.put_file("k", path, sha256(b"data"))
    assert store.renew("k", 4)
    with store.open("k") as stream:
        assert stream.read() == b"data"


@pytest.mark.parametrize("removed", [True, False])
def test_who_wants_an_object_that_a_collection_looks_at_waits_for_the_outcome(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, removed: bool
) -> None:
    monkeypatch.setattr("runstream_storage.objects.s3.RENEW_AFTER_S", -3600)
    key = object_key(sha256(b"data"))
    store.put_bytes(key, b"data")
    looked = threading.Event()
    stat = store.stat

    def watched(asked: str) -> Any:
        if asked.startswith("removing/"):
            looked.set()
        return stat(asked)

    monkeypatch.setattr(store, "stat", watched)
    with ThreadPoolExecutor(1) as pool:
        with removing(store, [key]) as marked:
            wanted = pool.submit(store.renew, key, 4)
            assert looked.wait(60)
            assert marked()
            if removed:
                store.delete(key)
        assert wanted.result(60) is not removed
    assert [found.key for found in store.list("")] == ([] if removed else [key])


def test_a_collection_that_goes_on_is_waited_for_only_so_long(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runstream_storage.objects.s3.RENEW_AFTER_S", -3600)
    monkeypatch.setattr("runstream_storage.objects.removal.WAIT_S", 0.01)
    key = object_key(sha256(b"data"))
    store.put_bytes(key, b"data")
    with removing(store, [key]), pytest.raises(ObjectStoreUnavailable, match="a collection removes"):
        store.renew(key, 4)


def test_the_mark_of_a_collection_that_died_holds_nobody_up(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path.as_uri())
    key = object_key(sha256(b"data"))
    store.put_bytes(key, b"data")
    store.put_bytes(mark_of(key), b"")
    os.utime(tmp_path / mark_of(key), (1, 1))
    assert store.renew(key, 4)


def test_a_part_of_an_object_can_be_read(store: ObjectStore) -> None:
    store.put_bytes("k", b"0123456789")
    with store.open("k", 7) as stream:
        assert stream.read() == b"789"


def test_putting_the_same_again_changes_nothing(store: ObjectStore, file: Callable[[bytes], Path]) -> None:
    for _ in range(2):
        store.put_file("k", file(b"data"), sha256(b"data"))
    assert [found.key for found in store.list("")] == ["k"]


def test_a_missing_object_says_so(store: ObjectStore, tmp_path: Path) -> None:
    assert not store.exists("nothing")
    assert not store.exists("nothing/below")
    for ask in (store.open, store.stat, lambda key: store.get_file(key, tmp_path / "x")):
        with pytest.raises(ObjectNotFound, match="no object nothing") as caught:
            ask("nothing")  # type: ignore[operator]
        assert isinstance(caught.value, FileNotFoundError)
    assert not (tmp_path / "x").exists()


def test_deleting_is_done_when_there_is_nothing_left(store: ObjectStore) -> None:
    store.put_bytes("a/b", b"1")
    store.delete("a/b")
    store.delete("a/b")
    assert not store.exists("a/b")


def test_a_list_is_in_order_of_key_and_takes_any_beginning(store: ObjectStore) -> None:
    keys = ["a", "a-b/c", "a.b", "a/b", "a/b-c", "a/b/c/d", "ab", "b/a"]
    keys.remove("a")  # S3 may hold both "a" and "a/b", a directory cannot
    keys.remove("a/b")
    for key in keys:
        store.put_bytes(key, b"xy")
    assert [found.key for found in store.list("")] == sorted(keys)
    assert [found.key for found in store.list("a/")] == ["a/b-c", "a/b/c/d"]
    assert [found.key for found in store.list("a/b/")] == ["a/b/c/d"]
    assert [found.key for found in store.list("a-")] == ["a-b/c"]
    assert [found.key for found in store.list("zz/y")] == []
    assert {found.size for found in store.list("")} == {2}


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        ".",
        "a\\b",
        "a\0b",
        "a b",
        "ü",
        "a" * 256,
        "a/" * 600 + "a",
    ],
)
def test_a_key_that_leaves_its_place_is_refused(store: ObjectStore, key: str, tmp_path: Path) -> None:
    source = tmp_path / "f"
    source.write_bytes(b"")
    for call in (
        lambda: store.put_bytes(key, b""),
        lambda: store.put_file(key, source, sha256(b"")),
        lambda: store.open(key),
        lambda: store.get_file(key, tmp_path / "x"),
        lambda: store.stat(key),
        lambda: store.exists(key),
        lambda: store.url(key, 60),
        lambda: store.delete(key),
    ):
        with pytest.raises(InvalidKey):
            call()


def test_a_list_of_a_place_outside_is_refused(store: ObjectStore) -> None:
    for prefix in ("../", "a/../../", "/etc", "\0"):
        with pytest.raises(InvalidKey):
            list(store.list(prefix))


def test_threads_may_share_a_store(store: ObjectStore, tmp_path: Path) -> None:
    contents = {object_key(sha256(data)): data for data in (os.urandom(10_000) for _ in range(20))}

    def work(key: str) -> bytes:
        path = tmp_path / key.replace("/", "_")
        path.write_bytes(contents[key])
        store.put_file(key, path, sha256(contents[key]))
        with store.open(key) as stream:
            return stream.read()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, list(contents) * 2)) == list(contents.values()) * 2


def test_the_same_object_may_arrive_twice_at_once(store: ObjectStore, tmp_path: Path) -> None:
    data = os.urandom(2_000_000)
    (tmp_path / "f").write_bytes(data)
    threads = [threading.Thread(target=store.put_file, args=("same", tmp_path / "f", sha256(data))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.open("same") as stream:
        assert stream.read() == data


def test_an_address_serves_the_object(store: ObjectStore) -> None:
    store.put_bytes("a/b.txt", b"content")
    with urllib.request.urlopen(store.url("a/b.txt", 60)) as answer:
        assert answer.read() == b"content"


# A directory


def test_a_directory_checks_what_it_gives_out(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path.as_uri())
    key = object_key(sha256(b"data"))
    store.put_bytes(key, b"data")
    (tmp_path / key).write_bytes(b"dame")
    with pytest.raises(ChecksumMismatch):
        store.get_file(key, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_directory_forgets_old_unfinished_uploads_only(tmp_path: Path) -> None:
    DirectoryStore(tmp_path.as_uri())
    old, new = tmp_path / ".incoming" / "old", tmp_path / ".incoming" / "new"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    store = DirectoryStore(tmp_path.as_uri())
    assert not old.exists()
    assert new.exists()
    assert store.unfinished(3600) == (0, 0)
    assert store.unfinished(-3600) == (1, 1)
    assert list(store.list("")) == []
    with pytest.raises(InvalidKey):
        store.open(".incoming/new")


@pytest.mark.parametrize("url", ["file://host/a", "file:relative", "http://a/b", "/a"])
def test_a_directory_has_an_absolute_file_url(url: str) -> None:
    with pytest.raises(ObjectError, match="file:///absolute/path"):
        DirectoryStore(url)


# S3


@pytest.mark.parametrize("url", ["http://host", "http://host/a/b", "s3://a/b", "file:///a"])
def test_an_s3_url_names_host_and_bucket(url: str) -> None:
    with pytest.raises(ObjectError, match="access:secret@host:port/bucket"):
        S3Store(url)


@pytest.mark.s3
def test_a_missing_bucket_is_made_with_the_first_object(bucket: str) -> None:
    store = S3Store(bucket + "-new")
    assert not store.exists("a")
    assert list(store.list("")) == []
    store.delete("a")
    store.put_bytes("a", b"1")
    assert [found.key for found in store.list("")] == ["a"]
    store.delete("a")
    store._client.remove_bucket(bucket_name=store.bucket)


@pytest.mark.s3
def test_many_first_objects_make_one_bucket(bucket: str) -> None:
    store = S3Store(bucket + "-many")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.put_bytes(f"k{number}", b"1"), range(16)))
    assert len(list(store.list(""))) == 16
    for number in range(16):
        store.delete(f"k{number}")
    store._client.remove_bucket(bucket_name=store.bucket)


@pytest.mark.s3
def test_an_address_is_good_for_this_object_for_a_time(bucket: str) -> None:
    store = S3Store(bucket)
    for expires_s in (0, 8 * 24 * 3600):
        with pytest.raises(ObjectError, match="1 to 604800"):
            store.url("a", expires_s)
    assert "X-Amz-Expires=60" in store.url("a", 60)


@pytest.mark.s3
def test_an_address_names_the_file_and_its_type(bucket: str) -> None:
    store = S3Store(bucket)
    store.put_bytes("a", b"content")
    address = store.url("a", 60, content_type="image/png", disposition='attachment; filename="b c.png"')
    with urllib.request.urlopen(address) as answer:
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="b c.png"'


@pytest.mark.s3
@pytest.mark.real
def test_wrong_keys_are_refused_without_showing_them(bucket: str) -> None:
    _, _, place = bucket.partition("@")
    store = S3Store(f"http://nobody:hunter22@{place}")
    with pytest.raises(ObjectStoreRefused) as caught:
        store.put_bytes("a", b"1")
    assert "hunter22" not in str(caught.value) + repr(store)
    assert not caught.value.retriable


def test_a_store_that_does_not_answer_may_be_tried_again() -> None:
    store = S3Store("http://a:secretsecret@127.0.0.1:9/bucket")
    with pytest.raises(ObjectStoreUnavailable) as caught:
        store.exists("a")
    assert caught.value.retriable
    assert "secretsecret" not in str(caught.value)
