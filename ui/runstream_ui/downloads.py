"""Artifact files over HTTP, out of the object store.

`/files/<sha256>/<name>` is a download; `/images/<sha256>/<name>` shows a PNG, JPEG, GIF or WebP. Out of an S3 store the
browser fetches the bytes itself: both lead it to an address that is signed for this object, name and type, and good for
15 minutes. Out of a directory, and where the settings ask for it, they are streamed through this process. What somebody
logged is never a page of this origin: no content type but that of an image is ever named, `nosniff` holds it to that,
and the sandbox policy stops scripts whatever the browser makes of the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from runstream_storage.errors import StorageError
from runstream_ui import objects
from runstream_ui.errors import NoSuchFile

T = TypeVar("T")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 20
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, max-age=31536000, immutable",
}
_BINARY = "application/octet-stream"
# An address is a key to the object: it is kept nowhere, and told to nobody.
_LEADING = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def routes() -> list[Route]:
    return [
        Route("/files/{sha256}/{name:path}", _file, methods=["GET"]),
        Route("/images/{sha256}/{name:path}", _image, methods=["GET"]),
    ]


def image_type(head: bytes) -> str | None:
    """The media type of a picture by its first 12 bytes; None for anything else, SVG included: it may hold scripts."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def attachment(name: str) -> str:
    """RFC 6266: an ASCII fallback, and the whole name as RFC 5987 UTF-8."""
    last = name.rsplit("/", 1)[-1] or "file"
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", last)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(last, safe='')}"


async def _file(request: Request) -> Response:
    disposition = attachment(request.path_params["name"])
    led = await _led(request, content_type=_BINARY, disposition=disposition)
    if led is not None:
        return led
    opened = await _opened(request)
    if isinstance(opened, Response):
        return opened
    size, file = opened
    headers = {"Content-Length": str(size), "Content-Disposition": disposition, **_SAFE}
    return StreamingResponse(_chunks(b"", file), media_type=_BINARY, headers=headers)


async def _image(request: Request) -> Response:
    opened = await _opened(request)
    if isinstance(opened, Response):
        return opened
    size, file = opened
    head = await run_in_threadpool(file.read, 64)
    media_type = image_type(head)
    if media_type is None:
        file.close()
        return PlainTextResponse("Not a PNG, JPEG, GIF or WebP picture; download it from /files/.", status_code=415)
    led = await _led(request, content_type=media_type, disposition="inline")
    if led is not None:
        file.close()
        return led
    return StreamingResponse(_chunks(head, file), media_type=media_type, headers={"Content-Length": str(size), **_SAFE})


async def _led(request: Request, *, content_type: str, disposition: str) -> Response | None:
    """To where the store itself serves the file; None where this process has to."""

    def found(sha256: str) -> Response | None:
        address = objects.address(sha256, content_type=content_type, disposition=disposition)
        return None if address is None else RedirectResponse(address, status_code=307, headers=_LEADING)

    return await _answered(request, found)


async def _opened(request: Request) -> tuple[int, BinaryIO] | Response:
    return await _answered(request, objects.open_file)


async def _answered(request: Request, found: Callable[[str], T]) -> T | Response:
    """What `found` makes of the sha256 in the path, in a thread; errors as answers."""
    sha256 = request.path_params["sha256"]
    if not _SHA256.fullmatch(sha256):
        return PlainTextResponse("Not the sha256 of a file: 64 hexadecimal digits.", status_code=404)
    try:
        return await run_in_threadpool(found, sha256)
    except NoSuchFile as missing:
        return PlainTextResponse(str(missing), status_code=404)
    except StorageError as error:
        return PlainTextResponse(str(error), status_code=502)


def _chunks(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    with file:
        if head:
            yield head
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
