"""ClickHouse: whether it answers, its schema, its windows, its rooms, and what our user may do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runstream_deploy.examination.finding import Finding, judged

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from runstream.settings import Settings

CLOCKS_APART_S = 2.0
ACCESS_DENIED = 497
"""ClickHouse's number for a user without a right."""
OLDEST = (25, 8)
"""The oldest release that the tests have run against."""
SMALLEST_WINDOW = 1_000
MOST_PARTS = 300
"""In one partition; ClickHouse slows inserts down at 1,000."""
LOW_DISK_BYTES = 10 << 30
LOW_DISK_SHARE = 0.05


def database(settings: Settings) -> Iterator[Finding]:
    from runstream_deploy.cli.connection import database_url
    from runstream_storage.connection import ClickHouseSettings, connect
    from runstream_storage.discovery import find_up
    from runstream_storage.migrate import migrate

    url = database_url(settings, owner=True)
    started = time.time()
    client = connect(url)
    version, seconds = client.query("SELECT version(), toFloat64(now64(3))").result_rows[0]
    apart = abs(float(seconds) - (started + time.time()) / 2)
    release = tuple(int(part) for part in str(version).split(".")[:2])
    yield judged(
        "ClickHouse",
        f"{version} at {ClickHouseSettings.from_url(url).safe_url}",
        f"Upgrade to {OLDEST[0]}.{OLDEST[1]} or newer: older releases were never tested.",
        ok=release >= OLDEST,
    )
    remedy = "Run NTP on both hosts: ages and live states are shown wrongly."
    yield judged("clocks", f"{apart:.1f} s between here and ClickHouse", remedy, ok=apart <= CLOCKS_APART_S)
    may = rights(client)
    if not may.ok:  # of tables that it may not see, nothing true can be said
        yield may
        return
    pending = [one.name for one in migrate(url, dry_run=True)]
    if pending:
        yield Finding(False, "schema", f"not applied: {', '.join(pending)}", "Run `runstream migrate`.")
        return
    yield schema(client)
    yield windows(client)
    yield from rooms(client)
    yield may
    running = find_up(settings.dir)
    if running is not None and not settings.clickhouse:
        yield reader(connect(running.sql_url))
    yield letters(client)


def schema(client: Client) -> Finding:
    """The ledger says what was applied; a hand at the tables may have taken away from it since."""
    from runstream_ingest.tables import TABLES

    found = client.query("SELECT table, name FROM system.columns WHERE database = currentDatabase()").result_rows
    there = {(table, name) for table, name in found}
    missing = [
        f"{table}.{name}" for table, columns in TABLES.items() for name, _ in columns if (table, name) not in there
    ]
    return judged(
        "schema",
        f"up to date by its ledger, but columns are missing: {', '.join(missing)}" if missing else "up to date",
        "Somebody changed the tables: put the columns back (ALTER TABLE … ADD COLUMN, as in the migrations of "
        "runstream_storage); until then ingest waits, and Kafka and the spools keep what follows.",
        ok=not missing,
    )


def windows(client: Client) -> Finding:
    """Every table must remember the inserts it took, or a retried one stores its rows twice."""
    rows = client.query(
        "SELECT name, toUInt64OrZero(extract(engine_full, 'deduplication_window = (\\\\d+)')) FROM system.tables "
        "WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'schema_migrations' ORDER BY name"
    ).result_rows
    small = [f"{name} ({window})" for name, window in rows if window < SMALLEST_WINDOW]
    return judged(
        "deduplication",
        f"small or no window on: {', '.join(small)}" if small else f"all {len(rows)} tables drop a repeated insert",
        "Run ALTER TABLE … MODIFY SETTING non_replicated_deduplication_window = 10000 on each; until then a retried "
        "insert may store rows twice (answers stay right, merges have more to do).",
        ok=not small,
    )


def rooms(client: Client) -> Iterator[Finding]:
    """Room on its disks, and parts in its partitions, as far as the user may see them."""
    from clickhouse_connect.driver.exceptions import ClickHouseError

    for subject, look in (("ClickHouse disk", disks), ("parts", parts)):
        try:
            yield from look(client)
        except ClickHouseError as error:
            if getattr(error, "code", 0) != ACCESS_DENIED:
                raise
            # An ordinary user need not see the server's own tables, and then the rest is still to be looked at.
            yield Finding(True, subject, "not looked at: the user may not read the server's own table of them")


def disks(client: Client) -> Iterator[Finding]:
    for name, free, total in client.query("SELECT name, free_space, total_space FROM system.disks").result_rows:
        low = free < LOW_DISK_BYTES and total and free < LOW_DISK_SHARE * total
        text = f"{name}: {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        remedy = "Free some space: with a full disk inserts wait, and Kafka and the spools fill up."
        yield judged("ClickHouse disk", text, remedy, ok=not low)


def parts(client: Client) -> Iterator[Finding]:
    found = client.query(
        "SELECT table, partition, count() AS parts FROM system.parts WHERE active AND database = currentDatabase() "
        "GROUP BY table, partition ORDER BY parts DESC LIMIT 1"
    ).result_rows
    table, partition, most = found[0] if found else ("", "", 0)
    yield judged(
        "parts",
        f"at most {most:,} in a partition" + (f" ({table} {partition})" if most else ""),
        "Merges do not keep up: give ClickHouse more CPU or disk, or raise RUNSTREAM_INGEST_BATCH_AGE_S.",
        ok=most < MOST_PARTS,
    )


def rights(client: Client) -> Finding:
    """What the user of RUNSTREAM_CLICKHOUSE may do."""
    user, readonly = client.query("SELECT currentUser(), toString(getSetting('readonly'))").result_rows[0]
    if readonly != "0" and _granted(client, "SELECT") is not False:
        return Finding(True, "rights", f"{user} may only read: right for pages and SQL, not for ingest and migrate")
    asked = {name: _granted(client, name) for name in ("SELECT", "INSERT", "CREATE TABLE", "ALTER DELETE")}
    may = [name for name, granted in asked.items() if granted]
    if not may and None in asked.values():
        return Finding(True, "rights", f"{user}; this server does not tell what it may do")
    return judged(
        "rights",
        f"{user} may " + ", ".join(may) if may else f"{user} may do nothing here",
        "GRANT SELECT ON the database to the user of RUNSTREAM_CLICKHOUSE (and INSERT for ingest).",
        ok="SELECT" in may,
    )


def reader(client: Client) -> Finding:
    """The user of the embedded endpoint that everybody on this machine may be."""
    (readonly,) = client.query("SELECT toString(getSetting('readonly'))").result_rows[0]
    remedy = "Restart `runstream up`; if it stays so, report it: its SQL endpoint must not take writes."
    return judged(
        "readonly user", "the SQL endpoint only reads" if readonly != "0" else "may write", remedy, ok=readonly != "0"
    )


def letters(client: Client) -> Finding:
    (count,) = client.query("SELECT count() FROM dead_letters FINAL WHERE status = ''").result_rows[0]
    remedy = "See `runstream dlq ls`; once what is wrong is mended, `runstream dlq replay`, or `runstream dlq drop`."
    text = f"{count:,} messages could not be read" if count else "none wait"
    return judged("dead letters", text, remedy, ok=not count)


def _granted(client: Client, right: str) -> bool | None:
    """None: the server does not know the question."""
    from clickhouse_connect.driver.binding import quote_identifier
    from clickhouse_connect.driver.exceptions import ClickHouseError

    try:
        return bool(
            client.query(f"CHECK GRANT {right} ON {quote_identifier(client.database or 'default')}.*").result_rows[0][0]
        )
    except ClickHouseError:
        return None
