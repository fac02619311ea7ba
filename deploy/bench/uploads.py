"""Hashing and uploads beside what they are made of: sha256 alone, and a plain PUT of the same bytes.

Each pair is measured in turns, in this process, from a file that lies in the page cache; the medians are compared.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from bars import at_least

MIB = 1 << 20
LARGE_BYTES = 128 * MIB
CUT_BYTES = 64 * MIB
SMALL_FILES, SMALL_BYTES = 500, 32 << 10
ROUNDS = 5
BAR = 0.8
PUT = """
import sys
from pathlib import Path
from runstream_storage.objects import S3Store
url, path, key, sha256 = sys.argv[1:]
S3Store(url).put_file(key, Path(path), sha256)
"""
Row = tuple[str, str, str]


def measure(s3_url: str | None = None) -> list[Row]:
    """The rows of the report; with an object store also uploads to it."""
    with tempfile.TemporaryDirectory(prefix="runstream-uploads-") as name:
        directory = Path(name)
        large = directory / "large"
        large.write_bytes(os.urandom(LARGE_BYTES))
        rows = [_hashing(large), _directory(directory, large)]
        if s3_url is not None:
            rows += [
                _put(s3_url, large),
                _deposit(s3_url, large),
                _small(s3_url, directory),
                _cut_short(s3_url, directory),
            ]
    return rows


def _hashing(large: Path) -> Row:
    from runstream.agent.deposits import hashed

    def alone() -> None:
        with large.open("rb") as file:
            hashlib.file_digest(file, "sha256")

    ours, plain = _in_turns(lambda: hashed(large), alone)
    return _row("hashing a file", ours, plain, LARGE_BYTES, "sha256 alone")


def _directory(directory: Path, large: Path) -> Row:
    from runstream.agent.deposits import hashed
    from runstream_storage.objects import DirectoryStore

    store = DirectoryStore((directory / "objects").as_uri())
    found = hashed(large)

    def ours() -> None:
        store.put_file("object", large, found.sha256, found.state)

    def plain() -> None:
        (directory / "copy").unlink(missing_ok=True)
        with large.open("rb") as source, (directory / "copy").open("wb") as target:
            shutil.copyfileobj(source, target, MIB)
            target.flush()
            os.fsync(target.fileno())

    return _row("to a directory, until it is on disk", *_in_turns(ours, plain), LARGE_BYTES, "copy and fsync")


def _put(s3_url: str, large: Path) -> Row:
    from runstream.agent.deposits import hashed
    from runstream_storage.objects import S3Store

    store = S3Store(f"{s3_url}/put")
    client, bucket = _plain_client(s3_url)
    found = hashed(large)
    numbers = iter(range(10_000))
    ours, plain = _in_turns(
        lambda: store.put_file(f"ours-{next(numbers)}", large, found.sha256, found.state),
        lambda: client.fput_object(bucket, f"plain-{next(numbers)}", str(large)),
    )
    return _row("a large file to S3", ours, plain, LARGE_BYTES, "fput_object of the plain client")


def _deposit(s3_url: str, large: Path) -> Row:
    """What the agent does with a file: hash it, ask whether the store has it, send it."""
    from runstream.agent.deposits import Deposits
    from runstream_storage.objects import S3Store

    store = S3Store(f"{s3_url}/deposit")
    client, bucket = _plain_client(s3_url)
    numbers = iter(range(10_000))

    def change() -> None:
        with large.open("r+b") as file:
            file.write(next(numbers).to_bytes(8, "big"))

    async def deposit() -> None:
        deposits = Deposits(store)
        await deposits.deposit(large)
        await deposits.close()

    def plain() -> None:
        client.fput_object(bucket, f"sha256/{_sha256(large)}", str(large))

    ours, alone = _in_turns(lambda: asyncio.run(deposit()), plain, before=change)
    return _row("a large file by the agent: hashed and sent", ours, alone, LARGE_BYTES, "sha256, then fput_object")


def _small(s3_url: str, directory: Path) -> Row:
    from runstream.agent.deposits import SEND_AT_ONCE, Deposits
    from runstream_storage.objects import S3Store

    store = S3Store(f"{s3_url}/small")
    client, bucket = _plain_client(s3_url)
    folder = directory / "small"
    folder.mkdir()
    paths = [folder / str(number) for number in range(SMALL_FILES)]

    def change() -> None:
        for path in paths:
            path.write_bytes(os.urandom(SMALL_BYTES))

    async def deposit() -> None:
        deposits = Deposits(store)
        done = asyncio.Event()
        left = len(paths)

        def then(_: object) -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set()

        for path in paths:
            content = deposits.content_of_small(path)
            assert content is not None
            deposits.store_later(path, content, then)
        await done.wait()
        await deposits.close()

    def plain() -> None:
        with ThreadPoolExecutor(SEND_AT_ONCE) as pool:
            list(pool.map(lambda path: client.fput_object(bucket, f"sha256/{_sha256(path)}", str(path)), paths))

    ours, alone = _in_turns(lambda: asyncio.run(deposit()), plain, before=change, rounds=3)
    rate, plain_rate = SMALL_FILES / ours, SMALL_FILES / alone
    note = f"{plain_rate:,.0f}/s with sha256 and fput_object in as many threads, which does not ask what is there"
    return f"{SMALL_FILES:,} files of {SMALL_BYTES >> 10} KiB by the agent", f"{rate:,.0f} files/s", note


def _cut_short(s3_url: str, directory: Path) -> Row:
    """An uploader is killed in the middle; how much another one sends again."""
    from runstream_storage.objects import S3Store

    path = directory / "cut"
    path.write_bytes(os.urandom(CUT_BYTES))
    sha256 = _sha256(path)
    store = S3Store(f"{s3_url}/cut")
    store.put_bytes("begun", b"")
    key = f"sha256/{sha256[:2]}/{sha256}"
    uploader = subprocess.Popen([sys.executable, "-c", PUT, f"{s3_url}/cut", str(path), key, sha256])
    while _arrived(store, key) < CUT_BYTES // 4 and uploader.poll() is None:
        time.sleep(0.002)
    uploader.send_signal(signal.SIGKILL)
    uploader.wait()
    if store.exists(key):
        return "an upload killed in the middle", "-", "this machine was through before it was killed"
    arrived = _arrived(store, key)
    store.put_file(key, path, sha256)
    again = arrived + store.sent_part_bytes - CUT_BYTES
    note = f"{arrived // MIB} MiB had arrived when it was killed; the next one sent {store.sent_part_bytes // MIB} MiB"
    return f"{CUT_BYTES // MIB} MiB, killed in the middle: sent again", f"{max(0, again) // MIB} MiB", note


def _arrived(store: Any, key: str) -> int:
    """Bytes of the parts of an unfinished upload that the store has."""
    client = store._client
    uploads = client._list_multipart_uploads(store.bucket, prefix=key).uploads
    if not uploads:
        return 0
    return sum(part.size or 0 for part in client._list_parts(store.bucket, key, uploads[0].upload_id).parts)


def _plain_client(s3_url: str) -> tuple[Any, str]:
    from minio import Minio

    parts = urlsplit(s3_url)
    host = f"{parts.hostname}:{parts.port}"
    client = Minio(host, unquote(parts.username or ""), unquote(parts.password or ""), secure=parts.scheme == "https")
    if not client.bucket_exists("plain"):
        client.make_bucket("plain")
    return client, "plain"


def _in_turns(
    ours: Callable[[], object],
    plain: Callable[[], object],
    before: Callable[[], None] | None = None,
    rounds: int = ROUNDS,
) -> tuple[float, float]:
    """Median seconds of each; the first round of both does not count."""
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for place, call in ((0, ours), (1, plain)) if number % 2 else ((1, plain), (0, ours)):
            if before is not None:
                before()
            began = time.perf_counter()
            call()
            if number:
                took[place].append(time.perf_counter() - began)
    return statistics.median(took[0]), statistics.median(took[1])


def _row(what: str, ours: float, plain: float, size: int, beside: str) -> Row:
    share = plain / ours
    bar = at_least(share, BAR, f"{BAR:.0%}")
    return what, f"{size / MIB / ours:,.0f} MiB/s", f"{share:.0%} of {size / MIB / plain:,.0f} MiB/s ({beside}); {bar}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    for what, value, note in measure(os.environ.get("RUNSTREAM_BENCH_S3")):
        print(f"{what:<48} {value:<16} {note}")
