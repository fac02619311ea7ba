"""Fixtures `clickhouse`, `database` and `private_clickhouse`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from runstream_deploy.dev import ClickHouseService

from .containers import clickhouse_container
from .embedded import sql_endpoint
from .native import address
from .tiers import own, serve


@dataclass(frozen=True)
class ClickHouse:
    """A server for tests; `url` is `http://user:password@host:port`, without a database."""

    url: str
    tier: str


@pytest.fixture(scope="session")
def clickhouse(request: pytest.FixtureRequest) -> Iterator[ClickHouse]:
    """The session's ClickHouse; use `database` for tables of your own."""
    with serve(
        request,
        "clickhouse",
        container=clickhouse_container,
        native=partial(address, ClickHouseService),
        stand_in=sql_endpoint,
        stand_in_name="the embedded engine behind its SQL endpoint",
    ) as (url, tier):
        yield ClickHouse(url, tier.value)


@pytest.fixture
def database(clickhouse: ClickHouse) -> Iterator[str]:
    """The URL of a migrated database of this test's own."""
    from runstream_storage.connection import connect
    from runstream_storage.migrate import migrate

    name = f"t{uuid.uuid4().hex[:12]}"
    url = f"{clickhouse.url}/{name}"
    migrate(url)
    yield url
    client = connect(url, database="default")
    try:
        client.command(f"DROP DATABASE IF EXISTS {name} SYNC")
    finally:
        client.close()


@pytest.fixture
def private_clickhouse(request: pytest.FixtureRequest) -> Iterator[ClickHouseService]:
    """A real server of this test's own, to stop, kill, pause and restart."""
    with own(request, "clickhouse", ClickHouseService) as service:
        yield service
