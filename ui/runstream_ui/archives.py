"""Several files of an artifact as one ZIP, made while it is sent.

`/archive?project=…&artifact=…&version=…&path=…&path=…`: a path that ends in a slash means all below it; without a path
it is the whole artifact. Files that are only referenced are listed in `REFERENCES.txt`. Nothing is compressed: weights
and pictures do not shrink, and the store is faster than any compressor.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import IO, cast
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from runstream_storage import queries
from runstream_storage.errors import StorageError
from runstream_storage.queries.results import ArtifactFile, ArtifactVersion
from runstream_ui import data, objects
from runstream_ui.downloads import attachment
from runstream_ui.errors import UiError

_CHUNK_BYTES = 1 << 20
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def routes() -> list[Route]:
    return [Route("/archive", _archive, methods=["GET"])]


def archive_link(project: str, artifact: str, digest: str, paths: Sequence[str] = ()) -> str:
    query = [("project", project), ("artifact", artifact), ("version", digest), *(("path", path) for path in paths)]
    return f"archive?{urlencode(query)}"


def chosen(files: Sequence[ArtifactFile], paths: Sequence[str]) -> list[ArtifactFile]:
    """The files that `paths` mean, in the order of the artifact; all of them when there are none."""
    wanted = set(paths)
    below = tuple(path for path in paths if path.endswith("/"))
    return [file for file in files if not paths or file.path in wanted or (below and file.path.startswith(below))]


def inside(path: str) -> str:
    """The name of a file in the archive: relative, without `..`, so that unpacking stays where it is."""
    parts = [part for part in PurePosixPath(path.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    return "/".join(parts) or "file"


async def _archive(request: Request) -> Response:
    asked = request.query_params
    try:
        found = await run_in_threadpool(
            queries.artifact,
            data.client(),
            asked.get("project", ""),
            asked.get("artifact", ""),
            asked.get("version", ""),
        )
    except (StorageError, UiError) as error:
        return PlainTextResponse(str(error), status_code=502)
    files = chosen(found.files, asked.getlist("path")) if found else []
    if found is None or not files:
        return PlainTextResponse("No such files: this version of the artifact has none of them.", status_code=404)
    headers = {
        "Content-Disposition": attachment(f"{found.name.replace('/', '-')}-{found.version}.zip"),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(zipped(found, files), media_type="application/zip", headers=headers)


def zipped(version: ArtifactVersion, files: Sequence[ArtifactFile]) -> Iterator[bytes]:
    """The archive, in pieces. An object that is not in the store ends it before its directory is written, so that no
    program takes the rest for the whole."""
    sent = _Sent()
    at = max(_EARLIEST, version.created_at.timetuple()[:6])
    with zipfile.ZipFile(cast("IO[bytes]", sent), "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        names: set[str] = set()
        for file in files:
            if file.ref:
                continue
            name = _unused(inside(file.path), names)
            _, source = objects.open_file(file.sha256)
            with source, archive.open(zipfile.ZipInfo(name, at), "w", force_zip64=True) as entry:
                while chunk := source.read(_CHUNK_BYTES):
                    entry.write(chunk)
                    yield sent.taken()
        references = "".join(f"{file.path}\t{file.ref}\n" for file in files if file.ref)
        if references:
            archive.writestr(zipfile.ZipInfo(_unused("REFERENCES.txt", names), at), references)
    yield sent.taken()


class _Sent:
    """A file that can only be written to; what was written is taken away and sent."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _unused(name: str, names: set[str]) -> str:
    stem, number = name, 1
    while name in names:
        number += 1
        name = f"{stem}.{number}"
    names.add(name)
    return name
