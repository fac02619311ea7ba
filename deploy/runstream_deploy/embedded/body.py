"""The body of a request: received, decoded, unpacked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from starlette.types import Receive

from runstream_deploy.embedded.coding import PIECE_BYTES, Decoding, decoding
from runstream_deploy.embedded.framing import Unpacker


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class Body:
    """Iterates over pieces of about PIECE_BYTES. Raises ClientGone, or QueryError for data that is not what it says."""

    def __init__(self, receive: Receive, *, coding: str, packed: bool) -> None:
        self._receive = receive
        self._decoding: Decoding | None = decoding(coding)
        self._unpacker = Unpacker() if packed else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        gathered: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            for piece in self._plain(message.get("body", b"")):
                gathered.append(piece)
                size += len(piece)
                if size >= PIECE_BYTES:
                    yield b"".join(gathered)
                    gathered, size = [], 0
        if self._decoding is not None:
            self._decoding.close()
        if self._unpacker is not None:
            self._unpacker.close()
        if gathered:
            yield b"".join(gathered)

    def _plain(self, piece: bytes) -> Iterator[bytes]:
        for plain in (piece,) if self._decoding is None else self._decoding.feed(piece):
            if self._unpacker is None:
                yield plain
            else:
                yield from self._unpacker.feed(plain)
