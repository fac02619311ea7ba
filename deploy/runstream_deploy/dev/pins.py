"""The exact versions that are installed, and what their files must hash to."""

from __future__ import annotations

from pathlib import Path

KAFKA_VERSION = "4.1.0"
KAFKA_SCALA = "2.13"
SLF4J_VERSION = "1.7.36"
MAVEN_DEPENDENCY_PLUGIN = "3.8.1"
#: Lines of `<sha256>  <jar>`, every jar of the broker's class path.
KAFKA_JARS = Path(__file__).with_name(f"kafka-{KAFKA_VERSION}.sha256")

#: npm's *latest* tag is older and has no listeners, hence the exact version.
CLICKHOUSE_PACKAGE = "@chdb/lib-linux-x64-gnu"
CLICKHOUSE_VERSION = "26.7.3-stable.1"
CLICKHOUSE_SHA256 = "c0d32b129e988f2b9a9a31c9141aecf5e1e2453f9a079efc4d36ab8e3f92b2ad"

MINIO_MODULE = "github.com/minio/minio"
MINIO_VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
#: The module's own hash, as in go.sum; its dependencies are held by its go.sum and the checksum database.
MINIO_SUM = "h1:/qdoYujxF5MBLDMVLeiYJ/7fBa1HikX39Dvzb9Ji8pA="


def kafka_jars() -> dict[str, str]:
    """Jar name to sha256."""
    rows = (line.split() for line in KAFKA_JARS.read_text().splitlines())
    return {jar: digest for digest, jar in rows}
