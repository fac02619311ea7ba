"""Prepare the build contexts of the local images: `images.py DIRECTORY`.

Each context is `deploy/containers/<name>` plus the service that `runstream dev` installs and verifies, as hard links.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from runstream_deploy.dev import clickhouse
from runstream_deploy.dev.installs import install_clickhouse, install_kafka, install_minio

HERE = Path(__file__).parent


def report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def link(source: Path, target: Path) -> None:
    """A hard link, or a copy where that cannot be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def main(directory: Path) -> None:
    for name in ("python", "kafka", "clickhouse", "minio"):
        shutil.rmtree(directory / name, ignore_errors=True)
        shutil.copytree(HERE / name, directory / name)
    for jar in install_kafka(report).iterdir():
        link(jar, directory / "kafka" / "libs" / jar.name)
    link(install_clickhouse(report), directory / "clickhouse" / "libchdb.so")
    link(Path(clickhouse.__file__).with_name("clickhouse_server.py"), directory / "clickhouse" / "clickhouse_server.py")
    link(install_minio(report), directory / "minio" / "minio")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
