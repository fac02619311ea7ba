"""Inserts over HTTP, with the errors of ClickHouse sorted by what can be done about them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import cramjam
import stamina
import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from runstream_ingest import ledger
from runstream_ingest.errors import InsertError, InsertMisconfigured, InsertRefused, InsertUnavailable
from runstream_ingest.health import Health
from runstream_ingest.insert import ONCE, insert_settings
from runstream_ingest.metrics import Metrics
from runstream_ingest.native import Block, Buffer
from runstream_storage.connection import AS_OFTEN_AS_SENT, LOOPBACK, ClickHouseSettings, connect
from runstream_storage.errors import StorageError, sentence_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from clickhouse_connect.driver.client import Client

    _Act = Callable[[Client], object]

T = TypeVar("T")
log = structlog.get_logger("runstream.ingest")

UNAVAILABLE = frozenset(
    {3, 32, 95, 99, 159, 164, 198, 201, 202, 203, 209, 210, 225, 241, 242, 243, 252, 279, 285, 319, 394, 425, 439, 999}
)
"""Network, timeouts, memory, disk, too many queries or parts, read-only or lost replicas."""
REFUSED = frozenset({6, 27, 53, 69, 70, 117, 128, 131, 321, 349, 407, 469})
"""Values that do not fit their column or break a constraint."""
CONNECTIONS = 8
"""Three tables of one batch at once, beside them what settles the batch before and what new writers are asked."""
MAX_WAIT_S = 10.0
MISCONFIGURED_WAIT_S = 15.0


class ClickHouseInserter:
    """Inserts Native blocks through a client of clickhouse-connect; one attempt a call.

    Raises InsertUnavailable, InsertMisconfigured or InsertRefused. It connects at the first call. The blocks go out as
    they lie in memory; they are compressed (lz4) only for a server on another machine, because on loopback that costs
    more than it saves.
    """

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        self._settings = ClickHouseSettings.from_url(url)
        self._timeout_s = timeout_s
        self._compress = self._settings.host not in LOOPBACK
        self._client: Client | None = None
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="clickhouse")
        self._connecting = asyncio.Lock()

    async def insert(self, table: str, block: Block, token: str) -> None:
        await self._call(table, lambda client: self._send(client, table, block, token))

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """The rows of `sql`, its parameters bound by the server. Raises as `insert`."""
        rows: Sequence[Sequence[Any]] = await self._call(
            "a question", lambda client: client.query(sql, parameters=dict(parameters)).result_rows
        )
        return rows

    async def command(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Runs `sql`; an insert in it has an effect each time. Raises as `insert`."""
        await self._call(
            "a statement",
            lambda client: client.command(sql, parameters=dict(parameters), settings=dict(AS_OFTEN_AS_SENT)),
        )

    async def check(self) -> None:
        """Raises as `insert` when the tables are not there or not reachable."""
        await self._call("points", lambda client: client.query("SELECT value FROM points LIMIT 0"))

    async def with_client(self, act: Callable[[Client], T]) -> T:
        """What `act` returns, which a thread does with the client. Raises as `insert`."""
        found: T = await self._call("a task", act)
        return found

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    async def _call(self, table: str, act: _Act) -> Any:
        loop = asyncio.get_running_loop()
        try:
            async with self._connecting:
                if self._client is None:
                    self._client = await loop.run_in_executor(self._threads, self._connect)
            return await loop.run_in_executor(self._threads, act, self._client)
        except (ClickHouseError, StorageError, OSError) as error:
            raise sorted_error(table, error) from error

    def _connect(self) -> Client:
        return connect(self._settings, query_timeout_s=self._timeout_s)

    def _send(self, client: Client, table: str, block: Block, token: str) -> None:
        body = Body(block.native, compress=self._compress)
        client.raw_insert(
            table,
            column_names=block.names,
            insert_block=cast("Generator[bytes]", body),
            settings=insert_settings(block, token),
            fmt="Native",
            compression="lz4" if self._compress else None,
            transport_settings={"Content-Length": str(body.size)},
        )


