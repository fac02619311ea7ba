"""One way to reach ClickHouse: over HTTP, whether it is a server or the embedded engine behind our endpoint."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, unquote, urlsplit

from runstream_storage.errors import StorageError, Unreachable, cause_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# The driver logs a line without facts before it raises; where nothing is configured that would go to stderr.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
DEFAULT_DATABASE = "runstream"
DEFAULT_PORTS = {"http": 8123, "https": 8443}
# From 26.2 on `deduplicate_insert` overrides `insert_deduplicate`; older servers do not know it.
AS_OFTEN_AS_SENT: dict[str, Any] = {"insert_deduplicate": 0, "deduplicate_insert": "disable"}
"""Settings of an insert that has an effect each time, whatever the server remembers of its rows."""
LOOPBACK = {"127.0.0.1", "::1", "localhost"}  # there, compressing takes longer than it saves


@dataclass(frozen=True)
class ClickHouseSettings:
    """Where ClickHouse is, from `http(s)://user:password@host:port/database`."""

    host: str
    port: int
    user: str = "default"
    password: str = field(default="", repr=False)
    database: str = DEFAULT_DATABASE
    secure: bool = False

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Parse `url`; raises StorageError, which names no password, when it is not of that form."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise StorageError(f"The port in the ClickHouse URL is no number from 1 to 65535: {error}.") from None
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise StorageError(
                f"A ClickHouse URL is http://user:password@host:port/database; this one has the scheme "
                f"{parts.scheme!r} and the host {parts.hostname or ''!r}. Set RUNSTREAM_CLICKHOUSE."
            )
        return cls(
            host=parts.hostname,
            port=port or DEFAULT_PORTS[parts.scheme],
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            database=unquote(parts.path.strip("/")) or DEFAULT_DATABASE,
            secure=parts.scheme == "https",
        )

    @property
    def url(self) -> str:
        """The whole URL, with the password."""
        return self._url(f":{quote(self.password, safe='')}" if self.password else "")

    @property
    def safe_url(self) -> str:
        """The URL for logs and messages, without the password."""
        return self._url("")

    def _url(self, password: str) -> str:
        scheme = "https" if self.secure else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{quote(self.user, safe='')}{password}@{host}:{self.port}/{quote(self.database, safe='')}"


def connect(
    url: str | ClickHouseSettings,
    *,
    database: str | None = None,
    connect_timeout_s: float = 5.0,
    query_timeout_s: float = 60.0,
    settings: dict[str, str | int] | None = None,
) -> Client:
    """A client of `clickhouse-connect`, safe to share between threads, that holds no server session.

    `database` replaces the URL's. `settings` are sent with each query. `query_timeout_s` bounds the wait for one
    answer; it lies well below Kafka's max.poll.interval, so that a hung server costs no ingest worker its partitions.
    Raises Unreachable when nobody answers, and clickhouse-connect's DatabaseError when the server refuses the login.
    """
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

    from runstream_storage.whole_answers import pool_for

    parsed = ClickHouseSettings.from_url(url) if isinstance(url, str) else url
    interface = "https" if parsed.secure else "http"
    try:
        return clickhouse_connect.get_client(
            host=parsed.host,
            port=parsed.port,
            username=parsed.user,
            password=parsed.password,
            database=parsed.database if database is None else database,
            secure=parsed.secure,
            interface=interface,
            pool_mgr=pool_for(interface, parsed.host, parsed.port),
            connect_timeout=connect_timeout_s,
            send_receive_timeout=query_timeout_s,
            autogenerate_session_id=False,
            client_name="runstream",
            compress=parsed.host not in LOOPBACK,
            settings=settings or {},
        )
    except DatabaseError as error:
        if isinstance(error, OperationalError):
            raise Unreachable(url=parsed.safe_url, reason=cause_of(error)) from error
        raise
    except (OSError, OperationalError) as error:
        raise Unreachable(url=parsed.safe_url, reason=cause_of(error)) from error
