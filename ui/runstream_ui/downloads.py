"""Files of artifacts and media over HTTP, out of the object store.

`/files/<sha256>/<name>` is a download; `/images/…` shows a PNG, JPEG, GIF, WebP or BMP; `/recordings/…` plays sound
and video. Out of an S3 store the browser fetches the bytes itself: all three lead it to an address that is signed for
this object, name and type, and good for 15 minutes. Out of a directory, and where the settings ask for it, they are
streamed through this process. `/html/…` and `/drawings/…` (SVG) always come through this process: only its headers make
them harmless.

What somebody logged is never a page of this origin. No content type but that of a picture, a sound or a video is named,
`nosniff` holds it to that, and the sandbox policy stops scripts whatever the browser makes of the bytes. HTML runs its
scripts in a sandbox of an origin of its own, which may load nothing from anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, TypeVar
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from runstream_storage.errors import StorageError
from runstream_ui import objects
from runstream_ui.errors import NoSuchFile
from runstream_ui.file_types import HEAD_BYTES, image_type, playable_type

T = TypeVar("T")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 20
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, max-age=31536000, immutable",
}
_BINARY = "application/octet-stream"
# Scripts may run, in an origin that nothing else has; everything they need is in the file itself.
_SANDBOXED = {
    **_SAFE,
    "Content-Security-Policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' "
    "data: blob:; style-src 'unsafe-inline' data:; img-src data: blob:; font-src data:; media-src data: blob:; "
    "worker-src blob:; form-action 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-DNS-Prefetch-Control": "off",
}
_DRAWN = {
    **_SAFE,
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:",
}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
# An address is a key to the object: it is kept nowhere, and told to nobody.
_LEADING = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def routes() -> list[Route]:
    return [
        Route("/files/{sha256}/{name:path}", _file, methods=["GET"]),
        Route("/images/{sha256}/{name:path}", _image, methods=["GET"]),
        Route("/recordings/{sha256}/{name:path}", _media, methods=["GET"]),
        Route("/html/{sha256}/{name:path}", _html, methods=["GET"]),
        Route("/drawings/{sha256}/{name:path}", _drawing, methods=["GET"]),
    ]


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
    return await _shown(request, image_type, "Not a PNG, JPEG, GIF or WebP picture; download it from /files/.")


async def _media(request: Request) -> Response:
    return await _shown(request, playable_type, "Not a sound or video that browsers play; download it from /files/.")


async def _shown(request: Request, type_of: Callable[[bytes], str | None], refusal: str) -> Response:
    opened = await _opened(request)
    if isinstance(opened, Response):
        return opened
    size, file = opened
    head = await run_in_threadpool(file.read, HEAD_BYTES)
    media_type = type_of(head)
    if media_type is None:
        file.close()
        return PlainTextResponse(refusal, status_code=415)
    # A page may read the pixels only of a picture of its own origin.
    through = request.query_params.get("through") == "1"
    led = None if through else await _led(request, content_type=media_type, disposition="inline")
    if led is not None:
        file.close()
        return led
    headers = {"Content-Length": str(size), "Accept-Ranges": "bytes", **_SAFE}
    asked = part(request.headers.get("range", ""), size)
    if asked is None:
        return StreamingResponse(_chunks(head, file), media_type=media_type, headers=headers)
    first, last = asked
    headers |= {"Content-Length": str(last - first + 1), "Content-Range": f"bytes {first}-{last}/{size}"}
    return StreamingResponse(_stretch(head, file, first, last), 206, headers, media_type)


def part(header: str, size: int) -> tuple[int, int] | None:
    """The first and the last byte that a Range header asks for; None: the whole file is the answer (RFC 9110, 14.2)."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or size == 0 or match.groups() == ("", ""):
        return None
    start, end = match.groups()
    first = int(start) if start else max(0, size - int(end))
    last = min(int(end), size - 1) if start and end else size - 1
    return (first, last) if first <= last else None


async def _html(request: Request) -> Response:
    return await _contained(request, "text/html; charset=utf-8", _SANDBOXED)


async def _drawing(request: Request) -> Response:
    """An SVG for an `<img>`, where its scripts never run; nor do they when somebody opens its address."""
    return await _contained(request, "image/svg+xml", _DRAWN)


async def _contained(request: Request, media_type: str, policy: Mapping[str, str]) -> Response:
    opened = await _opened(request)
    if isinstance(opened, Response):
        return opened
    size, file = opened
    headers = {"Content-Length": str(size), **policy}
    return StreamingResponse(_chunks(b"", file), media_type=media_type, headers=headers)


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


def _stretch(head: bytes, file: BinaryIO, first: int, last: int) -> Iterator[bytes]:
    """The bytes from `first` to `last`; `head` was read already. A stream that cannot seek is read up to there."""
    with file:
        at, left = len(head), last - first + 1
        if first < at:
            beginning = head[first : last + 1]
            left -= len(beginning)
            yield beginning
        elif file.seekable():
            file.seek(first)
        else:
            while at < first and (skipped := file.read(min(_CHUNK_BYTES, first - at))):
                at += len(skipped)
        while left > 0 and (chunk := file.read(min(_CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
