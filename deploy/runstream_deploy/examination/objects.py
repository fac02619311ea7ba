"""The object store."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runstream_deploy.examination.finding import Finding

if TYPE_CHECKING:
    from runstream.settings import Settings
    from runstream_storage.objects.s3 import S3Store


def object_store(settings: Settings) -> Iterator[Finding]:
    from runstream.objects import open_store
    from runstream_storage.objects.s3 import S3Store

    shown = settings.s3.rsplit("@", 1)[-1]
    store = open_store(settings.s3)
    # The first upload makes a bucket; to look must not, or a name with a typo would look healthy.
    if isinstance(store, S3Store) and _is_missing(store):
        remedy = "The first upload makes it, where the keys may; or create it, or correct its name in RUNSTREAM_S3."
        yield Finding(False, "object store", f"{shown} answers, and has no such bucket", remedy)
        return
    key = f"doctor/{os.getpid()}-{time.time_ns()}"
    store.put_bytes(key, b"runstream doctor")
    store.delete(key)
    yield Finding(True, "object store", f"{shown} can be written")


def _is_missing(store: S3Store) -> bool:
    from runstream_storage.errors import ObjectStoreRefused

    try:
        return not store.is_there()
    except ObjectStoreRefused:
        return False  # keys that may write objects need not be allowed to ask for the bucket
