"""A migrated database and a pen to write events' rows into it, as ingest does."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage.connection import connect
from runstream_storage.migrate import migrate, migrations

POINT_COLUMNS = (
    *("project", "run_id", "metric", "rank", "step", "ts_us", "value", "ver", "attempt", "writer"),
    *("src_partition", "src_offset"),
)
TABLES = [
    name
    for migration in migrations()
    for statement in migration.statements
    for name in re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", statement)
]
START_US = 1_790_000_000_000_000  # 2026-09-21


def uuid7(number: int, *, at_us: int = START_US) -> str:
    """A UUIDv7 that is a function of `number`."""
    return str(uuid.UUID(int=(at_us // 1000 + number) << 80 | 0x7 << 76 | 0x2 << 62 | number))


def version(time_us: int, *, attempt: int = 0, writer: int = 1) -> int:
    return min(attempt, 255) << 56 | min(max(time_us - 1735689600000000, 0), 2**50 - 1) << 6 | writer & 63


@dataclass
class Pen:
    """Writes rows; every method may be called again with the same arguments, as a redelivery would."""

    client: Client
    project: str = "vision"
    start_us: int = START_US

    def insert(self, table: str, **columns: Any) -> None:
        self.client.insert(table, [list(columns.values())], column_names=list(columns))

    def run(
        self,
        number: int,
        *,
        name: str = "",
        created_us: int | None = None,
        alive_us: int | None = None,
        ended: str = "",
        ended_us: int = 0,
        params: Mapping[str, Any] | None = None,
        summary: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        writer: int = 1,
        attempt: int = 0,
        project: str | None = None,
        **attributes: str,
    ) -> str:
        run_id, project = uuid7(number), project or self.project
        created_us = START_US + number * 1_000_000 if created_us is None else created_us
        texts = {"external_id": "", "group": "", "job_type": "", "notes": "", "parent_run": "", "user": "", "host": ""}
        self.insert(
            "runs",
            project=project,
            run_id=run_id,
            created_us=created_us,
            name=name or f"run-{number}",
            ver=version(created_us, attempt=attempt, writer=writer),
            **(texts | attributes),
        )
        self.alive(run_id, at_us=alive_us or created_us, writer=writer, attempt=attempt, project=project)
        if ended:
            self.end(run_id, ended, at_us=ended_us or created_us + 60_000_000, writer=writer, attempt=attempt)
        for tag in tags:
            self.attribute(run_id, f"tag:{tag}", project=project, at_us=created_us)
        for table, values in (("params", params), ("summary_values", summary)):
            for key, value in (values or {}).items():
                self.value(table, run_id, key, value, at_us=created_us, project=project)
        return run_id

    def alive(
        self, run_id: str, *, at_us: int, writer: int = 1, attempt: int = 0, metric_seq: int = -1, project: str = ""
    ) -> None:
        self.insert(
            "liveness",
            project=project or self.project,
            run_id=run_id,
            writer=writer,
            attempt=attempt,
            last_us=at_us,
            metric_seq=metric_seq,
            terminal=(0, "", 0, "", -1),
        )

    def end(
        self,
        run_id: str,
        state: str,
        *,
        at_us: int,
        writer: int = 1,
        attempt: int = 0,
        exit_code: int = 0,
        reason: str = "",
    ) -> None:
        self.insert(
            "liveness",
            project=self.project,
            run_id=run_id,
            writer=writer,
            attempt=attempt,
            last_us=at_us,
            metric_seq=-1,
            terminal=(version(at_us, attempt=attempt, writer=writer), state, exit_code, reason, -1),
        )

    def attribute(
        self, run_id: str, key: str, value: str = "", *, at_us: int = START_US, deleted: bool = False, project: str = ""
    ) -> None:
        self.insert(
            "run_attrs",
            project=project or self.project,
            run_id=run_id,
            key=key,
            value=value,
            actor="ana",
            ver=version(at_us),
            is_deleted=int(deleted),
        )

    def value(
        self, table: str, run_id: str, name: str, value: Any, *, at_us: int = START_US, project: str = ""
    ) -> None:
        kind, text, number = stored(value)
        self.insert(
            table,
            project=project or self.project,
            name=name,
            run_id=run_id,
            kind=kind,
            text=text,
            number=number,
            ver=version(at_us),
            is_deleted=0,
        )

    def rewound(self, run_id: str, *, rank: int, attempt: int, step: int, writer: int, at_us: int = START_US) -> None:
        ver = version(at_us, attempt=attempt, writer=writer)
        self.insert(
            "rewinds",
            project=self.project,
            run_id=run_id,
            rank=rank,
            attempt=attempt,
            step=step,
            ts_us=at_us,
            actor="ana",
            ver=ver,
        )

    def covered(
        self, run_id: str, start: int, end: int, *, writer: int = 1, stream: str = "metrics", rank: int = 0
    ) -> None:
        self.insert(
            "coverage",
            project=self.project,
            run_id=run_id,
            writer=writer,
            stream=stream,
            start=start,
            end=end,
            attempt=0,
            rank=rank,
        )

    def deliver(
        self, batches: Sequence[tuple[str, Sequence[Any], Sequence[Mapping[str, Any]], Mapping[str, Any]]]
    ) -> None:
        """Batches as ingest writes them: run, points, their summaries, and last what is durable now."""
        rows = [
            [
                self.project,
                run_id,
                one.metric,
                one.rank,
                one.step,
                one.time_us,
                one.value,
                one.ver,
                one.attempt,
                one.writer,
                0,
                0,
            ]
            for run_id, points, _, _ in batches
            for one in points
        ]
        self.client.insert("points", rows, column_names=POINT_COLUMNS)
        summaries = [summary for _, _, of_batch, _ in batches for summary in of_batch]
        rows = [[self.project, *summary.values()] for summary in summaries]
        self.client.insert("metric_summary", rows, column_names=["project", *summaries[0]])
        rows = [[self.project, run_id, *covered.values()] for run_id, _, _, covered in batches]
        self.client.insert("coverage", rows, column_names=["project", "run_id", *batches[0][3]])

    def points(
        self,
        run_id: str,
        metric: str,
        values: Sequence[float],
        *,
        steps: Sequence[int] | None = None,
        rank: int = 0,
        writer: int = 1,
        attempt: int = 0,
        start_us: int = START_US,
        period_us: int = 1_000,
    ) -> None:
        """Points and the summary row that ingest computes of them."""
        steps = list(range(len(values))) if steps is None else list(steps)
        times = [start_us + place * period_us for place in range(len(values))]
        versions = [version(time_us, attempt=attempt, writer=writer) for time_us in times]
        rows = [
            [self.project, run_id, metric, rank, step, time_us, value, ver, attempt, writer, 0, place]
            for place, (step, time_us, value, ver) in enumerate(zip(steps, times, values, versions, strict=True))
        ]
        self.client.insert("points", rows, column_names=POINT_COLUMNS)
        numbers = [value for value in values if not math.isnan(value)]
        self.insert(
            "metric_summary",
            project=self.project,
            metric=metric,
            run_id=run_id,
            rank=rank,
            writer=writer,
            min=min(numbers, default=math.nan),
            max=max(numbers, default=math.nan),
            first=min(zip(steps, versions, values, strict=True)),
            last=max(zip([attempt] * len(steps), steps, versions, values, strict=True)),
            first_us=times[0],
            last_us=times[-1],
            n=len(values),
            n_nan=len(values) - len(numbers),
            n_inf=sum(math.isinf(value) for value in values),
        )


def stored(value: Any) -> tuple[str, str, float]:
    """Kind, text and number of a value, as the event schema has them."""
    match value:
        case None:
            return "null", "", math.nan
        case bool():
            return "bool", str(value).lower(), float(value)
        case int():
            return "int", str(value), float(value)
        case float():
            return "float", repr(value), value
        case str():
            return "string", value, math.nan
    raise TypeError(value)


@pytest.fixture(scope="module")
def shared_database(clickhouse: Any) -> Iterator[str]:
    """The URL of a migrated database for the tests of one file."""
    url = f"{clickhouse.url}/m{uuid.uuid4().hex[:12]}"
    migrate(url)
    yield url
    server = connect(url, database="default")
    server.command(f"DROP DATABASE {url.rsplit('/', 1)[1]} SYNC")
    server.close()


@pytest.fixture
def client(shared_database: str) -> Iterator[Client]:
    """A client of a migrated database without rows."""
    connected = connect(shared_database)
    filled = "SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0"
    for (table,) in connected.query(filled).result_rows:
        if table in TABLES:
            connected.command(f"TRUNCATE TABLE {table}")
    yield connected
    connected.close()


@pytest.fixture
def pen(client: Client) -> Pen:
    return Pen(client)
