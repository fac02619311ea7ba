import time

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage.connection import connect
from runstream_storage.errors import StorageError
from runstream_storage.keeping import keep_system_samples
from runstream_storage.migrate import migrate

from .conftest import uuid7

pytestmark = pytest.mark.clickhouse
DAY_US = 86_400_000_000


def sampled(client: Client) -> list[int]:
    client.command("OPTIMIZE TABLE system_points FINAL")
    return [row[0] for row in client.query("SELECT toInt64(value) FROM system_points ORDER BY value").result_rows]


def test_samples_go_by_age_only_when_somebody_says_so(database: str) -> None:
    client = connect(database)
    try:
        now_us = time.time_ns() // 1000
        rows = [["vision", uuid7(1), "n", "cpu.percent", "", 0, now_us - days * DAY_US, days, 1] for days in (0, 5, 40)]
        columns = ["project", "run_id", "node", "metric", "device", "rank", "ts_us", "value", "ver"]
        client.insert("system_points", rows, column_names=columns)
        assert sampled(client) == [0, 5, 40]
        assert keep_system_samples(client, 30)
        assert sampled(client) == [0, 5]
        assert not keep_system_samples(client, 30)
        assert keep_system_samples(client, 0)
        assert not keep_system_samples(client, 0)
        client.insert("system_points", rows[2:], column_names=columns)
        assert sampled(client) == [0, 5, 40]
        assert migrate(client) == []
    finally:
        client.close()


@pytest.mark.parametrize("days", [-1, 10**9])
def test_days_that_cannot_be_are_refused(client: Client, days: int) -> None:
    with pytest.raises(StorageError, match=str(days)):
        keep_system_samples(client, days)
