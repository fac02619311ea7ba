"""Blocks in a real database: every table and type, tokens, errors, retries."""

from __future__ import annotations

import asyncio
import math
import struct
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from ingest_samples import NOW_US, RUN, Commits, Letters, control, frame, record, records

from runstream_ingest.clickhouse import Body, ClickHouseInserter, Retrying, sorted_error, wait_after
from runstream_ingest.corrections import Corrections
from runstream_ingest.coverage import Coverage, Writer
from runstream_ingest.errors import InsertMisconfigured, InsertRefused, InsertUnavailable, MarksLost
from runstream_ingest.frames import FrameReader
from runstream_ingest.health import Health
from runstream_ingest.insert import Came, insert_settings
from runstream_ingest.ledger import DatabaseLedger, Mark, Place
from runstream_ingest.metrics import Metrics
from runstream_ingest.native import Block
from runstream_ingest.pipeline import PipelineSettings, build
from runstream_ingest.records import Source
from runstream_ingest.tables import TABLES, block_of_rows
from runstream_storage.connection import connect

pytestmark = pytest.mark.clickhouse
BITS = [0x7FF8DEADBEEF1234, 0xFFF8000000000001, 0x8000000000000000, 1, 0x7FF0000000000000, 0xFFF0000000000000]


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    found = connect(database)
    yield found
    found.close()


@pytest.fixture
async def inserter(database: str) -> AsyncIterator[ClickHouseInserter]:
    made = ClickHouseInserter(database)
    yield made
    made.close()


@pytest.fixture
def ledger(inserter: ClickHouseInserter) -> DatabaseLedger:
    return DatabaseLedger(Retrying(inserter, metrics=Metrics(), health=Health()))


async def ingest(
    inserter: Any,
    *values: bytes | None,
    start: int = 0,
    metrics: Metrics | None = None,
    is_fresh: bool = True,
    came: Came = lambda runs, flagged: None,
) -> tuple[Letters, Commits]:
    """Through steps of its own, as a worker that knows nothing."""
    letters, commits = Letters(), Commits()
    retrying = inserter
    if isinstance(inserter, ClickHouseInserter):
        retrying = Retrying(inserter, metrics=Metrics(), health=Health())
    commits.is_fresh = is_fresh
    steps = build(PipelineSettings(), inserter, DatabaseLedger(retrying), commits, letters, metrics, came)
    await steps.put(records(*values, start=start))
    await steps.close()
    return letters, commits


def test_the_tables_are_those_of_the_migrations(client: Client) -> None:
    for table, columns in TABLES.items():
        described = client.query(f"DESCRIBE TABLE {table}").result_rows
        stored = {row[0]: row[1] for row in described if row[2] != "ALIAS"}
        filled = {row[0] for row in described if row[2] == "DEFAULT"} - dict(columns).keys()
        assert [name for name, _ in columns] == [name for name in stored if name not in filled]
        for name, kind in columns:
            expected = " ".join(stored[name].split()).replace("( ", "(")
            if expected.startswith("SimpleAggregateFunction("):
                expected = expected.split(", ", 1)[1].removesuffix(")")
            assert kind.name == expected, f"{table}.{name}"


async def test_points_come_back_bit_for_bit(client: Client, inserter: ClickHouseInserter) -> None:
    values = [struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in BITS]
    steps = [2**62, -(2**62), -1, 0, 1, 2**63 - 1]
    await ingest(inserter, frame(rows=6, metrics=["größe/\x00"], steps=steps, values=values, n=[], n_nan=[], n_inf=[]))
    rows = client.query("SELECT step, reinterpretAsUInt64(value), metric, src_offset FROM points").result_rows
    assert sorted(rows) == sorted((step, bits, "größe/\x00", 0) for step, bits in zip(steps, BITS, strict=True))
    assert client.query("SELECT count() FROM v_points").result_rows == [(6,)]


async def test_the_summary_ignores_nan_and_keeps_infinity(client: Client, inserter: ClickHouseInserter) -> None:
    nan, inf = math.nan, math.inf
    await ingest(inserter, frame(rows=3, values=[nan, nan, 2.0, nan, inf, nan], n_nan=[1, 3], n_inf=[1, 0]))
    await ingest(
        inserter, frame(rows=1, first_seq=3, values=[-1.0, nan], n=[4, 4], n_nan=[1, 4], n_inf=[1, 0]), start=1
    )
    question = """SELECT metric, min(min), max(max), min(first), max(last), max(n), max(n_nan), max(n_inf)
                  FROM metric_summary GROUP BY metric ORDER BY metric"""
    acc, loss = client.query(question).result_rows
    assert (acc[1], acc[2], acc[5:]) == (-1.0, inf, (4, 1, 1))
    assert math.isnan(loss[1])
    assert math.isnan(loss[2])
    assert (loss[5:]) == (4, 4, 0)
    assert (acc[4]["step"], acc[4]["value"], acc[3]["step"]) == (3, -1.0, 0)


