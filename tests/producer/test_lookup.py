"""Questions to a database that goes away in the middle of its answer, or that is something else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

import runstream
from runstream.errors import LookupFailed
from runstream.lookup import ask

BODY = b'{"data": [{"attempts": 3, "state": "failed"}]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Server:
    """Answers each request with `said` and closes the connection."""

    def __init__(self, listener: socket.socket) -> None:
        self.said = b""
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/runstream"
        self._listener = listener
        self.thread = threading.Thread(target=self._answer, daemon=True)
        self.thread.start()

    def _answer(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                client.settimeout(5)
                while b"SELECT" not in client.recv(1 << 16):
                    pass
                client.sendall(self.said)


@pytest.fixture
def server() -> Iterator[Server]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield (server := Server(listener))
        listener.shutdown(socket.SHUT_RDWR)
    server.thread.join()


@pytest.mark.parametrize("answer", [CHUNKED, WHOLE], ids=["in chunks", "of a length"])
def test_an_answer_cut_at_any_byte_is_a_lookup_that_failed(server: Server, answer: bytes) -> None:
    server.said = answer
    assert ask(server.url, "SELECT 1", {}, 5) == [{"attempts": 3, "state": "failed"}]
    end = answer.index(BODY) + len(BODY)
    for size in range(end):
        server.said = answer[:size]
        with pytest.raises(LookupFailed):
            ask(server.url, "SELECT 1", {}, 5)


def test_a_database_that_dies_in_its_answer_does_not_stop_a_start(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.said = CHUNKED[:-20]
    monkeypatch.setenv("RUNSTREAM_CLICKHOUSE", server.url)
    run = runstream.init(id="of-mine", resume="allow")
    run.log({"a": 1})
    run.finish()
    assert run.dropped == 0
    assert "could not be looked up" in caplog.text
