"""Is it healthy? Each probe speaks the service's own protocol and returns what identifies the server.

A probe raises OSError when nothing answers yet and ValueError when something else answers.
"""

from __future__ import annotations

import socket
import struct
import urllib.error
import urllib.request

_TIMEOUT_S = 5.0


def kafka_cluster_id(port: int) -> str:
    """The cluster id of a broker that serves metadata and coordinates groups.

    Protocol: kafka.apache.org/protocol, Metadata v2 and FindCoordinator v1.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S) as conn:
        body = _Reader(_kafka_call(conn, 3, 2, struct.pack(">i", 0)))
        for _ in range(body.i32()):  # brokers: id, host, port, rack
            body.i32(), body.text(), body.i32(), body.text()
        cluster_id, controller = body.text(), body.i32()
        if controller < 0:
            raise ConnectionError("the broker has no controller yet")
        group = b"runstream-probe"
        body = _Reader(_kafka_call(conn, 10, 1, struct.pack(">h", len(group)) + group + b"\0"))
        body.i32()
        error = body.i16()
        if error:
            raise ConnectionError(f"the group coordinator is not available yet (error {error})")
    return cluster_id


def clickhouse_tcp(port: int, user: str, password: str) -> str:
    """The server name after a native-protocol handshake (Hello packets, src/Core/Protocol.h)."""
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S) as conn:
        texts = [_clickhouse_text(text) for text in ("", user, password)]
        version = bytes([1, 0]) + b"\xd2\xa7\x03"  # 1.0, revision 54226
        conn.sendall(b"\0" + _clickhouse_text("runstream-probe") + version + b"".join(texts))
        if _exactly(conn, 1)[0] != 0:
            raise ValueError("ClickHouse refused the handshake")
        name = _exactly(conn, _exactly(conn, 1)[0]).decode()
        # Every byte is read: closing with unread ones resets the connection, and that aborts libchdb 26.7, as does a
        # failed login on this port. HTTP has neither weakness.
        for _ in range(3):  # major, minor, revision, as varints
            while _exactly(conn, 1)[0] & 0x80:
                pass
        _exactly(conn, _exactly(conn, 1)[0])  # time zone, the last field for a client of our revision
        conn.sendall(b"\4")
        if _exactly(conn, 1)[0] != 4:
            raise ValueError("ClickHouse did not answer a ping")
        conn.shutdown(socket.SHUT_WR)
        return name


def clickhouse_http(port: int, user: str, password: str, query: str) -> str:
    """The answer to `query`, stripped."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/",
        data=query.encode(),
        headers={"X-ClickHouse-User": user, "X-ClickHouse-Key": password},
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            return str(answer.read().decode().strip())
    except urllib.error.HTTPError as exc:
        with exc:
            raise ValueError(f"ClickHouse answered {exc.code}: {exc.read(300).decode(errors='replace')}") from None


def minio_buckets(port: int, access: str, secret: str) -> list[str]:
    """The bucket names, by a signed request."""
    import urllib3
    from minio import Minio
    from minio.error import MinioException

    pool = urllib3.PoolManager(timeout=_TIMEOUT_S, retries=False)
    client = Minio(f"127.0.0.1:{port}", access, secret, secure=False, http_client=pool)
    try:
        return [bucket.name for bucket in client.list_buckets()]
    except urllib3.exceptions.HTTPError as exc:
        raise ConnectionError(str(exc)) from None
    except MinioException as exc:
        if "XMinioServerNotInitialized" in str(exc):
            raise ConnectionError(str(exc)) from None
        raise ValueError(str(exc)) from None
    finally:
        pool.clear()


class _Reader:
    """Reads the big-endian fields of a Kafka response."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _take(self, size: int) -> bytes:
        chunk = self._data[self._at : self._at + size]
        if len(chunk) < size:
            raise ValueError("this is not a Kafka broker: its answer ends too soon")
        self._at += size
        return chunk

    def i16(self) -> int:
        return int(struct.unpack(">h", self._take(2))[0])

    def i32(self) -> int:
        return int(struct.unpack(">i", self._take(4))[0])

    def text(self) -> str:
        return self._take(max(self.i16(), 0)).decode()


def _kafka_call(conn: socket.socket, key: int, version: int, body: bytes) -> bytes:
    request = struct.pack(">hhih", key, version, 1, -1) + body
    conn.sendall(struct.pack(">i", len(request)) + request)
    size = struct.unpack(">i", _exactly(conn, 4))[0]
    if not 4 <= size <= 1 << 20:
        raise ValueError("this is not a Kafka broker: an answer of impossible size")
    return _exactly(conn, size)[4:]


def _exactly(conn: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = conn.recv(size - len(data))
        if not chunk:
            raise ConnectionError("the server closed the connection")
        data += chunk
    return data


def _clickhouse_text(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 127:
        raise ValueError("text too long for a probe")
    return bytes([len(raw)]) + raw
