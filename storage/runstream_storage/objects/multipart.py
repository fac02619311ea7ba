"""Large files to S3 in parts: several at a time, and an upload that somebody left unfinished is gone on with."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, NoReturn

from runstream.objects import FileState
from runstream_storage.errors import ChecksumMismatch

if TYPE_CHECKING:
    from minio import Minio

PART_BYTES = 8 << 20
"""Files above go up in parts of this size; of larger ones where there would be more than MAX_PARTS."""
MAX_PARTS = 10_000
PARTS_AT_ONCE = 4
MAX_MEMORY_BYTES = 6 * PART_BYTES
"""Of parts that are read and not sent, of all files together; a single larger part may be beyond it."""
STALE_S = 7 * 24 * 3600
"""An unfinished upload that began so long ago is given up; its parts cost what objects cost."""
TRIES = 3
CONTENTS = "sha256/"


class Gone(Exception):
    """The upload is not there any more: finished or given up by somebody else."""


class _Part(NamedTuple):
    """A part that is in the store, and when it came."""

    etag: str
    size: int
    at: datetime | None


class _Job(NamedTuple):
    """One file that is to become the object `key`."""

    key: str
    source: BinaryIO
    size: int
    expected: str
    seen: FileState | None

    def is_as_seen(self) -> bool:
        return self.seen is not None and FileState.of(self.source.fileno()) == self.seen

    def read(self, wanted: int) -> bytes:
        data = self.source.read(wanted)
        while len(data) < wanted:  # rare: a file that is read without a buffer
            more = self.source.read(wanted - len(data))
            if not more:
                self.mismatch(f"the file, cut {wanted - len(data)} bytes short")
            data += more
        return data

    def mismatch(self, found: str) -> NoReturn:
        raise ChecksumMismatch(key=self.key, expected=self.expected.lower(), found=found)


class Parts:
    """Uploads of one bucket. Parts of all of them share PARTS_AT_ONCE connections and MAX_MEMORY_BYTES.

    Safe from several threads, and from several processes with the same content: they then share an upload. Raises what
    the client raises.
    """

    def __init__(self, client: Minio, bucket: str) -> None:
        self._client: Any = client
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(PARTS_AT_ONCE, "runstream-part")
        self._memory = _Budget(MAX_MEMORY_BYTES)
        self._closing = threading.Event()
        self._looked_for_stale = False
        self._counting = threading.Lock()
        self.sent_bytes = 0
        """Of parts that arrived."""

    def put(self, key: str, source: BinaryIO, size: int, expected: str, seen: FileState | None = None) -> None:
        """Store the `size` bytes of `source`, which have the sha256 `expected` (empty: any) or stay as `seen`.

        Raises ChecksumMismatch, and then gives the upload up; after any other error its parts stay for the next try.
        """
        self._give_up_stale()
        for left in reversed(range(TRIES)):
            try:
                upload, have = self._begin(key)
                self._send(_Job(key, source, size, expected, seen), upload, have)
            except Gone:
                if self._is_there(key, size):
                    return
                if not left:
                    raise
            else:
                return

    def close(self) -> None:
        """Make uploads under way fail at their next part."""
        self._closing.set()

    def _begin(self, key: str) -> tuple[str, dict[int, _Part]]:
        """The upload to go on with, and the parts that it has."""
        found = self._client._list_multipart_uploads(self._bucket, prefix=key, max_uploads=1000)
        mine = [one for one in found.uploads if one.object_name == key and one.upload_id]
        if not mine:
            return self._client._create_multipart_upload(self._bucket, key, {}), {}
        newest = max(mine, key=lambda one: (-_since_s(one.initiated_time), one.upload_id))
        return newest.upload_id, self._parts_of(key, newest.upload_id)

    def _parts_of(self, key: str, upload: str) -> dict[int, _Part]:
        """Each part that is there, by number. Raises Gone."""
        have: dict[int, _Part] = {}
        marker = None
        with _gone():
            while True:
                listed = self._client._list_parts(self._bucket, key, upload, part_number_marker=marker)
                have.update(
                    {part.part_number: _Part(part.etag, part.size or -1, part.last_modified) for part in listed.parts}
                )
                marker = listed.next_part_number_marker
                if not listed.is_truncated or not marker:
                    return have

    def _send(self, job: _Job, upload: str, have: dict[int, _Part]) -> None:
        from minio.datatypes import Part

        etags: dict[int, str] = {}
        running: dict[Future[str], int] = {}
        try:
            self._read_and_send(job, upload, have, etags, running)
            _collect(running, etags, wait_for_all=True)
        except BaseException as error:
            for future in running:
                future.cancel()
            wait(running)
            if isinstance(error, ChecksumMismatch):
                with suppress(Exception):
                    self._client._abort_multipart_upload(self._bucket, job.key, upload)
            raise
        parts = [Part(number, etags[number]) for number in sorted(etags)]
        with _gone():
            self._client._complete_multipart_upload(self._bucket, job.key, upload, parts)

    def _read_and_send(
        self,
        job: _Job,
        upload: str,
        have: dict[int, _Part],
        etags: dict[int, str],
        running: dict[Future[str], int],
    ) -> None:
        """Read all parts and have those sent that are not there. Raises ChecksumMismatch."""
        trusted = job.is_as_seen()
        digest = hashlib.sha256()
        part_bytes = part_size(job.size)
        job.source.seek(0)
        for number, start in enumerate(range(0, job.size, part_bytes), 1):
            wanted = min(part_bytes, job.size - start)
            self._memory.take(wanted, self._closing)
            future = None
            try:
                data = job.read(wanted)
                there = have.get(number)
                if there is not None and there.size == wanted and there.etag == _md5(data):
                    etags[number] = there.etag
                else:
                    future = self._threads.submit(self._send_part, job.key, data, upload, number)
            finally:
                if future is None:
                    self._memory.give(wanted)
            if future is not None:
                future.add_done_callback(partial(self._give_back, wanted))
                running[future] = number
            if not trusted:
                digest.update(data)  # while it is on its way
            del data
            _collect(running, etags, wait_for_all=False)
        if job.source.read(1) or (trusted and not job.is_as_seen()):
            job.mismatch("a file that changed while it was read")
        if not trusted and job.expected and digest.hexdigest() != job.expected.lower():
            job.mismatch(digest.hexdigest())

    def _give_back(self, size: int, _: object) -> None:
        self._memory.give(size)

    def _send_part(self, key: str, data: bytes, upload: str, number: int) -> str:
        if self._closing.is_set():
            raise Closing
        with _gone():
            etag: str = self._client._upload_part(self._bucket, key, data, None, upload, number)
        with self._counting:
            self.sent_bytes += len(data)
        return etag

    def _is_there(self, key: str, size: int) -> bool:
        from minio.error import S3Error

        try:
            found = self._client.stat_object(bucket_name=self._bucket, object_name=key)
        except S3Error:
            return False
        return bool(found.size == size)

    def _give_up_stale(self) -> None:
        """Once a process. Where the rights do not suffice, the bucket's own rules have to do it."""
        if self._looked_for_stale:
            return
        self._looked_for_stale = True
        with suppress(Exception):
            self.unfinished(STALE_S, give_up=True)

    def unfinished(self, age_s: float, *, give_up: bool = False) -> tuple[int, int]:
        """Uploads of contents of which nothing came for longer, and the bytes of their parts; `give_up` aborts them.

        MinIO lists only those that began since it was started (and, with a prefix, only those of that very key: so it
        is asked without one); it gives the others up by itself, after 24 hours unless it is set otherwise.
        """
        uploads = size = 0
        for one in self._listed():
            if not one.upload_id or not one.object_name.startswith(CONTENTS) or _since_s(one.initiated_time) <= age_s:
                continue
            with suppress(Exception):  # it is finished or given up meanwhile
                parts = self._parts_of(one.object_name, one.upload_id)
                if any(_since_s(part.at) <= age_s for part in parts.values()):
                    continue  # somebody is at it
                uploads += 1
                size += sum(part.size for part in parts.values())
                if give_up:
                    self._client._abort_multipart_upload(self._bucket, one.object_name, one.upload_id)
        return uploads, size

    def _listed(self) -> list[Any]:
        """All unfinished uploads of the bucket that the store tells of."""
        found: list[Any] = []
        after: dict[str, Any] = {}
        while True:
            page = self._client._list_multipart_uploads(self._bucket, prefix="", max_uploads=1000, **after)
            found += page.uploads
            if not page.is_truncated or not page.next_key_marker:
                return found
            after = {"key_marker": page.next_key_marker, "upload_id_marker": page.next_upload_id_marker}


