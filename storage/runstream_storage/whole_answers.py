"""HTTP connections that notice an answer which broke off within its headers.

Python's HTTP parser takes the end of the stream for the end of the headers, and an answer without a length for one that
lasts until the connection is closed. So what a server that was killed leaves behind reads as "200 OK, and nothing": no
rows for a question, success for an insert. ClickHouse always tells a length or sends chunks.
"""

from __future__ import annotations

import functools
import os

from clickhouse_connect.driver.httputil import check_env_proxy, get_pool_manager
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ProtocolError

_WITHOUT_BODY = (204, 304)
_HTTP_1_1 = 11


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3's own
        return _whole(super().getresponse())


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3's own
        return _whole(super().getresponse())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def pool_for(scheme: str, host: str, port: int) -> PoolManager:
    """Connections for all clients of this process that reach `host` the same way, by the environment's proxy if any."""
    return _pools(os.getpid(), scheme, check_env_proxy(scheme, host, port))


@functools.cache
def _pools(pid: int, scheme: str, proxy: str | None) -> PoolManager:
    """`pid`: a forked child has connections of its own."""
    manager: PoolManager = (
        get_pool_manager(https_proxy=proxy) if scheme == "https" else get_pool_manager(http_proxy=proxy)
    )
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager


def _whole(response: HTTPResponse) -> HTTPResponse:
    """`response`. Raises ProtocolError when its headers do not say where it ends."""
    length = response.headers.get("content-length", "")
    bounded = response.chunked or length.isdigit() or response.status in _WITHOUT_BODY
    if response.version >= _HTTP_1_1 and not bounded:
        response.close()
        raise ProtocolError("the answer broke off within its headers")
    return response
