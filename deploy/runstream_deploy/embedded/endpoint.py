"""ClickHouse's HTTP protocol as an ASGI application over the engine."""

from __future__ import annotations

import functools
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import anyio
import structlog
from anyio import to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request as FormRequest
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from runstream_deploy.embedded.access import Accounts
from runstream_deploy.embedded.answer import Answer
from runstream_deploy.embedded.body import Body, ClientGone
from runstream_deploy.embedded.engine import Engine
from runstream_deploy.embedded.errors import QueryError
from runstream_deploy.embedded.execution import Execution
from runstream_deploy.embedded.request import Request
from runstream_deploy.embedded.statement import Statement, parse

LOOPBACK = ["127.0.0.1", "localhost", "[::1]", "testserver"]
HEAD_BYTES = 1 << 18
"""How much of a body is read before it is known whether data follows."""
STATEMENT_BYTES = 4 << 20

T = TypeVar("T")
logger = structlog.get_logger(__name__)


class Endpoint:
    """Answers statements on `/` and `/<database>`. Many run at a time; `stop()` ends those that do."""

    def __init__(self, engine: Engine, accounts: Accounts) -> None:
        self.engine = engine
        self.accounts = accounts
        self.display_name = socket.gethostname()
        limits = engine.limits
        self._slots = {False: anyio.Semaphore(limits.readers), True: anyio.Semaphore(limits.writers)}
        self._threads = anyio.CapacityLimiter(limits.readers + limits.writers + 2)
        self._running: set[str] = set()
        self._is_stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Answer(send, self.engine, self.display_name)
        try:
            request, fields_query = await self._read(scope, receive)
            answer.prepare(request)
            if request.is_get and not request.query:
                await answer.text("Ok.\n")
                return
            body = Body(receive, coding=request.body_coding, packed=request.packed_body)
            pieces = aiter(body) if fields_query is None else _nothing()
            statement, rest = await _statement(request.query, pieces)
            async with self._slots[request.user.is_owner]:
                await self._execute(request, statement, rest, pieces, receive, answer)
        except QueryError as error:
            await answer.failure(error)
        except ClientGone:
            logger.debug("client left before its request was complete")

    async def _read(self, scope: Scope, receive: Receive) -> tuple[Request, bool | None]:
        headers = Headers(scope=scope)
        fields: dict[str, str] = {}
        is_form = headers.get("content-type", "").startswith("multipart/form-data")
        if is_form:
            async with FormRequest(scope, receive).form(max_part_size=STATEMENT_BYTES) as form:
                for name, value in form.multi_items():
                    if not isinstance(value, str):
                        raise QueryError(
                            48, "NOT_IMPLEMENTED", "External tables are not supported: use a subquery or a view."
                        )
                    fields[name] = value
        request = Request.read(self.accounts, scope["method"], scope["query_string"], headers, fields)
        request.database = request.database or scope["path_params"].get("database") or "default"
        return request, True if is_form else None

    async def _execute(
        self,
        request: Request,
        statement: Statement,
        rest: bytes,
        pieces: AsyncIterator[bytes],
        receive: Receive,
        answer: Answer,
    ) -> None:
        if self._is_stopping:
            raise QueryError(394, "QUERY_WAS_CANCELLED", "The server is stopping.")
        execution = Execution(self.engine, request, statement, tag=secrets.token_hex(16))
        self._running.add(execution.tag)
        try:
            await self._in_thread(execution.open)
            if statement.data_at is not None:
                await self._insert(execution, rest, pieces)
                await answer.done(execution)
                return
            failure: QueryError | None = None
            async with anyio.create_task_group() as watching:
                watching.start_soon(self._kill_when_gone, receive, execution.tag, answer)
                piece = functools.partial(next, execution.pieces(), None)
                try:
                    await answer.stream(execution, functools.partial(self._in_thread, piece))
                except QueryError as error:
                    failure = error
                watching.cancel_scope.cancel()
            if failure is not None:
                raise failure
        finally:
            self._running.discard(execution.tag)
            with anyio.CancelScope(shield=True):
                await self._in_thread(execution.close)

    async def _insert(self, execution: Execution, first: bytes, pieces: AsyncIterator[bytes]) -> None:
        await self._in_thread(execution.begin_insert)
        if first:
            await self._in_thread(functools.partial(execution.append, first))
        async for piece in pieces:
            await self._in_thread(functools.partial(execution.append, piece))
        await self._in_thread(execution.finish_insert)

    async def _kill_when_gone(self, receive: Receive, tag: str, answer: Answer) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        answer.is_gone = True
        await self._in_thread(functools.partial(self.engine.kill, tag))

    async def stop(self) -> None:
        """Ends running statements, refuses new ones; their clients read QUERY_WAS_CANCELLED."""
        self._is_stopping = True
        for tag in tuple(self._running):
            await self._in_thread(functools.partial(self.engine.kill, tag))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await to_thread.run_sync(call, limiter=self._threads)


async def _statement(query: bytes, pieces: AsyncIterator[bytes]) -> tuple[Statement, bytes]:
    """The statement and the inline data that came with it; what is left of the data is still in `pieces`."""
    text = bytearray(query)
    if query.strip() and (head := _head(query)) is not None and head.data_at is not None:
        return head, query[head.data_at :]
    async for piece in pieces:
        text += (b"\n" if query and len(text) == len(query) else b"") + piece
        head = _head(bytes(text))
        if head is not None and head.data_at is not None:
            return head, bytes(text[head.data_at :])
        if len(text) > STATEMENT_BYTES:
            raise QueryError(223, "QUERY_IS_TOO_LARGE", f"The statement is longer than {STATEMENT_BYTES} bytes.")
    return parse(bytes(text)), b""


def _head(text: bytes) -> Statement | None:
    """The statement if its head is complete in `text`, which may be cut anywhere."""
    try:
        return parse(text)
    except QueryError:
        if len(text) >= HEAD_BYTES:
            raise
        return None


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""  # pragma: no cover - makes this an async generator


def application(engine: Engine, accounts: Accounts) -> tuple[Starlette, Endpoint]:
    """The ASGI application, and the endpoint to `stop()` before the engine is closed."""
    endpoint = Endpoint(engine, accounts)

    async def ok(_: object) -> PlainTextResponse:
        return PlainTextResponse("Ok.\n")

    methods = ["GET", "POST", "HEAD"]
    statements = [Route(path, endpoint, methods=methods) for path in ("/", "/{database}")]
    routes = [Route("/ping", ok), Route("/replicas_status", ok), *statements]
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK, www_redirect=False)]
    return Starlette(routes=routes, middleware=guards), endpoint
