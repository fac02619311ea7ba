"""Raw points, for export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from runstream_storage.execution import statement, translate
from runstream_storage.queries.curves import INT64_MAX

if TYPE_CHECKING:
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client


def points(
    client: Client,
    project: str,
    run_ids: Sequence[str],
    *,
    metrics: Sequence[str] | None = None,
    window: tuple[int, int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """The points of `run_ids` in order of run, metric, rank and step, as Arrow batches that are read while you iterate.

    Columns: run_id and metric (text), run_name, rank, step, ts (microseconds, UTC), value (NaN and infinities kept).
    `metrics` and `window` (first and last step, both included) narrow them down.
    """
    low, high = window or (-INT64_MAX - 1, INT64_MAX)
    parameters = {
        "project": project,
        "run_ids": list(run_ids),
        "metrics": list(metrics or ()),
        "from_step": low,
        "to_step": high,
    }
    try:
        with client.query_arrow_stream(statement("points"), parameters=parameters, use_strings=True) as stream:
            yield from stream
    except Exception as error:
        raise translate(error) from error
