"""Native services in a temporary directory, killed with the test process however that ends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from runstream_deploy.dev import Service

S = TypeVar("S", bound=Service)


@contextmanager
def temporary(kind: type[S]) -> Iterator[S]:
    """A started service of its own; its process and data are removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix=f"runstream-test-{kind.kind}-"))
    service = kind(directory, tethered=True)
    try:
        service.start()
        yield service
    finally:
        if service.alive:
            service.kill()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def address(kind: type[Service]) -> Iterator[str]:
    """The URL of a temporary service."""
    with temporary(kind) as service:
        yield service.url
