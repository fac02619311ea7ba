"""References: what is known of them is looked up, compared, and never a secret."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from runstream.downloads import File, differences, fetch
from runstream.errors import ArtifactError
from runstream.objects import ObjectStore, open_store
from runstream.references import UNCHECKED, checked_address, known, look_up


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store((tmp_path / "objects").as_uri())


class Web:
    def __init__(self) -> None:
        self.content, self.etag, self.asked = b"weights", "one", 0
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked += 1
                found = self.path == "/model.bin"
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(web.content) if found else 0))
                if found:
                    self.send_header("ETag", f'"{web.etag}"')
                self.end_headers()
                if found and self.command == "GET":
                    self.wfile.write(web.content)

            do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield web
    web.server.shutdown()
    thread.join()
    web.server.server_close()


def reference(address: str, store: object) -> File:
    found = known(address, store)
    return File("model.bin", found.digest, found.size, ref=address)


def test_of_a_web_address_etag_and_size_are_known(web: Web, store: ObjectStore) -> None:
    first = known(f"{web.url}/model.bin", store)
    assert first.size == 7
    assert len(first.digest) == 64
    assert known(f"{web.url}/model.bin", store) == first
    web.etag = "two"
    assert known(f"{web.url}/model.bin", store).digest != first.digest
    assert known(f"{web.url}/other", store) == UNCHECKED


def test_of_a_file_size_and_time_are_known(tmp_path: Path, store: ObjectStore) -> None:
    file = tmp_path / "a b.bin"
    file.write_bytes(b"12345")
    first = known(file.as_uri(), store)
    assert first.size == 5
    file.write_bytes(b"123456")
    assert known(file.as_uri(), store).digest != first.digest
    assert known((tmp_path / "none").as_uri(), store) == UNCHECKED


def test_what_does_not_answer_is_unchecked_and_its_host_not_asked_again(store: ObjectStore) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    found = look_up([f"{address}/{number}" for number in range(2000)], store)
    assert found == [UNCHECKED] * 2000
    assert look_up(["gs://bucket/x", "hf://datasets/x", "s3://bucket/x"], store) == [UNCHECKED] * 3
    assert look_up([], store) == []


@pytest.mark.parametrize(
    "address",
    [
        "https://ann:hunter2@example.org/x",
        "s3://AKIAIOSFODNN7EXAMPLE:secret@bucket/x",
        "https://example.org/x?token=ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "ftp://example.org/x",
        "model.bin",
        "s3://",
        "s3://bucket/a\nb",
        "https://example.org/" + "x" * 5000,
    ],
)
def test_an_address_that_cannot_be_kept_is_refused_without_its_secret(address: str) -> None:
    with pytest.raises(ValueError, match="reference") as refused:
        checked_address(address)
    assert "hunter2" not in str(refused.value)
    assert "ghp_" not in str(refused.value)


def test_a_reference_is_fetched_only_when_asked_and_only_unchanged(
    web: Web, store: ObjectStore, tmp_path: Path
) -> None:
    file = reference(f"{web.url}/model.bin", store)
    fetch([file], tmp_path / "out", store)
    assert list((tmp_path / "out").iterdir()) == []
    fetch([file], tmp_path / "out", store, follow=True)
    assert (tmp_path / "out" / "model.bin").read_bytes() == b"weights"
    assert differences([file], tmp_path, store) == {}
    web.content, web.etag = b"changed", "two"
    assert differences([file], tmp_path, store) == {"model.bin": "changed"}
    with pytest.raises(ArtifactError, match="has changed"):
        fetch([file], tmp_path / "new", store, follow=True)
    assert list((tmp_path / "new").iterdir()) == []


def test_what_cannot_be_fetched_here_says_so(store: ObjectStore, tmp_path: Path) -> None:
    for address, words in (("gs://bucket/x", "its own tools"), ("s3://bucket/x", "RUNSTREAM_S3")):
        with pytest.raises(ArtifactError, match=words):
            fetch([File("x", "", 0, ref=address)], tmp_path / "out", store, follow=True)


def test_objects_of_other_buckets_are_known_and_fetched_with_the_keys_of_the_store(bucket: str, tmp_path: Path) -> None:
    store: Any = open_store(bucket)
    store.put_bytes("data/train.bin", b"train")
    address = f"s3://{urlsplit(bucket).path.strip('/')}/data/train.bin"
    file = reference(address, open_store(bucket))
    assert (file.size, len(file.sha256)) == (5, 64)
    fetch([file], tmp_path / "out", store, follow=True)
    assert (tmp_path / "out" / "model.bin").read_bytes() == b"train"
    store.put_bytes("data/train.bin", b"other")
    assert differences([file], tmp_path, store) == {"model.bin": "changed"}
    assert known(address + "x", store) == UNCHECKED
