"""One HTTP answer in ClickHouse's protocol: headers, coded body, and errors before and in the middle of it."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from starlette.types import Send

from runstream_deploy.embedded import coding, framing
from runstream_deploy.embedded.engine import Engine
from runstream_deploy.embedded.errors import QueryError
from runstream_deploy.embedded.execution import Execution
from runstream_deploy.embedded.formats import content_type
from runstream_deploy.embedded.request import Request

BUFFER_BYTES = 1 << 20
"""An answer up to this size is sent with its whole summary, and an error in it with its status."""
WAIT_BYTES = 256 << 20
"""Most that `wait_end_of_query` holds back."""


class Answer:
    def __init__(self, send: Send, engine: Engine, display_name: str) -> None:
        self._send = send
        self._engine = engine
        self._fixed = {"X-ClickHouse-Server-Display-Name": display_name, "X-ClickHouse-Timezone": engine.timezone}
        self._encoder: coding.Encoder | None = None
        self._packs = False
        self._waits = False
        self._tag = secrets.token_hex(8)
        self._is_begun = False
        self.is_gone = False

    def prepare(self, request: Request) -> None:
        """Takes from `request` how to code the answer."""
        self._fixed["X-ClickHouse-Query-Id"] = request.query_id
        self._packs, self._waits = request.packs_answer, request.waits
        name = None if self._packs else coding.choose(request.accepts)  # packed twice would only cost time
        if name:
            self._encoder = coding.encoder(name)
            self._fixed["Content-Encoding"] = name

    async def text(self, text: str) -> None:
        await self._begin(200, {"Content-Type": "text/plain; charset=UTF-8"})
        await self._write(text.encode(), last=True)

    async def done(self, execution: Execution) -> None:
        """The answer of a statement without a result."""
        await self._begin(200, self._headers(execution))
        await self._write(b"", last=True)

    async def stream(self, execution: Execution, piece: Callable[[], Awaitable[bytes | None]]) -> None:
        """Sends the pieces until None comes; the first ones are held back so that headers can tell the truth."""
        held: list[bytes] = []
        size = 0
        most = WAIT_BYTES if self._waits else BUFFER_BYTES
        while (data := await piece()) is not None and not self.is_gone:
            held.append(data)
            size += len(data)
            if size <= most:
                continue
            if not self._is_begun:
                await self._begin(200, self._headers(execution))
            await self._write(b"".join(held))
            held, size, most = [], 0, 0
        if not self._is_begun:
            await self._begin(200, self._headers(execution))
        await self._write(b"".join(held), last=True)

    async def failure(self, error: QueryError) -> None:
        """Before the first byte: status and header. After it: the marker clients look for, and an answer cut short."""
        message = f"{error} (version {self._engine.version})\n"
        if not self._is_begun:
            self._fixed["X-ClickHouse-Exception-Code"] = str(error.code)
            if error.status == 401:
                self._fixed["WWW-Authenticate"] = 'Basic realm="ClickHouse"'
            await self._begin(error.status, {"Content-Type": "text/plain; charset=UTF-8"})
            await self._write(message.encode(), last=True)
            return
        marker = (
            f"\r\n__exception__\r\n{self._tag}\r\n{message}{len(message.encode())} {self._tag}\r\n__exception__\r\n"
        )
        await self._write(marker.encode(), last=True, is_cut=True)

    def _headers(self, execution: Execution) -> dict[str, str]:
        headers = {"X-ClickHouse-Summary": execution.summary.header()}
        if execution.statement.has_result:
            name = execution.statement.format or execution.request.default_format
            headers |= {"X-ClickHouse-Format": name, "Content-Type": content_type(name)}
        else:
            headers["Content-Type"] = "text/plain; charset=UTF-8"
        return headers

    async def _begin(self, status: int, headers: dict[str, str]) -> None:
        self._is_begun = True
        fields = {**self._fixed, **headers, "X-ClickHouse-Exception-Tag": self._tag}
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in fields.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def _write(self, data: bytes, *, last: bool = False, is_cut: bool = False) -> None:
        if self._packs and data:
            data = framing.pack(data)
        if self._encoder is not None:
            data = (self._encoder.compress(data) if data else b"") + (self._encoder.flush() if last else b"")
        if data or (last and not is_cut):
            await self._send({"type": "http.response.body", "body": data, "more_body": is_cut or not last})
