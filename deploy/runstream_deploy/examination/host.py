"""This machine: versions, the data directory, what waits in its spools."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from runstream_deploy.examination.finding import Finding, judged

if TYPE_CHECKING:
    from runstream.settings import Settings

LOW_DISK_BYTES = 1 << 30
LIBRARIES = ("aiokafka", "fastavro", "clickhouse-connect", "chdb")


def versions(_: Settings) -> Iterator[Finding]:
    yield Finding(True, "runstream", f"{version('runstream')} on Python {sys.version.split()[0]}")
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    yield Finding(True, "libraries", ", ".join(found))


def data_directory(settings: Settings) -> Iterator[Finding]:
    existing = settings.dir
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            False, "data directory", f"{settings.dir} cannot be written", "Set RUNSTREAM_DIR to a directory of yours."
        )
        return
    free = shutil.disk_usage(existing).free
    remedy = "Free some space, or set RUNSTREAM_DIR to another disk."
    found = f"{settings.dir}, {free / 2**30:.1f} GiB free"
    yield judged("data directory", found, remedy, ok=free >= LOW_DISK_BYTES)


def spools(settings: Settings) -> Iterator[Finding]:
    waiting = list(settings.spool_dir.glob("*/*/*.seg")) if settings.spool_dir.is_dir() else []
    if refused := _files(settings.dir / "refused"):
        text = f"{refused:,} files in {settings.dir / 'refused'}: the brokers will never take them"
        remedy = "Raise max.message.bytes of the topics and message.max.bytes of the brokers; the files keep the bytes."
        yield Finding(False, "refused messages", text, remedy)
    if not waiting:
        yield Finding(True, "spools", "nothing waits to be sent")
        return
    size = sum(segment.stat().st_size for segment in waiting)
    age = time.time() - min(segment.stat().st_mtime for segment in waiting)
    runs = len({segment.parent.parent.name for segment in waiting})
    served = reader_of(settings)
    sends = "`runstream agent` or `runstream sync`" if settings.kafka else f"`runstream up --dir {settings.dir}`"
    yield judged(
        "spools",
        f"up to {size / 2**20:.1f} MiB of {runs} runs on disk, oldest written {age:,.0f} s ago; "
        + (f"read by {served}" if served else "nothing reads them now"),
        f"Start {sends}; nothing is lost meanwhile.",
        ok=bool(served),
    )


def reader_of(settings: Settings) -> str:
    """Who tails the spools of this directory now, or nothing."""
    from runstream.agent.lock import holder
    from runstream_storage.discovery import find_up

    if running := find_up(settings.dir):
        return f"runstream up (pid {running.pid})"
    pid = holder(settings.agent_lock)
    return f"the agent (pid {pid})" if pid else ""


def _files(directory: Path) -> int:
    return sum(1 for path in directory.rglob("*") if path.is_file()) if directory.is_dir() else 0
