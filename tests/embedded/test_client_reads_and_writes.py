"""What clickhouse-connect does on a real server works on the embedded one."""

from __future__ import annotations

import asyncio
import io
import math
import struct
import uuid

import clickhouse_connect
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

POINTS = """
CREATE TABLE points (run UUID, metric LowCardinality(String), step Int64, value Float64, tags Array(String))
ENGINE = MergeTree ORDER BY (metric, step) SETTINGS non_replicated_deduplication_window = 100
"""
SPECIAL = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1]


def bits(values) -> list[bytes]:
    return [struct.pack("<d", value) for value in values]


def test_numpy_columns_come_back_as_they_went(client):
    client.command(POINTS)
    run, count = uuid.uuid4(), 50_000
    steps, values = np.arange(count), np.random.default_rng(1).normal(size=count)
    columns = [[run] * count, np.array(["loss"] * count, dtype=object), steps, values, [["a", "ü"]] * count]
    written = client.insert("points", columns, ["run", "metric", "step", "value", "tags"], column_oriented=True)
    assert written.written_rows == count
    back = client.query_np("SELECT step, value FROM points ORDER BY step")
    assert np.array_equal(back["step"], steps)
    assert np.array_equal(back["value"], values)
    assert client.query("SELECT DISTINCT run, metric, tags FROM points").result_rows == [(run, "loss", ["a", "ü"])]


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_every_compression_works_in_both_directions(server, database_name, compress):
    with server.client(database=database_name, compress=compress) as client:
        client.command(POINTS)
        values = np.random.default_rng(2).normal(size=20_000)
        frame = pd.DataFrame({"metric": "m", "step": np.arange(20_000), "value": values})
        client.insert_df("points", frame)
        back = client.query_df("SELECT step, value FROM points ORDER BY step")
        assert np.array_equal(back["value"].to_numpy(), values)


def test_an_insert_that_fails_after_parsing_is_an_error_and_stores_nothing(client):
    client.command(
        "CREATE TABLE checked (step Int64, CONSTRAINT positive CHECK step > 0) ENGINE = MergeTree ORDER BY step"
    )
    with pytest.raises(DatabaseError, match="VIOLATED_CONSTRAINT") as refused:
        client.insert("checked", [np.array([1, -1])], ["step"], column_oriented=True)
    assert refused.value.code == 469
    assert client.query("SELECT count() FROM checked").result_rows == [(0,)]


def test_special_doubles_keep_their_bits(client):
    client.command(POINTS)
    client.insert("points", [list(range(7)), SPECIAL], ["step", "value"], column_oriented=True)
    assert bits(row[0] for row in client.query("SELECT value FROM points ORDER BY step").result_rows) == bits(SPECIAL)
    arrow = client.query_arrow("SELECT value FROM points ORDER BY step")
    assert bits(arrow["value"].to_pylist()) == bits(SPECIAL)


def test_an_arrow_table_can_be_inserted(client):
    client.command(POINTS)
    client.insert_arrow("points", pa.table({"step": [1, 2, 3], "value": [0.1, 0.2, 0.3]}))
    assert client.query_arrow("SELECT step FROM points ORDER BY step")["step"].to_pylist() == [1, 2, 3]


@pytest.mark.parametrize("block", [b"1\t0.5\n2\t0.25\n", io.BytesIO(b"1\t0.5\n2\t0.25\n")], ids=["bytes", "file"])
def test_raw_inserts_take_bytes_and_files(client, block):
    client.command(POINTS)
    client.raw_insert("points", ["step", "value"], block, fmt="TabSeparated")
    assert client.query("SELECT step, value FROM points ORDER BY step").result_rows == [(1, 0.5), (2, 0.25)]


def test_a_raw_insert_may_be_compressed(client):
    import lz4.frame

    client.command(POINTS)
    packed = lz4.frame.compress(b"1,0.5\n" * 1000)
    client.raw_insert("points", ["step", "value"], packed, fmt="CSV", compression="lz4")
    assert client.command("SELECT count() FROM points") == 1000


