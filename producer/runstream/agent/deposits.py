"""Files on their way into the object store: each content is hashed, and sent once."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from runstream.errors import StagedFileLost
from runstream.objects import FileState, Uploads, object_key

log = logging.getLogger("runstream.agent")
T = TypeVar("T")
HASH_AT_ONCE = 2
SEND_AT_ONCE = 8
BACKOFF_S = (0.5, 30.0)
READ_BYTES = 1 << 20
SMALL_BYTES = 128 << 10
"""Hashed at once (0.1 ms) where a thread would take as long."""
REMEMBERED = 50_000
"""Contents known to be in the store,"""
REMEMBERED_S = 600.0
"""and for how long: a collection may have removed one that nothing named."""
MAX_WAITING = 100_000
"""Files that wait to be sent, about 100 MB of memory; then the writers that have some of them are not read on."""


class Content(NamedTuple):
    sha256: str
    size: int
    state: FileState
    """Of the file when it was hashed."""

    def fields(self) -> dict[str, Any]:
        """As events have it."""
        return {"sha256": self.sha256, "size": self.size}


class _Waiting(NamedTuple):
    path: Path
    content: Content
    then: Callable[[StagedFileLost | None], None]


class Deposits:
    """Hashes and sends files, a few at a time, and tries for ever: a store that is down delays bytes and nothing else.

    One content is sent once, however many files have it: at the same time, or while it is among the last REMEMBERED.
    """

    def __init__(self, objects: Uploads, clock: Callable[[], float] = time.monotonic) -> None:
        self.sent_files = 0
        self.sent_bytes = 0
        """Of what the store did not have."""
        self._objects = objects
        self._clock = clock
        self._hashing = asyncio.Semaphore(HASH_AT_ONCE)
        self._sending = asyncio.Semaphore(SEND_AT_ONCE)
        self._threads = ThreadPoolExecutor(HASH_AT_ONCE + SEND_AT_ONCE, "runstream-upload")
        self._stored: OrderedDict[str, float] = OrderedDict()
        """Content to the monotonic time since which it is in the store."""
        self._under_way: dict[str, asyncio.Future[None]] = {}
        self._waiting: deque[_Waiting] = deque()
        self._workers: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Files that `store_later` has not brought there."""
        return len(self._waiting) + len(self._workers)

    def content_of_small(self, path: Path) -> Content | None:
        """Of a file up to SMALL_BYTES, at once; None: it is larger, or cannot be read now."""
        try:
            with path.open("rb") as file:
                state = FileState.of(file.fileno())
                data = file.read(SMALL_BYTES + 1)
        except OSError:
            return None
        return Content(hashlib.sha256(data).hexdigest(), len(data), state) if len(data) <= SMALL_BYTES else None

    async def content_of(self, path: Path) -> Content:
        """Raises StagedFileLost."""
        async with self._hashing:
            return await self._insist(path, lambda: self._in_thread(lambda: hashed(path)))

    async def deposit(self, path: Path) -> Content:
        """Hash and store `path`; what of it is in the store then. A file that changes meanwhile is hashed again.

        Raises StagedFileLost.
        """

        async def attempt() -> Content:
            content = await self.content_of(path)
            await self._store_once(path, content)
            return content

        return await self._insist(path, attempt)

    async def confirm(self, path: Path, content: Content) -> Content:
        """Make sure that `content`, which `path` had, is in the store still, and young; what of the file is there then.

        Raises StagedFileLost.
        """
        sha256 = content.sha256
        if self._is_remembered(sha256):
            return content
        began = self._clock()
        key = object_key(sha256)
        if await self._insist(path, lambda: self._in_thread(lambda: self._objects.renew(key, content.size))):
            self._remember(sha256, began)
            return content
        log.warning("%s is gone from the store before it was announced; it is sent again", path)
        return await self.deposit(path)

    def store_later(self, path: Path, content: Content, then: Callable[[StagedFileLost | None], None]) -> None:
        """Store `path` in the background and call `then`, with the error when the file is not there any more."""
        self._waiting.append(_Waiting(path, content, then))
        if len(self._workers) < SEND_AT_ONCE:
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def close(self) -> None:
        """Let go of what waits; files under way end in their threads, or with the process."""
        self._waiting.clear()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        while self._waiting:
            path, content, then = self._waiting.popleft()
            lost = None
            try:
                await self._insist(path, partial(self._store_once, path, content))
            except StagedFileLost as error:
                lost = error
            then(lost)

    async def _insist(self, path: Path, attempt: Callable[[], Awaitable[T]]) -> T:
        """The answer of `attempt`, which is made until it succeeds. Raises StagedFileLost."""
        failures = 0
        while True:
            try:
                return await attempt()
            except StagedFileLost:
                raise
            except Exception as error:  # noqa: BLE001 - stores raise what they like; said in the log
                failures += 1
                await self._after(path, error, failures)

    async def _after(self, path: Path, error: Exception, failures: int) -> None:
        """Wait until it may be tried again. Raises StagedFileLost when that is of no use."""
        if not path.is_file():  # noqa: ASYNC240 - a look at the local spool
            raise StagedFileLost(path=path) from error
        wait = min(BACKOFF_S[1], BACKOFF_S[0] * 2 ** min(failures - 1, 10)) * random.uniform(0.5, 1)  # noqa: S311
        log.warning(
            "upload path=%s attempt=%d error=%r; again in %.1f s", path, failures, error, wait, exc_info=failures == 1
        )
        await asyncio.sleep(wait)

    async def _store_once(self, path: Path, content: Content) -> None:
        """Raises what the store raises."""
        sha256 = content.sha256
        while (other := self._under_way.get(sha256)) is not None:
            await asyncio.wait([other])
        if self._is_remembered(sha256):
            return
        mine = self._under_way[sha256] = asyncio.get_running_loop().create_future()
        try:
            async with self._sending:
                began = self._clock()  # to S3, an object is as old as the beginning of its upload
                is_new = await self._in_thread(lambda: self._put(path, content))
        finally:
            del self._under_way[sha256]
            mine.set_result(None)
        self._remember(sha256, began)
        if is_new:
            self.sent_files += 1
            self.sent_bytes += content.size

    def _is_remembered(self, sha256: str) -> bool:
        seen = self._stored.get(sha256)
        return seen is not None and self._clock() - seen < REMEMBERED_S

    def _remember(self, sha256: str, seen: float) -> None:
        self._stored[sha256] = seen
        self._stored.move_to_end(sha256)
        if len(self._stored) > REMEMBERED:
            self._stored.popitem(last=False)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _put(self, path: Path, content: Content) -> bool:
        """Whether the store did not have it."""
        key = object_key(content.sha256)
        if self._objects.renew(key, content.size):
            return False
        self._objects.put_file(key, path, content.sha256, content.state)
        return True


def hashed(path: Path) -> Content:
    """Raises OSError."""
    digest = hashlib.sha256()
    size = 0
    buffer = memoryview(bytearray(READ_BYTES))
    with path.open("rb", buffering=0) as file:
        state = FileState.of(file.fileno())
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            size += count
    return Content(digest.hexdigest(), size, state)