async def test_the_curves_hold_every_point_once(client: Client, inserter: ClickHouseInserter) -> None:
    await ingest(inserter, frame(rows=3000, metrics=["loss"]))
    rows = client.query(
        "SELECT lvl, bucket, min(s0), max(s1), max(max) FROM curve GROUP BY lvl, bucket ORDER BY lvl, bucket"
    )
    assert rows.result_rows == [
        (10, 0, 0, 1023, 1023.0),
        (10, 1, 1024, 2047, 2047.0),
        (10, 2, 2048, 2999, 2999.0),
        (12, 0, 0, 2999, 2999.0),
    ]


async def test_events_fill_their_tables(client: Client, inserter: ClickHouseInserter) -> None:
    nan = math.nan
    file = {"path": "m.pt", "sha256": "ab", "size": 3, "mime": "x/y"}
    letters, commits = await ingest(
        inserter,
        control(
            "RunStarted",
            seq=0,
            name="größe",
            created_us=NOW_US,
            tags=["x"],
            command=["a", ""],
            git={"commit": "c", "dirty": "true"},
        ),
        control("Params", seq=1, values=[{"name": "lr", "kind": "float", "text": "0.1", "number": 0.1}]),
        control("Summary", seq=2, values=[{"name": "best", "kind": "string", "text": "\x00"}]),
        control("MetricDefined", seq=3, pattern="val/*", summary=["min", "max"], hidden=True),
        control(
            "ArtifactLogged", seq=4, name="m", type="model", digest="d", size=3, files=[file, file], aliases=["best"]
        ),
        control("ArtifactUsed", seq=5, name="data", version="latest"),
        control("Heartbeat", seq=6, metric_seq=9),
        control("RunRewound", seq=7, step=7),
        control("RunFinished", seq=8, state="finished", metric_seq=10, reason="done"),
        None,
        control("TextLogged", seq=9, name="t", step=-1, text="größe\x00"),
        control("HistogramLogged", seq=10, name="h", step=1, edges=[-1.0, 5e-324, 2.0], counts=[1.0, 0.5], n_nan=3),
        control("MediaLogged", seq=11, name="m", step=1, index=2, kind="image", sha256="ab" * 32, size=1, caption="c"),
        control("MediaStored", seq=-1, stored=["ab" * 32]),
        control("EventAwaited", seq=14, kind="ArtifactLogged", name="late", type="model", files=1, size=3),
        control("DatasetLogged", seq=12, name="digits", context="training", digest="d", kind="table", rows=1797),
        control("ModelEdited", seq=13, model="digits", action="stage", artifact="m", digest="d", value="production"),
        control(
            "ConsoleLines",
            seq=-1,
            first_line=7,
            times_us=[1],
            changed_us=[NOW_US],
            streams=[2],
            texts=["x"],
            styles=["0:1"],
        ),
        control("SystemFrame", seq=-1, node="n", metrics=["a", "b"], devices=["", ""], times_us=[5], values=[nan, 0.1]),
    )
    assert letters.reasons == ["empty"]
    assert list(commits.ends.values()) == [19]
    counts = {table: client.query(f"SELECT count() FROM {table} FINAL").result_rows[0][0] for table in TABLES}
    none = dict.fromkeys(("points", "metric_summary", "curve", "ingest_marks"), 0)
    assert counts == {**dict.fromkeys(TABLES, 1), **none, "artifact_links": 2, "artifact_attrs": 2, "audit": 2}
    writer = client.query("SELECT command, git, environment FROM writers").result_rows
    assert writer == [(["a", ""], {"commit": "c", "dirty": "true"}, {})]
    run = client.query("SELECT run_id, run_name, state FROM v_runs").result_rows
    assert run == [(uuid.UUID(RUN), "größe", "finished")]
    histogram = client.query("SELECT edges, counts, n_nan, n_inf FROM histograms").result_rows
    assert histogram == [([-1.0, 5e-324, 2.0], [1.0, 0.5], 3, 0)]
    assert client.query("SELECT step, text, mime FROM text_series").result_rows == [(-1, "größe\x00", "text/plain")]
    assert client.query("SELECT metric, ts_us, value FROM system_points").result_rows == [("b", 5, 0.1)]
    files = client.query("SELECT files.path, files.size FROM artifacts").result_rows
    assert files == [(["m.pt", "m.pt"], [3, 3])]


