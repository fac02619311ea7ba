"""Staged artifact files: hashed, uploaded, described."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import mimetypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runstream import staging
from runstream.agent.deposits import Content, Deposits
from runstream.objects import StoreOpenedLater, Uploads
from runstream.references import look_up, manifest_sha256

log = logging.getLogger("runstream.agent")
RETENTION = ("tags", "expires_us", "score", "keep_best", "keep_goal")
MEDIA = "MediaStaged"
MEDIA_FIELDS = ("actor", "name", "step", "index", "kind", "mime", "caption", "metadata")
AT_ONCE = 4
FILES_AT_ONCE = 64
NOTE_AGAIN_S = 30.0
LOOK_AGAIN_S = 1800.0
"""Half of the shortest time for which a collection leaves an object that no event names yet."""


class Uploader:
    """Brings the files of `ArtifactStaged` and `MediaStaged` records into the object store, a few artifacts at a time.

    Tries for ever: an object store that is down for a day delays bytes by a day, and nothing else. A collection on
    another host takes what is old and named by no event: so the files of an upload that lasts are looked for again
    while it lasts and before it is announced, and sent again where they are gone.
    """

    def __init__(self, objects: Uploads, clock: Callable[[], float] = time.monotonic) -> None:
        self.deposits = Deposits(objects, clock)
        self._objects = objects
        self._clock = clock
        self._turns = asyncio.Semaphore(AT_ONCE)

    @property
    def uploaded_files(self) -> int:
        """Files that the store did not have."""
        return self.deposits.sent_files

    @property
    def uploaded_bytes(self) -> int:
        """Of these."""
        return self.deposits.sent_bytes

    async def close(self) -> None:
        """Let go of what is under way."""
        await self.deposits.close()

    async def upload(self, directory: Path, staged: dict[str, Any]) -> dict[str, Any]:
        """The fields of the `ArtifactLogged` event for `staged`, once all its files are in the store.

        `directory` is the writer's. Raises StagedFileLost when a file is not there any more.
        """
        stage = staged["stage"]
        async with self._turns:
            kept, references = staging.files_of(directory, staged)
            files = await self._files(directory / stage, [file["path"] for file in kept])
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
                log.warning("%s cannot be noted: %s; again in %.0f s", directory / stage, error, NOTE_AGAIN_S)
                await asyncio.sleep(NOTE_AGAIN_S)
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

    async def _files(self, stage: Path, names: list[str]) -> list[dict[str, Any]]:
        """The files of an artifact, once all are in the store and none of them is old there."""
        found: list[Content] = []
        looked = self._clock()
        for at in range(0, len(names), FILES_AT_ONCE):
            if self._clock() - looked > LOOK_AGAIN_S:
                looked = self._clock()
                found = await self._confirmed(stage, names, found)
            some = names[at : at + FILES_AT_ONCE]
            found += await asyncio.gather(*(self.deposits.deposit(stage / name) for name in some))
        while True:
            looked = self._clock()
            found = await self._confirmed(stage, names, found)
            if self._clock() - looked < LOOK_AGAIN_S:
                break
        return [
            {"path": name, **content.fields(), "mime": _mime(name)} for name, content in zip(names, found, strict=True)
        ]

    async def _confirmed(self, stage: Path, names: list[str], found: list[Content]) -> list[Content]:
        again: list[Content] = []
        for at in range(0, len(found), FILES_AT_ONCE):
            some = zip(names[at:], found[at : at + FILES_AT_ONCE], strict=False)
            again += await asyncio.gather(*(self.deposits.confirm(stage / name, content) for name, content in some))
        return again


def media_fields(staged: dict[str, Any], content: Content) -> dict[str, Any]:
    """Of the `MediaLogged` event for a MediaStaged whose file has this content."""
    return {**{field: staged[field] for field in MEDIA_FIELDS if field in staged}, **content.fields()}


def manifest_digest(files: list[dict[str, Any]]) -> str:
    """What identifies a version of an artifact: see the field `digest` of the schema `ArtifactLogged`."""
    lines = sorted((file["path"].encode(), f"\t{manifest_sha256(file)}\t{file['size']}\n".encode()) for file in files)
    return hashlib.sha256(b"".join(path + rest for path, rest in lines)).hexdigest()


def _mime(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