class Closing(Exception):
    """The store is being closed."""


def part_size(size: int) -> int:
    """Bytes of a part of a file of `size` bytes, always the same for it; whole MiB."""
    needed = -(-size // MAX_PARTS)
    return max(PART_BYTES, -(-needed // (1 << 20)) << 20)


class _Budget:
    """So many bytes; who wants more waits until others give some back. One that wants more than all waits for all."""

    def __init__(self, size: int) -> None:
        self._size = self._left = size
        self._changed = threading.Condition()

    def take(self, wanted: int, closing: threading.Event) -> None:
        with self._changed:
            while self._left < min(wanted, self._size):
                if closing.is_set():
                    raise Closing
                self._changed.wait(0.5)
            self._left -= wanted

    def give(self, size: int) -> None:
        with self._changed:
            self._left += size
            self._changed.notify_all()


def _collect(running: dict[Future[str], int], etags: dict[int, str], *, wait_for_all: bool) -> None:
    """Take the answers that are there; raises that of a part that failed."""
    done = wait(running, return_when=FIRST_EXCEPTION).done if wait_for_all else {one for one in running if one.done()}
    for future in done:
        etags[running[future]] = future.result()
        del running[future]


@contextmanager
def _gone() -> Iterator[None]:
    from minio.error import S3Error

    try:
        yield
    except S3Error as error:
        if error.code in ("NoSuchUpload", "InvalidPart"):
            raise Gone from error
        raise


def _since_s(moment: datetime | None) -> float:
    return (datetime.now(UTC) - moment).total_seconds() if moment is not None else 0.0


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
