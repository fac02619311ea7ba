"""Install each service with its registry's own client, so that mirrors and proxies just work."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from . import pins
from .cache import installed, require_sha256
from .errors import ChecksumMismatch, InstallFailed, ToolMissing, UnsupportedPlatform

Report = Callable[[str], None]

KAFKA_TOOLS = ("java", "mvn")
CLICKHOUSE_TOOLS = ("npm",)
MINIO_TOOLS = ("go",)
#: What running an installed service needs besides Python.
KAFKA_RUNTIME = ("java",)

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>dev.runstream</groupId><artifactId>kafka-runtime</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_{pins.KAFKA_SCALA}</artifactId>
<version>{pins.KAFKA_VERSION}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId>
<version>{pins.SLF4J_VERSION}</version></dependency>
</dependencies></project>
"""


def missing(tools: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `tools` that are not on PATH."""
    return tuple(tool for tool in tools if shutil.which(tool) is None)


def install_kafka(report: Report, root: Path | None = None) -> Path:
    """The directory of the broker's jars (43 MB, about 5 s the first time)."""

    def build(work: Path) -> None:
        _need("Kafka", KAFKA_TOOLS)
        (work / "pom.xml").write_text(_POM)
        plugin = f"org.apache.maven.plugins:maven-dependency-plugin:{pins.MAVEN_DEPENDENCY_PLUGIN}"
        goal = [f"{plugin}:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime"]
        _run("Kafka", ["mvn", "-B", "-ntp", "-q", *goal], work, report, f"Kafka {pins.KAFKA_VERSION} from Maven")
        verify_jars(work / "lib", pins.kafka_jars())

    return installed("kafka", pins.KAFKA_VERSION, build, root=root) / "lib"


def verify_jars(lib: Path, expected: Mapping[str, str]) -> None:
    """Raise ChecksumMismatch unless `lib` holds exactly the `expected` jars."""
    found = {jar.name for jar in lib.iterdir()}
    if found != set(expected):
        odd = ", ".join(sorted(found ^ set(expected)))
        raise ChecksumMismatch(file=odd, expected=f"the {len(expected)} pinned jars", found="a jar more or less")
    for name, digest in expected.items():
        require_sha256(lib / name, digest)


def install_clickhouse(report: Report, root: Path | None = None) -> Path:
    """The path of libchdb.so, which holds the whole server (178 MB to fetch, 566 MB unpacked)."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise UnsupportedPlatform(service="ClickHouse", platform=f"{platform.system()} {platform.machine()}")

    def build(work: Path) -> None:
        _need("ClickHouse", CLICKHOUSE_TOOLS)
        package = f"{pins.CLICKHOUSE_PACKAGE}@{pins.CLICKHOUSE_VERSION}"
        _run("ClickHouse", ["npm", "pack", "--silent", package], work, report, f"ClickHouse {pins.CLICKHOUSE_VERSION}")
        (archive,) = work.glob("*.tgz")
        require_sha256(archive, pins.CLICKHOUSE_SHA256)
        with tarfile.open(archive) as tar:
            tar.extract("package/libchdb.so", work, filter="data")
        (work / "package" / "libchdb.so").rename(work / "libchdb.so")
        shutil.rmtree(work / "package")
        archive.unlink()

    return installed("clickhouse", pins.CLICKHOUSE_VERSION, build, root=root) / "libchdb.so"


def install_minio(report: Report, root: Path | None = None) -> Path:
    """The path of the static MinIO binary (compiled once, one to three minutes)."""

    def build(work: Path) -> None:
        _need("MinIO", MINIO_TOOLS)
        module = f"{pins.MINIO_MODULE}@{pins.MINIO_VERSION}"
        fetched = _run("MinIO", ["go", "mod", "download", "-json", module], work, report, "MinIO's source")
        found = json.loads(fetched)["Sum"]
        if found != pins.MINIO_SUM:
            raise ChecksumMismatch(file=module, expected=pins.MINIO_SUM, found=found)
        command = ["go", "install", "-ldflags=-s -w", module]
        environment = {"GOBIN": str(work), "CGO_ENABLED": "0"}
        _run("MinIO", command, work, report, "MinIO, compiling it (once)", environment)

    return installed("minio", pins.MINIO_VERSION, build, root=root) / "minio"


def _need(service: str, tools: tuple[str, ...]) -> None:
    lacking = missing(tools)
    if lacking:
        raise ToolMissing(service=service, tools=lacking)


def _run(
    service: str, command: list[str], cwd: Path, report: Report, what: str, extra: Mapping[str, str] | None = None
) -> str:
    """Run an installer, saying every ten seconds that it still works; return what it printed."""
    started = time.monotonic()
    done = threading.Event()

    def say() -> None:
        report(f"installing {what} …")
        while not done.wait(10):
            report(f"installing {what} … {time.monotonic() - started:.0f} s")

    speaker = threading.Thread(target=say, daemon=True)
    speaker.start()
    try:
        with tempfile.TemporaryFile("w+") as errors:
            finished = subprocess.run(
                command, cwd=cwd, env={**os.environ, **(extra or {})}, stdout=subprocess.PIPE, stderr=errors, text=True
            )
            errors.seek(0)
            if finished.returncode:
                output = (finished.stdout + errors.read()).strip()[-2000:]
                raise InstallFailed(service=service, command=" ".join(command), output=output)
    finally:
        done.set()
        speaker.join()
    report(f"installed {what} in {time.monotonic() - started:.0f} s")
    return finished.stdout