async def test_the_same_messages_again_change_nothing(client: Client, inserter: ClickHouseInserter) -> None:
    values = [frame(rows=2000), frame(rows=500, first_seq=2000), control("RunStarted", name="r", created_us=1)]
    for _ in range(3):
        await ingest(inserter, *values)
    # The token of the whole batch is known, so not even physical duplicates are there.
    assert client.query("SELECT count() FROM points").result_rows == [(5000,)]
    before = client.query("SELECT * FROM curve ORDER BY ALL").result_rows
    for i, value in enumerate(values):
        await ingest(inserter, value, start=i)
    # Cut in another way it has other tokens, and the stretches of the writer tell that it is there.
    assert client.query("SELECT count() FROM points").result_rows == [(5000,)]
    assert client.query("SELECT count() FROM v_points").result_rows == [(5000,)]
    client.command("OPTIMIZE TABLE points FINAL")
    client.command("OPTIMIZE TABLE curve FINAL")
    assert client.query("SELECT count() FROM points").result_rows == [(5000,)]
    assert client.query("SELECT * FROM curve ORDER BY ALL").result_rows == before
    assert client.query("SELECT n FROM v_summary").result_rows == [(2500,), (2500,)]
    assert client.query("SELECT count() FROM runs FINAL").result_rows == [(1,)]


async def test_a_token_that_is_remembered_for_rows_that_are_gone_is_noticed(
    client: Client, inserter: ClickHouseInserter
) -> None:
    metrics, values = Metrics(), [frame(rows=2000), control("RunStarted", name="r", created_us=1)]
    await ingest(inserter, *values, metrics=metrics)
    for table in ("points", "coverage", "runs"):
        client.command(f"ALTER TABLE {table} DELETE WHERE 1 SETTINGS mutations_sync = 1")
    await ingest(inserter, *values, metrics=metrics)
    assert metrics.registry.get_sample_value("runstream_ingest_token_reuses_total") == 1
    assert client.query("SELECT count() FROM points").result_rows == [(4000,)]
    assert client.query("SELECT count() FROM runs").result_rows == [(1,)]


async def test_a_part_that_a_killed_server_lost_comes_back_alone(client: Client, inserter: ClickHouseInserter) -> None:
    # A server writes down the token of a part before it has the part; between the two it can be killed.
    values = [frame(rows=2000), frame(rows=1000, first_seq=2000, attempt=1)]
    await ingest(inserter, *values)
    client.command("ALTER TABLE points DELETE WHERE attempt = 1 SETTINGS mutations_sync = 1")
    for table in ("coverage", "runs", "metric_summary"):
        client.command(f"ALTER TABLE {table} DELETE WHERE 1 SETTINGS mutations_sync = 1")
    await ingest(inserter, *values, is_fresh=False)
    assert client.query("SELECT attempt, count() FROM points GROUP BY ALL ORDER BY ALL").result_rows == [
        (0, 4000),
        (1, 2000),
    ]
    assert client.query("SELECT metric, n FROM v_summary ORDER BY metric").result_rows == [
        ("acc", 3000),
        ("loss", 3000),
    ]


async def test_rows_without_points_come_back_after_an_attempt_without_an_answer(
    client: Client, database: str, inserter: ClickHouseInserter
) -> None:
    class Killed(ClickHouseInserter):
        """Takes the rows, loses them, and remembers the token."""

        killed = 0

        async def insert(self, table: str, block: Block, token: str) -> None:
            await super().insert(table, block, token)
            if table == "runs" and not self.killed:
                self.killed += 1
                client.command("ALTER TABLE runs DELETE WHERE 1 SETTINGS mutations_sync = 1")
                raise InsertUnavailable(table, code=0, error="killed")

    killed = Killed(database)
    await ingest(Retrying(killed, metrics=Metrics(), health=Health()), control("RunStarted", name="r", created_us=1))
    killed.close()
    assert client.query("SELECT run_name FROM v_runs").result_rows == [("r",)]


async def test_a_batch_that_is_done_again_is_not_taken_for_one(client: Client, inserter: ClickHouseInserter) -> None:
    metrics = Metrics()
    for _ in range(2):
        await ingest(inserter, frame(), metrics=metrics)
        client.command("TRUNCATE TABLE coverage")
    assert metrics.registry.get_sample_value("runstream_ingest_token_reuses_total") == 0
    assert client.query("SELECT count() FROM points").result_rows == [(6,)]


