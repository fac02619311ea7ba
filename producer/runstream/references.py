"""References: files that an artifact names by their address and does not copy.

What is known of such a file (ETag, version, size) is looked up when the artifact is logged, and compared when the file
is fetched or verified. An address that does not answer is recorded as unchecked.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

from runstream.errors import ArtifactError
from runstream.masking import mask_text
from runstream.objects import ReadsOtherBuckets

SCHEMES = ("s3", "http", "https", "file", "gs", "hf")
TIMEOUT_S = 3.0
FETCH_TIMEOUT_S = 60.0
AT_ONCE = 16
MAX_BYTES = 4096


class Known(NamedTuple):
    """`digest`: of what is known of the content, 64 hex digits, or empty where nothing is: it is unchecked."""

    digest: str = ""
    size: int = 0
    """Bytes; 0 when unknown."""


UNCHECKED = Known()


def checked_address(text: object) -> str:
    """The address. Raises ValueError for another scheme, and for one that holds a password or a signature."""
    address = str(text)
    parts = urlsplit(address)
    if parts.scheme not in SCHEMES or not (parts.netloc or parts.path.strip("/")):
        raise ValueError(f"the reference {address[:100]!r} is none of {', '.join(f'{one}://' for one in SCHEMES)}")
    if len(address.encode("utf-8", "replace")) > MAX_BYTES or not address.isprintable():
        raise ValueError(f"the reference {address[:60]!r}… has a control character or more than {MAX_BYTES} bytes")
    if parts.password or mask_text(address) != address:
        raise ValueError(
            f"the reference to {parts.hostname} holds a password, a token or a signature, which would be kept "
            "for ever; give the bare address, and credentials to whoever fetches it"
        )
    return address


def look_up(addresses: Sequence[str], store: object) -> list[Known]:
    """What is known of each, in order. Never raises; a host that does not answer once is not asked again."""
    from concurrent.futures import ThreadPoolExecutor

    silent: set[str] = set()
    lock = threading.Lock()

    def one(address: str) -> Known:
        host = urlsplit(address).netloc
        with lock:
            if host in silent:
                return UNCHECKED
        try:
            return known(address, store)
        except Exception:  # noqa: BLE001 - whatever it is, nothing is known
            with lock:
                silent.add(host)
            return UNCHECKED

    if not addresses:
        return []
    with ThreadPoolExecutor(min(AT_ONCE, len(addresses))) as pool:
        return list(pool.map(one, addresses))


def known(address: str, store: object) -> Known:
    """What is known of the content at `address` now. `store`: the object store, whose server and keys give s3://.

    Unchecked when it is not there, or of a kind that is not looked up. Raises OSError when nobody answers.
    """
    parts = urlsplit(address)
    facts: tuple[str, str, int] | None = None
    if parts.scheme == "file":
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            status = Path(unquote(parts.path)).stat()
            facts = ("", str(status.st_mtime_ns), status.st_size)
    elif parts.scheme in ("http", "https"):
        facts = _head(address)
    elif parts.scheme == "s3" and isinstance(store, ReadsOtherBuckets):
        with contextlib.suppress(FileNotFoundError):
            facts = store.facts_in(parts.netloc, unquote(parts.path.lstrip("/")))
    if facts is None or not (facts[0] or facts[1]):
        return UNCHECKED if facts is None else Known("", facts[2])
    return Known(_digest(address, *facts), facts[2])


def opened(address: str, store: object) -> BinaryIO:
    """A stream of what lies at `address`; the caller closes it.

    Raises OSError, and ArtifactError when it is of a kind that is not fetched.
    """
    import urllib.request

    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).open("rb")
    if parts.scheme in ("http", "https"):
        answer: BinaryIO = urllib.request.build_opener().open(address, timeout=FETCH_TIMEOUT_S)
        return answer
    if parts.scheme == "s3" and isinstance(store, ReadsOtherBuckets):
        return store.open_in(parts.netloc, unquote(parts.path.lstrip("/")))
    remedy = "set RUNSTREAM_S3 to the server that has it" if parts.scheme == "s3" else "fetch it with its own tools"
    raise ArtifactError(f"{address} is a reference that cannot be fetched here; {remedy}.")


def manifest_sha256(file: dict[str, Any]) -> str:
    """What stands for a file's content in the digest of a version: of an unchecked reference, its address."""
    return str(file["sha256"]) or hashlib.sha256(file["ref"].encode()).hexdigest()


def _digest(address: str, etag: str, version: str, size: int) -> str:
    return hashlib.sha256(f"{address}\n{etag}\n{version}\n{size}\n".encode()).hexdigest()


def _head(address: str) -> tuple[str, str, int] | None:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(address, method="HEAD")  # noqa: S310 - http(s) only, see `known`
    try:
        with urllib.request.build_opener().open(request, timeout=TIMEOUT_S) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as error:
        error.close()
        return None
    length = headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else 0
    return headers.get("ETag", "").strip('"'), headers.get("Last-Modified", ""), size