def test_a_repeated_token_is_inserted_once(client):
    client.command(POINTS)
    for value in (1.0, 2.0, 3.0):
        settings = {"insert_deduplication_token": "a:0:1-2:points", "insert_deduplicate": 1}
        client.insert("points", [[1], [value]], ["step", "value"], column_oriented=True, settings=settings)
    assert client.query("SELECT value FROM points").result_rows == [(1.0,)]


def test_parameters_are_bound_by_the_server(client):
    nasty = "it's \\ a \"tab\t\n\r\x00 and ünïcødé 🎉 {x:String} -- ; /*"
    query = "SELECT {text:String}, {number:Int64}, {list:Array(String)}, {nothing:Nullable(String)}, step"
    client.command(POINTS)
    client.insert("points", [[7]], ["step"], column_oriented=True)
    found = client.query(
        query + " FROM {table:Identifier}",
        parameters={"text": nasty, "number": -(2**62), "list": ["a'", "b\\"], "nothing": None, "table": "points"},
    )
    assert found.result_rows == [(nasty, -(2**62), ["a'", "b\\"], None, 7)]


def test_text_with_nul_and_every_script_survives(client):
    texts = ["", "\x00", "a\x00b", "äöü", "日本語", "🎉" * 100, "' \\ \t \n", "x" * 100_000]
    client.command("CREATE TABLE texts (n UInt32, s String) ENGINE = MergeTree ORDER BY n")
    client.insert("texts", [list(range(len(texts))), texts], ["n", "s"], column_oriented=True)
    assert [row[0] for row in client.query("SELECT s FROM texts ORDER BY n").result_rows] == texts


def test_streams_hand_out_blocks(client):
    total = 0
    with client.query_row_block_stream("SELECT number FROM numbers(500000)") as stream:
        for block in stream:
            total += len(block)
    assert total == 500_000
    with client.query_arrow_stream("SELECT number FROM numbers(300000)") as batches:
        assert sum(batch.num_rows for batch in batches) == 300_000
    with client.query_df_stream("SELECT number FROM numbers(300000)") as frames:
        assert sum(len(frame) for frame in frames) == 300_000


def test_an_empty_answer_has_its_columns(client):
    found = client.query("SELECT number AS n, toString(number) AS s FROM numbers(0)")
    assert found.result_rows == []
    assert client.query("SELECT 1 AS a, 'x' AS b LIMIT 0").column_names == ("a", "b")


def test_settings_of_one_query_do_not_reach_the_next(client):
    read = "SELECT getSetting('max_threads')"
    assert client.query(read, settings={"max_threads": 1}).result_rows == [(1,)]
    assert client.query(read).result_rows != [(1,)]


def test_errors_carry_the_code_of_clickhouse(client):
    with pytest.raises(DatabaseError) as raised:
        client.query("SELECT * FROM nowhere")
    assert raised.value.code == 60
    assert raised.value.name == "UNKNOWN_TABLE"
    with pytest.raises(DatabaseError) as raised:
        client.insert("nowhere", [[1]], ["a"])
    assert raised.value.code == 60


def test_an_error_in_the_middle_of_an_answer_reaches_the_client(client):
    query = "SELECT number, throwIf(number = 3000000, 'late') FROM numbers(4000000)"
    with pytest.raises(Exception, match="late"):
        client.query(query, settings={"max_block_size": 10_000})


def test_commands_answer_as_on_a_server(client):
    client.command("CREATE TABLE t (a UInt8) ENGINE = Memory")
    client.command("INSERT INTO t VALUES (1), (2), ({x:UInt8})", parameters={"x": 3})
    assert client.command("SELECT sum(a) FROM t") == 6
    assert client.command("EXISTS TABLE t") == 1
    assert "a" in client.command("SHOW CREATE TABLE t")


async def test_the_async_client_runs_queries_side_by_side(server, database_name):
    client = await clickhouse_connect.get_async_client(
        host="127.0.0.1",
        port=server.port,
        username="runstream",
        password="o-w:n/e r",
        database=database_name,
        autogenerate_session_id=False,
    )
    async with client:
        await client.command(POINTS)
        await client.insert("points", [[1], [0.5]], ["step", "value"], column_oriented=True)
        found = await asyncio.gather(*(client.query("SELECT value FROM points") for _ in range(12)))
    assert {tuple(one.result_rows) for one in found} == {((0.5,),)}