async def test_marks_move_only_from_where_they_are(client: Client, ledger: DatabaseLedger) -> None:
    source, other = Source("t.metrics", 0), Source("t.control", 3)
    nothing = Block(0, ())
    with pytest.raises(MarksLost, match=r"t\.metrics-0"):
        await ledger.settle(nothing, [Mark(source, 0, 0, 10, 5)])
    await ledger.begin([Mark(source, 0, 0, 0, 0), Mark(other, 2, 7, 7, 0)])
    await ledger.settle(nothing, [Mark(source, 0, 0, 10, 5), Mark(other, 2, 7, 9, 6)])
    assert await ledger.marks([source, other]) == {source: Place(0, 10, 5), other: Place(2, 9, 6)}
    with pytest.raises(MarksLost):
        await ledger.settle(nothing, [Mark(source, 0, 11, 20, 5)])
    client.command("TRUNCATE TABLE ingest_marks")
    stretch = Coverage(ledger, max_writers=1)
    frames = [FrameReader().read(frame(), record(frame()))]
    await stretch.load([Writer(b"demo", uuid.UUID(RUN).int, 77)])
    with pytest.raises(MarksLost):
        await ledger.settle(stretch.durable(frames), [Mark(source, 0, 10, 20, 5)])
    assert await ledger.marks([source]) == {}
    assert client.query("SELECT count() FROM coverage").result_rows == [(0,)], "what may be untrue is not written"


async def test_the_highest_steps_of_a_writer_come_back(inserter: ClickHouseInserter, ledger: DatabaseLedger) -> None:
    await ingest(inserter, frame(rows=3), frame(rows=2, metrics=["x"], first_seq=3, steps=[9, 8]))
    writer = Writer(b"demo", uuid.UUID(RUN).int, 77)
    assert await ledger.steps([writer]) == {writer: {b"acc": 2, b"loss": 2, b"x": 9}}
    assert await ledger.stretches([writer]) == {(writer, "metrics"): [0, 5]}


async def test_steps_logged_again_are_noted_in_the_summary(client: Client, inserter: ClickHouseInserter) -> None:
    await ingest(inserter, frame(rows=3))
    await ingest(inserter, frame(rows=3, first_seq=3, steps=[3, 1, 2]), start=1)
    rows = client.query("SELECT metric, min(redo_lo), max(redo_hi) FROM metric_summary GROUP BY metric ORDER BY metric")
    assert rows.result_rows == [("acc", 1, 2), ("loss", 1, 2)]


