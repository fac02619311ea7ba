"""An answer that breaks off is an error wherever it does; it never reads as one that says nothing."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from urllib3.exceptions import HTTPError

from runstream_ingest.clickhouse import ClickHouseInserter
from runstream_ingest.errors import InsertUnavailable
from runstream_storage.whole_answers import pool_for

START = b"HTTP/1.1 200 OK\r\nX-ClickHouse-Progress: {}\r\nContent-Type: application/octet-stream\r\n"
ANSWERS = {
    "in chunks": START + b"Transfer-Encoding: chunked\r\nX-ClickHouse-Timezone: UTC\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "of a length": START + b"Content-Length: 3\r\nX-ClickHouse-Timezone: UTC\r\n\r\nabc",
}
Serve = Callable[[bytes], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Answers each request with the given bytes and closes the connection; returns the port."""
    said = b""

    def answer(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                _read_request(client)  # all of it: what is left unread resets the connection, and the answer with it
                client.sendall(said)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def start(data: bytes) -> int:
            nonlocal said
            said = data
            return int(listener.getsockname()[1])

        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        yield start
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def _read_request(client: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(1 << 16)
        if not more:
            return
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    while length and len(body) < int(length[1]) and (more := client.recv(1 << 16)):
        body += more


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_cut_at_any_byte_before_its_end_is_an_error(serve: Serve, answer: bytes) -> None:
    port = serve(answer)
    pool = pool_for("http", "127.0.0.1", port)
    url = f"http://127.0.0.1:{port}/"
    assert pool.request("POST", url, body=b"SELECT 1").data == b"abc"
    read = {}
    for size in range(len(answer.rstrip())):
        serve(answer[:size])
        with contextlib.suppress(HTTPError):
            read[answer[:size]] = pool.request("POST", url, body=b"SELECT 1", retries=False).data
    assert read == {}


def test_an_answer_without_a_body_needs_no_length(serve: Serve) -> None:
    port = serve(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert pool_for("http", "127.0.0.1", port).request("GET", f"http://127.0.0.1:{port}/").status == 204


def test_a_proxy_of_the_environment_is_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    port = serve(ANSWERS["of a length"])
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    pool = pool_for("http", "db.invalid", 8123)
    assert pool.request("GET", "http://db.invalid:8123/").data == b"abc"


async def test_ingest_takes_it_for_a_server_that_is_away(serve: Serve) -> None:
    inserter = ClickHouseInserter(f"http://ingest@127.0.0.1:{serve(START)}/runstream", timeout_s=2)
    with pytest.raises(InsertUnavailable):
        await inserter.query("SELECT 1", {})
    inserter.close()
