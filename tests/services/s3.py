"""Fixtures `s3`, `bucket` and `private_minio`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from minio import Minio

from runstream_deploy.dev import MinioService
from runstream_deploy.dev.ports import free_ports
from runstream_deploy.dev.probes import minio_buckets
from runstream_deploy.dev.processes import spawn

from .containers import minio_container
from .native import address
from .tiers import own, serve


@dataclass(frozen=True)
class S3:
    """An object store for tests; `url` is `http://access:secret@host:port`, without a bucket."""

    url: str
    tier: str


@pytest.fixture(scope="session")
def s3(request: pytest.FixtureRequest) -> Iterator[S3]:
    """The session's object store; use `bucket` for objects of your own."""
    with serve(
        request,
        "s3",
        container=minio_container,
        native=partial(address, MinioService),
        stand_in=moto_server,
        stand_in_name="moto",
    ) as (url, tier):
        yield S3(url, tier.value)


@pytest.fixture
def bucket(s3: S3) -> Iterator[str]:
    """The URL of an empty bucket of this test's own."""
    name = f"t{uuid.uuid4().hex[:12]}"
    parts = urlsplit(s3.url)
    client = Minio(
        f"{parts.hostname}:{parts.port}",
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        secure=parts.scheme == "https",
    )
    client.make_bucket(name)
    yield f"{s3.url}/{name}"
    for found in client.list_objects(name, recursive=True):
        client.remove_object(name, str(found.object_name))
    client.remove_bucket(name)


@pytest.fixture
def private_minio(request: pytest.FixtureRequest) -> Iterator[MinioService]:
    """A real MinIO of this test's own, to stop, kill, pause and restart."""
    with own(request, "s3", MinioService) as service:
        yield service


@contextmanager
def moto_server() -> Iterator[str]:
    """moto's S3 in a process of its own."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="runstream-test-moto-") as directory:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        log = Path(directory) / "moto.log"
        process = spawn(command, log, env=dict(os.environ), cwd=Path(directory), tethered=True)
        try:
            deadline = time.monotonic() + 30
            while not answers(port):
                if not process.alive or time.monotonic() > deadline:
                    raise RuntimeError(f"moto did not start:\n{log.read_text()}")
                time.sleep(0.1)
            yield f"http://test:testtest@127.0.0.1:{port}"
        finally:
            process.kill()


def answers(port: int) -> bool:
    """Whether S3 answers there."""
    try:
        minio_buckets(port, "test", "testtest")
    except (OSError, ValueError):
        return False
    return True
