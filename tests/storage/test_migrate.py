import dataclasses
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage.connection import connect
from runstream_storage.errors import MigrationEdited, SchemaTooNew
from runstream_storage.migrate import Migration, applied_migrations, migrate, migrations, parse


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    """A client of a database of its own, which a test may spoil."""
    connected = connect(database)
    yield connected
    connected.close()


def test_numbers_are_contiguous_and_names_tell_the_subject() -> None:
    assert [migration.id for migration in migrations()] == list(range(1, len(migrations()) + 1))
    assert [migration.name for migration in migrations()][:2] == ["points", "runs"]


def test_a_file_is_cut_into_statements_at_line_ends_only() -> None:
    migration = parse("0007_a_b.sql", "-- why; this\nCREATE TABLE a (c String COMMENT 'x; y');\n\nSELECT 1;\n")
    assert (migration.id, migration.name) == (7, "a_b")
    assert migration.statements == ("CREATE TABLE a (c String COMMENT 'x; y')", "SELECT 1")


def test_every_table_deduplicates_repeated_inserts_and_can_be_made_twice() -> None:
    for migration in migrations():
        for statement in migration.statements:
            assert re.match(r"CREATE (TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS ", statement)
            if statement.startswith("CREATE TABLE"):
                # The form that a cluster needs to find and replace.
                assert re.search(r"^ENGINE = \w*MergeTree(\(\w+\))?$", statement, re.MULTILINE)
                assert "non_replicated_deduplication_window = 10000" in statement


def test_no_table_asks_the_server_for_the_time_or_for_chance() -> None:
    for migration in migrations():
        for statement in migration.statements:
            if statement.startswith("CREATE TABLE"):
                assert not re.search(r"\b(now|now64|rand|generateUUID\w*)\(", statement)


def test_every_file_opens_with_the_reason_for_its_sort_keys() -> None:
    from importlib import resources

    for entry in resources.files("runstream_storage").joinpath("migrations").iterdir():
        if entry.name.endswith(".sql") and "views" not in entry.name:
            assert "Why th" in entry.read_text().split("CREATE")[0]


@pytest.mark.clickhouse
def test_a_migrated_database_needs_nothing(database: str) -> None:
    assert migrate(database) == []


@pytest.mark.clickhouse
def test_a_dry_run_tells_and_changes_nothing(database: str) -> None:
    extra = [
        *migrations(),
        Migration(999, "extra", "0" * 64, ("CREATE TABLE IF NOT EXISTS x (a Int8) ENGINE = Memory",)),
    ]
    assert [step.name for step in migrate(database, dry_run=True, known=extra)] == ["extra"]
    client = connect(database)
    assert not client.command("EXISTS TABLE x")
    assert 999 not in applied_migrations(client)
    client.close()


@pytest.mark.clickhouse
def test_a_dry_run_does_not_make_a_missing_database(database: str) -> None:
    missing = database + "_missing"
    assert len(migrate(missing, dry_run=True)) == len(migrations())
    client = connect(database)
    assert not client.query("SELECT 1 FROM system.databases WHERE name LIKE '%_missing'").result_rows
    client.close()


@pytest.mark.clickhouse
def test_an_edited_file_is_refused(client: Client) -> None:
    first, *rest = migrations()
    with pytest.raises(MigrationEdited, match="0001_points"):
        migrate(client, known=[dataclasses.replace(first, sha256="f" * 64), *rest])


@pytest.mark.clickhouse
def test_a_newer_schema_is_refused(client: Client) -> None:
    with pytest.raises(SchemaTooNew, match=migrations()[-1].name):
        migrate(client, known=migrations()[:-1])


@pytest.mark.clickhouse
def test_an_interrupted_migration_is_begun_again(client: Client) -> None:
    broken = Migration(
        90, "two", "a" * 64, ("CREATE TABLE IF NOT EXISTS one (a Int8) ENGINE = Memory", "SELECT nonsense")
    )
    with pytest.raises(Exception, match="nonsense"):
        migrate(client, known=[*migrations(), broken])
    mended = dataclasses.replace(broken, statements=(broken.statements[0], "SELECT 1"))
    assert [step.id for step in migrate(client, known=[*migrations(), mended])] == [90]


@pytest.mark.clickhouse
def test_migrators_at_once_end_with_one_schema(database: str) -> None:
    fresh = database + "_c"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: migrate(fresh), range(4)))
    client = connect(fresh)
    try:
        assert sorted(applied_migrations(client)) == [migration.id for migration in migrations()]
        assert migrate(client) == []
    finally:
        client.command(f"DROP DATABASE {fresh.rsplit('/', 1)[1]}")
        client.close()
