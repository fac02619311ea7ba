"""`runstream doctor`: look at every part that is configured and say how to mend what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from runstream_deploy.cli.connection import AsJson, Directory, Url, database_url, settings_of
from runstream_deploy.cli.exits import FOUND, told

if TYPE_CHECKING:
    from runstream.settings import Settings

LOW_DISK_BYTES = 1 << 30
CLOCKS_APART_S = 2.0
BROKER_ANSWERS_WITHIN_S = 5.0


@dataclass(frozen=True)
class Finding:
    """What was looked at. `remedy` is empty when `ok`."""

    ok: bool
    subject: str
    found: str
    remedy: str = ""


Check = Callable[["Settings"], Iterator[Finding]]


def doctor(as_json: AsJson = False, clickhouse: Url = None, directory: Directory = None) -> None:
    """Check versions, the data directory, waiting spools, Kafka, ClickHouse, the schema, clocks and the object store.

    Ends with 1 when anything needs mending; each finding says how.

    Example:

        runstream doctor --json
    """
    with told():
        settings = settings_of(directory, clickhouse)
    findings = [finding for check in CHECKS for finding in examined(check, settings)]
    if as_json:
        typer.echo(json.dumps({"ok": all(one.ok for one in findings), "findings": [asdict(one) for one in findings]}))
    else:
        from rich.console import Console

        console = Console(highlight=False)
        for one in findings:
            console.print("[green]ok  [/]" if one.ok else "[red]MEND[/]", end=" ")
            console.print(f"{one.subject}: {one.found}", markup=False, soft_wrap=True)
            if one.remedy:
                console.print(f"     → {one.remedy}", markup=False, soft_wrap=True)
    if not all(one.ok for one in findings):
        raise typer.Exit(FOUND)


def examined(check: Check, settings: Settings) -> list[Finding]:
    """A check that cannot finish is a finding, too: the doctor never falls over what it came to look at."""
    try:
        return list(check(settings))
    except Exception as error:  # noqa: BLE001 - whatever is broken here is what the user asked about
        subject = check.__name__.replace("_", " ")
        return [
            Finding(
                False, subject, f"{type(error).__name__}: {error}", "Mend what the message names, then run this again."
            )
        ]


def versions(_: Settings) -> Iterator[Finding]:
    from importlib.metadata import version

    yield Finding(True, "runstream", f"{version('runstream')} on Python {sys.version.split()[0]}")


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
    remedy = "" if free >= LOW_DISK_BYTES else "Free some space, or set RUNSTREAM_DIR to another disk."
    yield Finding(free >= LOW_DISK_BYTES, "data directory", f"{settings.dir}, {free / 2**30:.1f} GiB free", remedy)


def spools(settings: Settings) -> Iterator[Finding]:
    waiting = list(settings.spool_dir.glob("*/*/*.seg")) if settings.spool_dir.is_dir() else []
    if not waiting:
        yield Finding(True, "spools", "nothing waits to be sent")
        return
    size = sum(segment.stat().st_size for segment in waiting)
    age = time.time() - min(segment.stat().st_mtime for segment in waiting)
    runs = len({segment.parent.parent.name for segment in waiting})
    served = reader_of(settings)
    sends = "`runstream agent` or `runstream sync`" if settings.kafka else f"`runstream up --dir {settings.dir}`"
    yield Finding(
        bool(served),
        "spools",
        f"up to {size / 2**20:.1f} MiB of {runs} runs on disk, oldest written {age:,.0f} s ago; "
        + (f"read by {served}" if served else "nothing reads them now"),
        "" if served else f"Start {sends}; nothing is lost meanwhile.",
    )


def reader_of(settings: Settings) -> str:
    """Who tails the spools of this directory now, or nothing."""
    from runstream.agent.lock import holder
    from runstream_storage.discovery import find_up

    if running := find_up(settings.dir):
        return f"runstream up (pid {running.pid})"
    pid = holder(settings.agent_lock)
    return f"the agent (pid {pid})" if pid else ""


def kafka(settings: Settings) -> Iterator[Finding]:
    if not settings.kafka:
        yield Finding(True, "Kafka", "not configured: embedded, the spools are read by `runstream up`")
        return
    yield from asyncio.run(broker_findings(settings))


async def broker_findings(settings: Settings) -> list[Finding]:
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka, request_timeout_ms=int(BROKER_ANSWERS_WITHIN_S * 1000)
    )
    try:
        await asyncio.wait_for(admin.start(), BROKER_ANSWERS_WITHIN_S)
        topics = await asyncio.wait_for(admin.list_topics(), BROKER_ANSWERS_WITHIN_S)
    except Exception as error:  # noqa: BLE001 - aiokafka raises several kinds for a broker that is away
        return [
            Finding(
                False, "Kafka", f"{settings.kafka} does not answer ({type(error).__name__})",
                "Start the broker or correct RUNSTREAM_KAFKA; training goes on and spools meanwhile.",
            )
        ]  # fmt: skip
    finally:
        await admin.close()
    wanted = [f"{settings.topic_prefix}.{kind}" for kind in ("control", "metrics")]
    missing = [topic for topic in wanted if topic not in topics]
    findings = [Finding(True, "Kafka", f"{settings.kafka} answers, {len(topics)} topics")]
    if missing:
        remedy = "The first agent that starts creates them; where it may not, let an administrator do it."
        findings.append(Finding(False, "topics", f"missing: {', '.join(missing)}", remedy))
    return findings


def clickhouse(settings: Settings) -> Iterator[Finding]:
    from runstream_storage.connection import ClickHouseSettings, connect
    from runstream_storage.migrate import migrate

    url = database_url(settings, owner=True)
    started = time.time()
    client = connect(url)
    version, seconds = client.query("SELECT version(), toFloat64(now64(3))").result_rows[0]
    apart = abs(float(seconds) - (started + time.time()) / 2)
    yield Finding(True, "ClickHouse", f"{version} at {ClickHouseSettings.from_url(url).safe_url}")
    remedy = "" if apart <= CLOCKS_APART_S else "Run NTP on both hosts: ages and live states are shown wrongly."
    yield Finding(apart <= CLOCKS_APART_S, "clocks", f"{apart:.1f} s between here and ClickHouse", remedy)
    pending = [one.name for one in migrate(url, dry_run=True)]
    if pending:
        yield Finding(False, "schema", f"not applied: {', '.join(pending)}", "Run `runstream migrate`.")
    else:
        yield Finding(True, "schema", "up to date")
    windows = client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' "
        "AND name != 'schema_migrations' AND NOT match(engine_full, 'deduplication_window')"
    ).result_rows
    names = ", ".join(str(row[0]) for row in windows)
    yield Finding(
        not windows,
        "deduplication",
        f"no window on: {names}" if windows else "every table drops a repeated insert",
        "Run `runstream migrate`; until then a retried insert may store rows twice." if windows else "",
    )
    letters = client.query("SELECT count() FROM dead_letters FINAL").result_rows[0][0] if not pending else 0
    if letters:
        remedy = "SELECT * FROM dead_letters shows why; the original bytes are in the topic's .dlq."
        yield Finding(False, "dead letters", f"{letters:,} messages could not be read", remedy)


def object_store(settings: Settings) -> Iterator[Finding]:
    from runstream.objects import open_store

    key = f"doctor/{os.getpid()}-{time.time_ns()}"
    store = open_store(settings.s3)
    store.put_bytes(key, b"runstream doctor")
    store.delete(key)
    shown = settings.s3.rsplit("@", 1)[-1]
    yield Finding(True, "object store", f"{shown} can be written")


CHECKS: tuple[Check, ...] = (versions, data_directory, spools, kafka, clickhouse, object_store)
