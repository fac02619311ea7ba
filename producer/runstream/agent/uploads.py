"""Staged artifact files: hashed, uploaded, described."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import mimetypes
import random
from pathlib import Path
from typing import Any

from runstream import staging
from runstream.errors import StagedFileLost
from runstream.objects import StoreOpenedLater, Uploads, object_key
from runstream.references import look_up, manifest_sha256

log = logging.getLogger("runstream.agent")
STAGED = "ArtifactStaged"
RETENTION = ("tags", "expires_us", "score", "keep_best", "keep_goal")
AT_ONCE = 4
BACKOFF_S = (0.5, 30.0)
_READ_BYTES = 1 << 20


class Uploader:
    """Brings the files of `ArtifactStaged` records into the object store, a few artifacts at a time.

    Tries for ever: an object store that is down for a day delays artifacts by a day, and nothing else.
    """

    def __init__(self, objects: Uploads) -> None:
        self.uploaded_files = 0
        self.uploaded_bytes = 0
        self._objects = objects
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def upload(self, directory: Path, staged: dict[str, Any]) -> dict[str, Any]:
        """The fields of the `ArtifactLogged` event for `staged`, once all its files are in the store.

        `directory` is the writer's. Raises StagedFileLost when a file is not there any more.
        """
        stage = staged["stage"]
        async with self._turns:
            kept, references = staging.files_of(directory, staged)
            files = [await self._file(directory / stage, file["path"]) for file in kept]
            looked_up: list[dict[str, Any]] = staging.known_of(directory, stage).get("references") or []
            if references and not looked_up:
                looked_up = await asyncio.to_thread(self._references, references)
        files += looked_up
        digest = manifest_digest(files)
        await self._note(directory, stage, {"digest": digest, "references": looked_up})
        return {
            "actor": staged.get("actor", ""),
            "name": staged["name"],
            "type": staged["artifact_type"],
            "digest": digest,
            "size": sum(file["size"] for file in files),
            "files": files,
            "aliases": staged.get("aliases", []),
            "metadata": staged.get("metadata", "{}"),
            "description": staged.get("description", ""),
            **{field: staged[field] for field in RETENTION if field in staged},
        }

    async def _note(self, directory: Path, stage: str, known: dict[str, Any]) -> None:
        """Keep what was found out before it is sent, so that it is the same when it is sent again."""
        while True:
            try:
                staging.note_known(directory, stage, known)
            except OSError as error:
                log.warning("%s cannot be noted: %s; again in %.0f s", directory / stage, error, BACKOFF_S[1])
                await asyncio.sleep(BACKOFF_S[1])
            else:
                return

    def _references(self, named: list[dict[str, Any]]) -> list[dict[str, Any]]:
        store: object = self._objects
        if isinstance(self._objects, StoreOpenedLater):
            with contextlib.suppress(Exception):  # then s3:// references stay unchecked
                store = self._objects.opened()
        known = look_up([file["ref"] for file in named], store)
        return [
            {"path": file["path"], "sha256": one.digest, "size": one.size, "mime": _mime(file["path"])}
            | {"ref": file["ref"]}
            for file, one in zip(named, known, strict=True)
        ]

    async def _file(self, stage: Path, name: str) -> dict[str, Any]:
        path = stage / name
        failures = 0
        while True:
            try:
                sha256, size = await asyncio.to_thread(_hash, path)
                if await asyncio.to_thread(self._put, path, sha256):
                    self.uploaded_files += 1
                    self.uploaded_bytes += size
            except Exception as error:
                if not path.is_file():
                    raise StagedFileLost(path=path) from error
                failures += 1
                wait = min(BACKOFF_S[1], BACKOFF_S[0] * 2 ** min(failures - 1, 10)) * random.uniform(0.5, 1)  # noqa: S311
                log.warning(
                    "upload path=%s attempt=%d error=%r; again in %.1f s",
                    path,
                    failures,
                    error,
                    wait,
                    exc_info=failures == 1,
                )
                await asyncio.sleep(wait)
            else:
                return {"path": name, "sha256": sha256, "size": size, "mime": _mime(name)}

    def _put(self, path: Path, sha256: str) -> bool:
        """Whether the store did not have it."""
        key = object_key(sha256)
        if self._objects.exists(key):
            return False
        self._objects.put_file(key, path, sha256)
        return True


def manifest_digest(files: list[dict[str, Any]]) -> str:
    """What identifies a version of an artifact: see the field `digest` of the schema `ArtifactLogged`."""
    lines = sorted((file["path"].encode(), f"\t{manifest_sha256(file)}\t{file['size']}\n".encode()) for file in files)
    return hashlib.sha256(b"".join(path + rest for path, rest in lines)).hexdigest()


def _mime(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _hash(path: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size