async def test_exact_summaries_follow_the_rows_that_need_them(client: Client, inserter: ClickHouseInserter) -> None:
    corrections = Corrections(inserter, Metrics())
    running = asyncio.create_task(corrections.run())

    async def until_exact(last: float) -> None:
        question = "SELECT last.4 FROM summary_exact FINAL WHERE metric = 'acc'"
        async with asyncio.timeout(60):
            while client.query(question).result_rows != [(last,)]:  # noqa: ASYNC110 - as anybody would ask
                await asyncio.sleep(0.1)

    await ingest(inserter, frame(rows=3), came=corrections.came)
    await ingest(inserter, frame(rows=1, first_seq=3, steps=[2]), start=1, came=corrections.came)
    await until_exact(3.0)
    # In order again, and still its sums cannot be right.
    await ingest(inserter, frame(rows=1, first_seq=4), start=2, came=corrections.came)
    await until_exact(4.0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_runs_of_many_months_fit_one_insert(client: Client, inserter: ClickHouseInserter) -> None:
    months = [f"{ms:012x}" for ms in range(0, 150 * 2_700_000_000, 2_700_000_000)]
    runs = [str(uuid.UUID(month + "7aaa8bbb0123456789ab")) for month in months]
    runs += [str(uuid.uuid5(uuid.NAMESPACE_DNS, "a")), str(uuid.UUID("ffffffff-ffff-7aaa-8bbb-0123456789ab"))]
    letters, _ = await ingest(inserter, *(frame(rows=1, run_id=run) for run in runs))
    assert not letters.letters
    assert client.query("SELECT uniqExact(run_id) FROM points").result_rows == [(len(runs),)]


async def test_a_message_that_breaks_a_constraint_is_found_and_the_others_kept(
    client: Client, inserter: ClickHouseInserter
) -> None:
    client.command("ALTER TABLE points ADD CONSTRAINT c CHECK value != 7.01")
    letters, commits = await ingest(inserter, *(frame(rows=1, first_seq=i) for i in range(12)))
    assert letters.reasons == ["refused"]
    assert letters.letters[0].record.offset == 7
    assert client.query("SELECT count() FROM v_points").result_rows == [(22,)]
    assert client.query("SELECT offset, reason FROM dead_letters").result_rows == [(7, "refused")]
    assert list(commits.ends.values()) == [12]


async def test_a_missing_table_is_a_matter_for_the_operator(client: Client, inserter: ClickHouseInserter) -> None:
    client.command("DROP TABLE runs")
    block = block_of_rows("runs", [("p", 1, "", 1, "n", "", "", "", "", "", "", "", 0, 1, 1)])
    with pytest.raises(InsertMisconfigured, match="runstream migrate"):
        await inserter.insert("runs", block, "t")


async def test_a_missing_column_is_a_matter_for_the_operator(client: Client, inserter: ClickHouseInserter) -> None:
    client.command("ALTER TABLE runs DROP COLUMN host")
    block = block_of_rows("runs", [("p", 1, "", 1, "n", "", "", "", "", "", "", "", 0, 1, 1)])
    with pytest.raises(InsertMisconfigured):
        await inserter.insert("runs", block, "t")


async def test_a_wrong_password_is_a_matter_for_the_operator(database: str) -> None:
    scheme, rest = database.split("://")
    made = ClickHouseInserter(f"{scheme}://nobody:wrong@{rest.split('@')[-1]}")
    with pytest.raises(InsertMisconfigured) as caught:
        await made.check()
    assert "wrong" not in str(caught.value)
    made.close()


async def test_nobody_listening_is_a_matter_of_time() -> None:
    made = ClickHouseInserter("http://default@127.0.0.1:1/x")
    with pytest.raises(InsertUnavailable):
        await made.check()
    made.close()


async def test_retries_go_on_until_the_tables_are_there(
    database: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runstream_ingest.clickhouse.MISCONFIGURED_WAIT_S", 0.05)
    client.command("RENAME TABLE runs TO runs_elsewhere")
    health, metrics, made = Health(), Metrics(), ClickHouseInserter(database)
    health.solved("start")
    inserting = asyncio.create_task(
        ingest(Retrying(made, metrics=metrics, health=health), control("RunStarted", name="r", created_us=1))
    )
    while health.is_ready:  # noqa: ASYNC110 - a probe is polled in life too
        await asyncio.sleep(0.01)
    assert "UNKNOWN_TABLE" in health.problems["clickhouse"]
    client.command("RENAME TABLE runs_elsewhere TO runs")
    _, commits = await inserting
    assert health.is_ready
    assert commits.ranges
    assert client.query("SELECT count() FROM runs").result_rows == [(1,)]
    labels = {"table": "runs", "outcome": "misconfigured"}
    assert metrics.registry.get_sample_value("runstream_ingest_retries_total", labels)
    made.close()


async def test_a_compressed_body_is_understood(client: Client) -> None:
    block = block_of_rows(
        "runs", [("p", i, "", i, "n" * 1000, "", "", "", "", "", "", "", 0, i, i) for i in range(500)]
    )
    body = Body(block.native, compress=True)
    assert body.size < sum(map(len, block.native)) / 2
    client.raw_insert(
        "runs",
        column_names=block.names,
        insert_block=body,  # type: ignore[arg-type]
        settings=insert_settings(block, "t"),
        fmt="Native",
        compression="lz4",
        transport_settings={"Content-Length": str(body.size)},
    )
    assert client.query("SELECT count(), sum(length(name)) FROM runs").result_rows == [(500, 500_000)]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError("connection refused"), InsertUnavailable),
        (DatabaseError("too many parts", code=252), InsertUnavailable),
        (DatabaseError("memory limit", code=241), InsertUnavailable),
        (DatabaseError("no such column", code=16), InsertMisconfigured),
        (DatabaseError("not enough privileges", code=497), InsertMisconfigured),
        (DatabaseError("a code of tomorrow", code=9999), InsertMisconfigured),
        (DatabaseError("type mismatch", code=53), InsertRefused),
        (OSError("broken pipe"), InsertUnavailable),
    ],
)
def test_errors_are_sorted_by_what_can_be_done(error: Exception, expected: type) -> None:
    assert type(sorted_error("points", error)) is expected


def test_only_what_can_pass_later_is_tried_again() -> None:
    assert wait_after(InsertUnavailable("t", code=0, error="")) is True
    assert wait_after(InsertMisconfigured("t", code=60, error="")) > 1
    assert wait_after(InsertRefused("t", code=53, error="")) is False
    assert wait_after(RuntimeError()) is False