class Body:
    """A request body in pieces that can be sent again from its beginning."""

    def __init__(self, chunks: list[Buffer], *, compress: bool = False) -> None:
        if compress:
            frame = cramjam.lz4.Compressor()
            for chunk in chunks:
                frame.compress(bytes(chunk))
            chunks = [memoryview(frame.finish())]
        self._chunks = chunks
        self.size = sum(map(len, chunks))

    def __iter__(self) -> Iterator[Buffer]:
        return iter(self._chunks)


class Database(ledger.Database, Protocol):
    """One that can also say whether its tables are there."""

    async def check(self) -> None:
        """Raises as `insert`."""


class Retrying:
    """Tries a retriable insert again for ever: only InsertRefused comes out.

    Rows of ONCE keep their token; others go without one once an attempt failed, because a server that was killed may
    remember the token and not have the rows.

    While it does not succeed, `health` names the reason and the service is not ready.
    """

    def __init__(self, database: Database, *, metrics: Metrics, health: Health) -> None:
        self._database = database
        self._metrics = metrics
        self._health = health

    async def insert(self, table: str, block: Block, token: str) -> None:
        async for attempt in _for_ever():
            with attempt:
                await self._once(table, block, token if attempt.num == 1 or table in ONCE else "")
        self._health.solved("clickhouse")

    async def again(self, what: str, act: Callable[[ledger.Database], Awaitable[T]]) -> T:
        """What `act` returns, which is done from its beginning until all of it succeeds; `what` names it in the log.

        Raises InsertRefused, and what else `act` raises.
        """
        async for attempt in _for_ever():
            with attempt:
                try:
                    found = await act(self._database)
                except InsertError as error:
                    if error.retriable:
                        outcome = type(error).__name__.removeprefix("Insert").lower()
                        self._health.problem("clickhouse", str(error))
                        self._metrics.retries.labels(table=what, outcome=outcome).inc()
                    log.warning("statement failed", what=what, code=error.code, error=error.error)
                    raise
        self._health.solved("clickhouse")
        return found

    async def await_ready(self) -> None:
        """Returns once the tables can be reached, so that readiness does not wait for the first event."""
        async for attempt in _for_ever():
            with attempt:
                try:
                    await self._database.check()
                except InsertError as error:
                    self._health.problem("clickhouse", str(error))
                    log.warning("clickhouse is not ready", code=error.code, error=error.error)
                    raise
        self._health.solved("clickhouse")

    async def _once(self, table: str, block: Block, token: str) -> None:
        began, outcome = time.monotonic(), "ok"
        try:
            await self._database.insert(table, block, token)
        except InsertError as error:
            outcome = type(error).__name__.removeprefix("Insert").lower()
            if error.retriable:
                self._health.problem("clickhouse", str(error))
                self._metrics.retries.labels(table=table, outcome=outcome).inc()
            log.warning(
                "insert failed", table=table, rows=block.rows, code=error.code, outcome=outcome, error=error.error
            )
            raise
        else:
            self._metrics.rows.labels(table=table).inc(block.rows)
        finally:
            self._metrics.inserts.labels(table=table, outcome=outcome).observe(time.monotonic() - began)


def _for_ever() -> AsyncIterable[stamina.Attempt]:
    return stamina.retry_context(on=wait_after, attempts=None, timeout=None, wait_initial=0.1, wait_max=MAX_WAIT_S)


def wait_after(error: Exception) -> bool | float:
    """Whether to try again after `error`, and after how many seconds when that is not the usual back-off."""
    if isinstance(error, InsertMisconfigured):
        return MISCONFIGURED_WAIT_S
    return isinstance(error, InsertError) and error.retriable


def sorted_error(table: str, error: Exception) -> InsertError:
    """`error` of clickhouse-connect as the kind of InsertError that says what to do."""
    code = getattr(error, "code", None) or 0
    # The driver's text of a connection error is mostly its URL with all settings; the cause says it in a line.
    cause = getattr(error.__cause__, "reason", None) or error.__cause__ if not code else None
    text = sentence_of(cause or error)
    if code in REFUSED:
        return InsertRefused(table, code=code, error=text)
    answered = isinstance(error, DatabaseError) and not isinstance(error, OperationalError)
    if code in UNAVAILABLE or (not code and not answered):
        return InsertUnavailable(table, code=code, error=text)
    return InsertMisconfigured(table, code=code, error=text)
