"""Objects in a bucket of S3, MinIO or another store that speaks it."""

from __future__ import annotations

import io
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote, urlsplit

from runstream.objects import RENEW_AFTER_S, FileState, ObjectStat
from runstream_storage.errors import (
    ObjectError,
    ObjectNotFound,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    cause_of,
)
from runstream_storage.objects.keys import CheckedReader, check_key, check_prefix, copy_checked, promised_sha256
from runstream_storage.objects.multipart import PART_BYTES, Closing, Gone, Parts, part_size
from runstream_storage.objects.removal import wait_until_not_removed

if TYPE_CHECKING:
    from minio import Minio

BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{1,61}[A-Za-z0-9]")
"""What the client takes for a name; stores may be stricter."""
CHUNK_BYTES = 1 << 20
MAX_EXPIRY_S = 7 * 24 * 3600
MISSING = {"NoSuchKey", "NoSuchBucket", "NoSuchObject", "ResourceNotFound"}
TRANSIENT = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "XMinioServerNotInitialized"}


class S3Store:
    """The bucket of `http(s)://access:secret@host:port/bucket`, made with the first object when it is missing.

    Every call may raise ObjectStoreUnavailable (try again) or ObjectStoreRefused (keys, rights).
    """

    def __init__(self, url: str) -> None:
        import urllib3
        from minio import Minio

        parts = urlsplit(url)
        self.bucket = unquote(parts.path.strip("/"))
        if parts.scheme not in {"http", "https"} or not parts.hostname or not self.bucket or "/" in self.bucket:
            raise ObjectError("An S3 URL is http(s)://access:secret@host:port/bucket. Set RUNSTREAM_S3.")
        if not BUCKET.fullmatch(self.bucket):
            raise ObjectError(
                f"{self.bucket!r} is no name of a bucket: 3 to 63 letters, digits, '.', '-'. Correct RUNSTREAM_S3."
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        address = f"{host}:{parts.port}" if parts.port else host
        self.address = f"{parts.scheme}://{address}/{self.bucket}"
        self._client: Minio = Minio(
            address,
            access_key=unquote(parts.username or ""),
            secret_key=unquote(parts.password or ""),
            secure=parts.scheme == "https",
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=5, read=60),
                maxsize=16,
                retries=urllib3.Retry(total=3, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
            ),
        )

        self._parts = Parts(self._client, self.bucket)

    def is_there(self) -> bool:
        """Whether the bucket was made already."""
        with self._translated(""):
            return bool(self._client.bucket_exists(bucket_name=self.bucket))

    def __repr__(self) -> str:
        return f"S3Store({self.address!r})"

    def put_file(self, key: str, path: Path, sha256: str, seen: FileState | None = None) -> None:
        """Store a copy of `path`, large files in parts, several at a time.

        Parts that an earlier, unfinished upload of the same bytes has left in the store are not sent again. Raises
        ChecksumMismatch, keeping nothing, unless what was read has this sha256; a file that is in the state `seen` to
        the end was hashed by the caller.
        """
        check_key(key)

        def upload() -> None:
            with path.open("rb", buffering=0) as source:
                size = os.fstat(source.fileno()).st_size
                if size <= PART_BYTES:
                    self._put(key, CheckedReader(source, key=key, size=size, expected=sha256), size)
                else:
                    with self._translated(key):
                        self._parts.put(key, source, size, sha256, seen)

        self._with_bucket(key, upload)

    @property
    def sent_part_bytes(self) -> int:
        """Bytes of parts of large files that arrived, of this store since it was opened."""
        return self._parts.sent_bytes

    def close(self) -> None:
        """Make uploads of large files under way fail at their next part, as ObjectStoreUnavailable."""
        self._parts.close()

    def put_bytes(self, key: str, data: bytes) -> None:
        """Store `data`; under a content-addressed key it must have the key's sha256."""
        expected = promised_sha256(check_key(key))

        def upload() -> None:
            self._put(key, CheckedReader(io.BytesIO(data), key=key, size=len(data), expected=expected), len(data))

        self._with_bucket(key, upload)

    def open(self, key: str, offset: int = 0) -> BinaryIO:
        """The object from the byte `offset` on, as a stream read from the store as it goes, which the caller closes;
        raises ObjectNotFound."""
        with self._translated(check_key(key)):
            response = self._client.get_object(bucket_name=self.bucket, object_name=key, offset=offset)
        return io.BufferedReader(_Body(response), CHUNK_BYTES)

    def get_file(self, key: str, path: Path) -> None:
        """Write the object to `path`, checked against the key's sha256 where it has one, at once or not at all."""
        partial = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}")
        try:
            with self._translated(key), self.open(key) as source, partial.open("xb") as target:
                copy_checked(source, target.write, key=key, expected=promised_sha256(key), chunk=CHUNK_BYTES)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def stat(self, key: str) -> ObjectStat:
        """Raises ObjectNotFound."""
        with self._translated(check_key(key)):
            found = self._client.stat_object(bucket_name=self.bucket, object_name=key)
        return _stat(found)

    def facts_in(self, bucket: str, name: str) -> tuple[str, str, int]:
        """ETag, version and bytes of an object of any bucket that these keys may read; raises ObjectNotFound."""
        with self._translated(name):
            found = self._client.stat_object(bucket_name=bucket, object_name=name)
        return str(found.etag or "").strip('"'), str(found.version_id or ""), int(found.size or 0)

    def open_in(self, bucket: str, name: str) -> BinaryIO:
        """As `open`, of any bucket."""
        with self._translated(name):
            response = self._client.get_object(bucket_name=bucket, object_name=name)
        return io.BufferedReader(_Body(response), CHUNK_BYTES)

    def exists(self, key: str) -> bool:
        try:
            self.stat(key)
        except ObjectNotFound:
            return False
        return True

    def renew(self, key: str, size: int) -> bool:
        """Whether the object is there in its whole `size`; an older one is copied onto itself, inside the
        store, and not removed by a collection that runs."""
        from minio.commonconfig import REPLACE, CopySource

        try:
            found = self.stat(key)
            if found.size != size:
                return False
            if time.time() - found.modified_us / 1e6 > RENEW_AFTER_S:
                with self._translated(key):
                    source = CopySource(self.bucket, key)
                    self._client.copy_object(self.bucket, key, source, metadata_directive=REPLACE)
                wait_until_not_removed(self, key)
                self.stat(key)
        except ObjectNotFound:
            return False
        return True

    def url(self, key: str, expires_s: int, *, content_type: str = "", disposition: str = "") -> str:
        """An address that serves this object for `expires_s` seconds: at least 1, at most 7 days. The headers of its
        answer are part of what is signed."""
        if not 1 <= expires_s <= MAX_EXPIRY_S:
            raise ObjectError(f"An address is good for 1 to {MAX_EXPIRY_S} seconds, not {expires_s}.")
        headers: dict[str, Any] = {}
        if content_type:
            headers["response-content-type"] = content_type
        if disposition:
            headers["response-content-disposition"] = disposition
        with self._translated(check_key(key)):
            signed: str = self._client.presigned_get_object(
                bucket_name=self.bucket,
                object_name=key,
                expires=timedelta(seconds=expires_s),
                response_headers=headers or None,
            )
        return signed

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """The objects whose keys begin with `prefix`, in order of key, fetched as you go."""
        check_prefix(prefix)

        def found() -> Iterator[ObjectStat]:
            try:
                with self._translated(prefix):
                    for item in self._client.list_objects(bucket_name=self.bucket, prefix=prefix, recursive=True):
                        yield _stat(item)
            except ObjectNotFound:
                return

        return found()

    def delete(self, key: str) -> None:
        try:
            with self._translated(check_key(key)):
                self._client.remove_object(bucket_name=self.bucket, object_name=key)
        except ObjectNotFound:
            return

    def unfinished(self, age_s: float, *, give_up: bool = False) -> tuple[int, int]:
        """Unfinished uploads that began longer ago, and the bytes of their parts; `give_up` lets go of them."""
        try:
            with self._translated(""):
                return self._parts.unfinished(age_s, give_up=give_up)
        except ObjectNotFound:  # there is no bucket yet
            return 0, 0

    def _put(self, key: str, source: CheckedReader, size: int) -> None:
        part = part_size(size)
        with self._translated(key):
            data: Any = source  # all that put_object calls is read()
            self._client.put_object(bucket_name=self.bucket, object_name=key, data=data, length=size, part_size=part)

    def _make_bucket(self) -> None:
        from minio.error import S3Error

        try:
            self._client.make_bucket(bucket_name=self.bucket)
        except S3Error as error:
            if error.code != "BucketAlreadyOwnedByYou":  # by another upload, meanwhile
                raise

    def _with_bucket(self, key: str, upload: Callable[[], None]) -> None:
        try:
            upload()
        except ObjectNotFound:
            with self._translated(key):
                if not self._client.bucket_exists(bucket_name=self.bucket):
                    self._make_bucket()
            upload()

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Errors of the client as ours; none of them carries a key or a signature."""
        import urllib3
        from minio.error import S3Error, ServerError

        try:
            yield
        except S3Error as error:
            code = str(error.code)
            if code in MISSING:
                raise ObjectNotFound(key=key, store=self.address) from error
            if code in TRANSIENT:
                raise ObjectStoreUnavailable(store=self.address, reason=f"{error.message} ({code})") from error
            raise ObjectStoreRefused(store=self.address, code=code, reason=str(error.message)) from error
        except ServerError as error:
            raise ObjectStoreUnavailable(store=self.address, reason=str(error)[:200]) from error
        except (Closing, Gone) as error:
            reason = "it is being closed" if isinstance(error, Closing) else "the upload was given up by somebody else"
            raise ObjectStoreUnavailable(store=self.address, reason=reason) from error
        except urllib3.exceptions.HTTPError as error:
            raise ObjectStoreUnavailable(store=self.address, reason=cause_of(error)) from error


class _Body(io.RawIOBase):
    """A response's body; closing it gives the connection back."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self._response = response

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._response.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._response.close()
            self._response.release_conn()
        super().close()


def _stat(found: Any) -> ObjectStat:
    modified = found.last_modified
    return ObjectStat(str(found.object_name), int(found.size or 0), int(modified.timestamp() * 1e6) if modified else 0)
