"""Large files to an S3 store: in parts, gone on with after a death, and never wrong."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runstream_storage.errors import ChecksumMismatch, ObjectStoreUnavailable
from runstream_storage.objects import S3Store, object_key
from runstream_storage.objects.multipart import MAX_PARTS, PART_BYTES, part_size

pytestmark = pytest.mark.s3

DYING = """
import os, signal, sys, time
from pathlib import Path
from runstream_storage.objects import S3Store
from runstream_storage.objects.multipart import PART_BYTES, Parts
url, path, key, sha256 = sys.argv[1:]
send = Parts._send_part
def dying(parts, key, data, upload, number):
    if number > 3:
        while parts.sent_bytes < 2 * PART_BYTES:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGKILL)
    return send(parts, key, data, upload, number)
Parts._send_part = dying
S3Store(url).put_file(key, Path(path), sha256)
"""


def a_file(path: Path, size: int) -> tuple[Path, str, str]:
    """The file, its sha256 and its key."""
    path.write_bytes(os.urandom(size))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return path, sha256, object_key(sha256)


def content(store: S3Store, key: str) -> str:
    with store.open(key) as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def unfinished(store: S3Store, key: str) -> list[str]:
    found = store._client._list_multipart_uploads(store.bucket, prefix=key)
    return [str(upload.upload_id) for upload in found.uploads]


def parts_there(store: S3Store, key: str) -> int:
    ids = unfinished(store, key)
    return len(store._client._list_parts(store.bucket, key, ids[0]).parts) if ids else 0


@pytest.mark.parametrize("size", [PART_BYTES + 1, 2 * PART_BYTES, 3 * PART_BYTES - 1])
def test_a_file_of_several_parts_is_sent_once(bucket: str, tmp_path: Path, size: int) -> None:
    path, sha256, key = a_file(tmp_path / "f", size)
    store = S3Store(bucket)
    store.put_file(key, path, sha256)
    assert content(store, key) == sha256
    assert store.sent_part_bytes == size
    assert unfinished(store, key) == []


@pytest.mark.real
def test_a_killed_upload_is_gone_on_with_and_what_arrived_is_not_sent_again(bucket: str, tmp_path: Path) -> None:
    path, sha256, key = a_file(tmp_path / "f", 64 << 20)
    store = S3Store(bucket)
    store.put_bytes("a", b"")
    done = subprocess.run([sys.executable, "-c", DYING, bucket, str(path), key, sha256], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not store.exists(key)
    arrived = parts_there(store, key)
    store.put_file(key, path, sha256)
    assert content(store, key) == sha256
    assert 2 <= arrived <= 3
    # What was in flight may have arrived since; what had arrived is not sent again.
    assert store.sent_part_bytes <= (64 << 20) - arrived * PART_BYTES
    assert unfinished(store, key) == []


@pytest.mark.real
def test_parts_of_other_bytes_are_sent_again(bucket: str, tmp_path: Path) -> None:
    path, sha256, key = a_file(tmp_path / "f", 3 * PART_BYTES)
    store = S3Store(bucket)
    client = store._client
    store.put_bytes("a", b"")
    upload = client._create_multipart_upload(store.bucket, key, {})
    client._upload_part(store.bucket, key, path.read_bytes()[:PART_BYTES], None, upload, 1)
    client._upload_part(store.bucket, key, bytes(PART_BYTES), None, upload, 2)
    client._upload_part(store.bucket, key, b"longer than it should be", None, upload, 9)
    store.put_file(key, path, sha256)
    assert content(store, key) == sha256
    assert store.sent_part_bytes == 2 * PART_BYTES


def test_a_file_that_is_not_what_was_promised_leaves_no_parts(bucket: str, tmp_path: Path) -> None:
    path, _, _ = a_file(tmp_path / "f", 2 * PART_BYTES)
    store = S3Store(bucket)
    key = object_key("0" * 64)
    with pytest.raises(ChecksumMismatch):
        store.put_file(key, path, "0" * 64)
    assert unfinished(store, key) == []
    assert not store.exists(key)


def test_a_closed_store_stops_and_its_parts_stay(bucket: str, tmp_path: Path) -> None:
    path, sha256, key = a_file(tmp_path / "f", 3 * PART_BYTES)
    store = S3Store(bucket)
    store.put_bytes("a", b"")
    store.close()
    with pytest.raises(ObjectStoreUnavailable, match="closed") as caught:
        store.put_file(key, path, sha256)
    assert caught.value.retriable
    S3Store(bucket).put_file(key, path, sha256)
    assert content(S3Store(bucket), key) == sha256


# moto answers the second completion of an upload with 500.
@pytest.mark.real
def test_two_stores_may_send_the_same_at_once(bucket: str, tmp_path: Path) -> None:
    path, sha256, key = a_file(tmp_path / "f", 4 * PART_BYTES)
    errors: list[Exception] = []

    def send() -> None:
        try:
            S3Store(bucket).put_file(key, path, sha256)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert content(S3Store(bucket), key) == sha256


@pytest.mark.parametrize("size", [1, 10**9, 83 * 10**9, 10**11, 5 * 10**12])
def test_no_file_has_more_parts_than_s3_takes(size: int) -> None:
    part = part_size(size)
    assert -(-size // part) <= MAX_PARTS
    assert part % (1 << 20) == 0
    assert part <= 5 << 30


@pytest.mark.real
def test_old_unfinished_uploads_are_counted_and_given_up(bucket: str) -> None:
    store = S3Store(bucket)
    assert store.unfinished(0) == (0, 0)
    store.put_bytes("a", b"")
    client = store._client
    for key, parts in ((object_key("ab" * 32), [b"one", b"three"]), (object_key("cd" * 32), []), ("of/others", [b"x"])):
        upload = client._create_multipart_upload(store.bucket, key, {})
        for number, data in enumerate(parts, 1):
            client._upload_part(store.bucket, key, data, None, upload, number)
    assert store.unfinished(3600) == (0, 0)
    assert store.unfinished(-3600) == (2, 8)
    assert store.unfinished(-3600, give_up=True) == (2, 8)
    assert store.unfinished(-3600) == (0, 0)
    assert unfinished(store, "of/others")


@pytest.mark.real
def test_an_upload_that_began_long_ago_and_goes_on_is_not_given_up(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, key = S3Store(bucket), object_key("ab" * 32)
    store.put_bytes("a", b"")
    client = store._client
    upload = client._create_multipart_upload(store.bucket, key, {})
    client._upload_part(store.bucket, key, b"one", None, upload, 1)
    listed = client._list_multipart_uploads

    def began_long_ago(*of: Any, **how: Any) -> Any:
        page = listed(*of, **how)
        began = datetime.now(UTC) - timedelta(days=3)
        old = [
            SimpleNamespace(object_name=o.object_name, upload_id=o.upload_id, initiated_time=began)
            for o in page.uploads
        ]
        return SimpleNamespace(uploads=old, is_truncated=False, next_key_marker=None)

    monkeypatch.setattr(client, "_list_multipart_uploads", began_long_ago)
    assert store.unfinished(3600, give_up=True) == (0, 0)
    assert unfinished(store, key) == [upload]
    assert store.unfinished(-3600, give_up=True) == (1, 3)
