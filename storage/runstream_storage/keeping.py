"""How long the samples of machines are kept: the only rows that go by age, and only if somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runstream_storage.errors import StorageError
from runstream_storage.execution import ask, translate

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MOST_DAYS = 36_500
AGE = "toDateTime(intDiv(ts_us, 1000000), 'UTC') + toIntervalDay({days})"


def keep_system_samples(client: Client, days: int) -> bool:
    """Keep the rows of `system_points` for `days` days after they were sampled, or for ever with 0.

    The database removes what is older with its next merges. Returns whether that was not so already; a table that
    keeps them for as long is left alone. Raises StorageError for a number of days that it cannot be.
    """
    if not 0 <= days <= MOST_DAYS:
        raise StorageError(
            f"Samples of machines cannot be kept for {days} days: say 1 to {MOST_DAYS:,}, or 0: for ever."
        )
    question = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'system_points'"
    engine = str(ask(client, question).result_rows[0][0])
    wanted = AGE.format(days=days)
    if (wanted in engine) if days else (" TTL " not in engine):
        return False
    change = f"MODIFY TTL {wanted}" if days else "REMOVE TTL"
    try:
        client.command(f"ALTER TABLE system_points {change}")
    except Exception as error:
        raise translate(error) from error
    return True
