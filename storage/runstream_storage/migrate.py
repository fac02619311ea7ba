"""Bring a database to the schema of this release. Forwards only; applied files never change."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from runstream_storage.connection import ClickHouseSettings, connect
from runstream_storage.errors import MigrationEdited, SchemaTooNew

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

# Not a key of the ledger's rows: two migrators that run at once write the same row twice, and the rows merge.
LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    id         UInt32,
    name       String,
    sha256     String,
    applied_us Int64
)
ENGINE = ReplacingMergeTree
ORDER BY id
SETTINGS non_replicated_deduplication_window = 10000
"""


@dataclass(frozen=True)
class Migration:
    """One file of `migrations/`: `id` and `name` from its file name, `statements` in order."""

    id: int
    name: str
    sha256: str
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Applied:
    """A migration that was applied now, or with dry_run would be; `seconds` is 0.0 for a dry run."""

    id: int
    name: str
    statements: int
    seconds: float


def migrations() -> list[Migration]:
    """The migrations of this release, oldest first."""
    folder = resources.files("runstream_storage").joinpath("migrations")
    found = [
        parse(entry.name, entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if re.fullmatch(r"\d{4}_\w+\.sql", entry.name)
    ]
    return sorted(found, key=lambda migration: migration.id)


def parse(file_name: str, text: str) -> Migration:
    """Read one file; a statement ends with ';' at the end of a line, and '--' at the start of one is a comment."""
    number, name = file_name.removesuffix(".sql").split("_", 1)
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    statements = tuple(statement.strip() for statement in re.split(r";[ \t]*(?:\n|$)", code) if statement.strip())
    return Migration(int(number), name, hashlib.sha256(text.encode()).hexdigest(), statements)


def migrate(
    target: str | ClickHouseSettings | Client, *, dry_run: bool = False, known: Iterable[Migration] | None = None
) -> list[Applied]:
    """Apply what is missing and return it, oldest first; an empty list means that the database was up to date.

    `target` is a URL, whose database is created when it is missing, or a client of an existing database. `known`
    replaces the migrations of this release. Every statement can be repeated, so a migration that was interrupted is
    begun again, and two migrators at once end with one schema. Raises MigrationEdited, SchemaTooNew or Unreachable,
    and then applies nothing.
    """
    ours = sorted(migrations() if known is None else known, key=lambda migration: migration.id)
    if not isinstance(target, str | ClickHouseSettings):
        return _migrate(target, ours, dry_run=dry_run)
    settings = ClickHouseSettings.from_url(target) if isinstance(target, str) else target
    server = connect(settings, database="default", query_timeout_s=300.0)
    try:
        identifier = "`" + settings.database.replace("\\", "\\\\").replace("`", "\\`") + "`"
        question = "SELECT 1 FROM system.databases WHERE name = {name:String}"
        exists = server.query(question, parameters={"name": settings.database}).result_rows
        if not exists and dry_run:
            check(ours, {})
            return [Applied(m.id, m.name, len(m.statements), 0.0) for m in ours]
        if not exists:
            server.command(f"CREATE DATABASE IF NOT EXISTS {identifier}")
    finally:
        server.close()
    client = connect(settings, query_timeout_s=300.0)
    try:
        return _migrate(client, ours, dry_run=dry_run)
    finally:
        client.close()


def applied_migrations(client: Client) -> dict[int, tuple[str, str]]:
    """What the ledger holds: id to (name, sha256); empty for a database that was never migrated."""
    if not client.command("EXISTS TABLE schema_migrations"):
        return {}
    rows = client.query("SELECT id, name, sha256 FROM schema_migrations FINAL ORDER BY id").result_rows
    return {int(number): (name, sha256) for number, name, sha256 in rows}


def check(ours: list[Migration], applied: dict[int, tuple[str, str]]) -> None:
    """Raise MigrationEdited or SchemaTooNew unless `applied` is a part of `ours`."""
    known = {migration.id: migration for migration in ours}
    unknown = [f"{number:04}_{name}" for number, (name, _) in applied.items() if number not in known]
    if unknown:
        newest = f"{ours[-1].id:04}_{ours[-1].name}" if ours else "none"
        raise SchemaTooNew(unknown=unknown, newest=newest)
    for number, (name, sha256) in applied.items():
        if known[number].sha256 != sha256:
            raise MigrationEdited(name=f"{number:04}_{name}", applied=sha256, found=known[number].sha256)


def _migrate(client: Client, ours: list[Migration], *, dry_run: bool) -> list[Applied]:
    applied = applied_migrations(client)
    check(ours, applied)
    missing = [migration for migration in ours if migration.id not in applied]
    if dry_run:
        return [Applied(m.id, m.name, len(m.statements), 0.0) for m in missing]
    client.command(LEDGER)
    done = []
    for migration in missing:
        started = time.monotonic()
        for statement in migration.statements:
            client.command(statement)
        row = [migration.id, migration.name, migration.sha256, time.time_ns() // 1000]
        client.insert("schema_migrations", [row], column_names=["id", "name", "sha256", "applied_us"])
        done.append(Applied(migration.id, migration.name, len(migration.statements), time.monotonic() - started))
    return done
