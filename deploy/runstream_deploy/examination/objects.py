"""The object store."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runstream_deploy.examination.finding import Finding

if TYPE_CHECKING:
    from runstream.settings import Settings


def object_store(settings: Settings) -> Iterator[Finding]:
    from runstream.objects import open_store

    key = f"doctor/{os.getpid()}-{time.time_ns()}"
    store = open_store(settings.s3)
    store.put_bytes(key, b"runstream doctor")
    store.delete(key)
    shown = settings.s3.rsplit("@", 1)[-1]
    yield Finding(True, "object store", f"{shown} can be written")
