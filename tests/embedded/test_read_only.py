"""A reader cannot write, leave its limits, read files or look at others, whatever the statement looks like."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

SECRET = "hidden-in-a-file"

WRITES = [
    "INSERT INTO kept VALUES (2)",
    "INSERT INTO kept SELECT 2",
    "INSERT INTO FUNCTION file('/tmp/runstream-out', 'TSV', 'a UInt8') VALUES (1)",
    "CREATE TABLE made (a UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE made (a UInt8)",
    "CREATE DATABASE made",
    "CREATE VIEW made AS SELECT 1",
    "CREATE USER me",
    "CREATE FUNCTION f AS (x) -> x",
    "DROP TABLE kept",
    "DROP DATABASE system",
    "TRUNCATE TABLE kept",
    "ALTER TABLE kept DELETE WHERE 1",
    "DELETE FROM kept WHERE 1",
    "UPDATE kept SET a = 2 WHERE 1",
    "RENAME TABLE kept TO gone",
    "EXCHANGE TABLES kept AND kept",
    "OPTIMIZE TABLE kept FINAL",
    "DETACH TABLE kept",
    "ATTACH TABLE kept",
    "GRANT ALL ON *.* TO default",
    "SET ROLE owner",
    "SET readonly = 0",
    "SET profile = 'default'",
    "USE system",
    "KILL QUERY WHERE 1",
    "SYSTEM SHUTDOWN",
    "SYSTEM FLUSH LOGS",
    "BACKUP TABLE kept TO File('/tmp/x')",
    "RESTORE TABLE kept FROM File('/tmp/x')",
    "CHECK TABLE kept",
    "EXECUTE AS default SELECT 1",
    "BEGIN TRANSACTION",
    "/* SELECT */ DROP TABLE kept",
    "-- SELECT\nDROP TABLE kept",
    "SELECT 1; DROP TABLE kept",
    "(SELECT 1); DROP TABLE kept",
]

FILES = [
    "SELECT file('{f}')",
    "SELECT FILE('{f}')",
    "SELECT `file`('{f}')",
    "SELECT \"file\"('{f}')",
    "SELECT `fi\\le`('{f}')",
    "SELECT file /* x */ ('{f}')",
    "SELECT file--\n('{f}')",
    "SELECT * APPLY(file) FROM (SELECT '{f}' AS a)",
    "SELECT * APPLY file FROM (SELECT '{f}' AS a)",
    "SELECT arrayMap(file, ['{f}'])",
    "SELECT arrayMap(x -> file(x), ['{f}'])",
    "WITH x -> file(x) AS f SELECT f('{f}')",
    "EXPLAIN SYNTAX SELECT file('{f}')",
    "SELECT '\\'', file('{f}') AS `'`",
    "SELECT \u2018'\u2019, file('{f}'), \u2018'\u2019",
    "SELECT $$'$$, file('{f}'), '",
    "SELECT 1 /* ' */, file('{f}') -- '",
    "SELECT 1 # '\n, file('{f}') # '",
    "SELECT * FROM file('{f}', 'LineAsString')",
    "SELECT * FROM `{f}`",
    "SELECT * FROM filesystem('{f}')",
    "SELECT * FROM icebergLocal('{f}')",
    "SELECT * FROM deltaLakeLocal('{f}')",
    "SELECT * FROM sqlite('{f}', 't')",
    "SELECT * FROM executable('cat {f}', 'TSV', 'a String')",
    "SELECT * FROM Python(secret)",
    "SELECT * FROM eval('SELECT file(\\'{f}\\')')",
    "SELECT * FROM eval('SELECT 1') SETTINGS allow_experimental_eval_table_function = 1",
    "SELECT * FROM loop(file('{f}', 'LineAsString')) LIMIT 1",
    "SELECT * FROM view(SELECT * FROM file('{f}', 'LineAsString'))",
    "SELECT 1 AS a FORMAT Template SETTINGS format_template_row = '{f}'",
    "SELECT 1 AS a SETTINGS format_template_resultset = '{f}' FORMAT Template",
    "SELECT 1 AS a FORMAT Protobuf SETTINGS format_schema = '{f}:X'",
    "DESCRIBE TABLE file('{f}', 'LineAsString')",
]

NETWORK = [
    "SELECT * FROM url('http://127.0.0.1:{p}/ping', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:{p}/bucket/key', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1:{p}', 'system', 'one')",
    "SELECT * FROM remoteSecure('127.0.0.1:{p}', 'system', 'one')",
    "SELECT * FROM mysql('127.0.0.1:{p}', 'a', 'b', 'c', 'd')",
    "SELECT * FROM postgresql('127.0.0.1:{p}', 'a', 'b', 'c', 'd')",
    "SELECT * FROM redis('127.0.0.1:{p}', 'k', 'k String')",
    "SELECT * FROM mongodb('127.0.0.1:{p}', 'a', 'b', 'c', 'd', 'e String')",
    "SELECT * FROM hdfs('hdfs://127.0.0.1:{p}/x', 'TSV', 'a Int8')",
]

LIMITS = [
    "SELECT 1 SETTINGS max_execution_time = 0",
    "SELECT 1 SETTINGS max_execution_time = 100000",
    "SELECT 1 SETTINGS max_memory_usage = 0",
    "SELECT 1 SETTINGS max_memory_usage = 1000000000000",
    "SELECT 1 SETTINGS max_result_rows = 0",
    "SELECT 1 SETTINGS max_threads = 5000",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS profile = 'default', readonly = 0",
]


@pytest.fixture(scope="module")
def kept(server) -> str:
    server.post("CREATE DATABASE IF NOT EXISTS ro").raise_for_status()
    server.post("CREATE TABLE IF NOT EXISTS ro.kept (a UInt8) ENGINE = MergeTree ORDER BY a").raise_for_status()
    server.post("TRUNCATE TABLE ro.kept").raise_for_status()
    server.post("INSERT INTO ro.kept VALUES (1)").raise_for_status()
    return "ro"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


@pytest.mark.parametrize("sql", WRITES)
def test_a_statement_that_writes_is_refused(server, kept, sql):
    for parameters in ({}, {"readonly": "0"}):
        answer = server.post(sql, reader=True, database=kept, **parameters)
        assert answer.status_code >= 400, answer.text
    assert server.post("SELECT groupArray(a) FROM ro.kept").text == "[1]\n"
    assert server.post("SHOW TABLES FROM ro").text == "kept\n"


@pytest.mark.parametrize("sql", FILES)
def test_a_statement_that_reads_a_file_is_refused(server, secret, sql):
    answer = server.post(sql.replace("{f}", str(secret)), reader=True)
    assert answer.status_code >= 400, answer.text
    assert SECRET not in answer.text


@pytest.mark.parametrize("name", ["file", "`file`"])
def test_a_parameter_cannot_name_a_function(server, secret, name):
    for sql in ("SELECT {f:Identifier}({p:String})", "SELECT * FROM {f:Identifier}({p:String}, 'LineAsString')"):
        answer = server.post(sql, reader=True, param_f=name, param_p=str(secret))
        assert answer.status_code >= 400
        assert SECRET not in answer.text


@pytest.mark.parametrize("sql", NETWORK)
def test_a_statement_that_leaves_the_machine_is_refused(server, sql):
    answer = server.post(sql.replace("{p}", str(server.port)), reader=True)
    assert answer.headers["X-ClickHouse-Exception-Code"] in ("497", "164"), answer.text


@pytest.mark.parametrize("clause", ["INTO OUTFILE", "into/**/outfile", "INTO\nOUTFILE"])
def test_no_answer_is_written_to_a_file(server, tmp_path, clause):
    target = tmp_path / "out.tsv"
    for sql in (
        f"SELECT 1 {clause} '{target}'",
        f"SHOW TABLES {clause} '{target}'",
        f"EXPLAIN SELECT 1 {clause} '{target}'",
    ):
        assert server.post(sql, reader=True).status_code >= 400
        assert server.post(sql).status_code >= 400
    assert not target.exists()


@pytest.mark.parametrize("sql", LIMITS)
def test_limits_cannot_be_lifted_in_the_statement(server, sql):
    assert server.post(sql, reader=True).headers["X-ClickHouse-Exception-Code"] in ("452", "164"), sql


def test_limits_cannot_be_lifted_in_the_address(server):
    for name, value in (
        ("max_execution_time", "0"),
        ("max_memory_usage", "0"),
        ("readonly", "0"),
        ("max_threads", "999"),
    ):
        assert server.post("SELECT 1", reader=True, **{name: value}).status_code == 403


def test_naming_another_profile_leaves_the_limits(server):
    sql = "SELECT getSetting('max_memory_usage') > 0, getSetting('readonly') SETTINGS profile = 'default'"
    assert server.post(sql, reader=True).text == "1\t2\n"


def test_a_subquery_cannot_lift_limits_either(server):
    inner = "SELECT getSetting('readonly') AS r, getSetting('max_memory_usage') > 0 AS m"
    sql = f"SELECT r > 0, m FROM ({inner} SETTINGS readonly = 0, max_memory_usage = 0)"
    answer = server.post(sql, reader=True)
    assert answer.text == "1\t1\n" or answer.status_code == 403, answer.text


def test_limits_may_be_lowered_and_hold(server):
    slow = server.post("SELECT sleepEachRow(1) FROM numbers(3)", reader=True, max_execution_time="1")
    assert slow.headers["X-ClickHouse-Exception-Code"] == "159"
    large = server.post("SELECT number FROM numbers(1000000)", reader=True, max_result_rows="1000")
    assert large.headers["X-ClickHouse-Exception-Code"] == "396"
    heavy = server.post("SELECT groupArray(number) FROM numbers(100000000)", reader=True, max_memory_usage="10000000")
    assert heavy.headers["X-ClickHouse-Exception-Code"] == "241"


@pytest.mark.parametrize("table", ["processes", "user_processes", "stack_trace", "query_cache", "asynchronous_inserts"])
def test_a_reader_sees_no_other_statements(server, table):
    assert server.post(f"SELECT count() FROM system.{table}", reader=True).text == "0\n"
    assert server.post("SELECT count() FROM merge('system', 'process')", reader=True).text == "0\n"


@pytest.mark.parametrize("table", ["users", "roles", "grants", "quotas", "row_policies", "settings_profiles"])
def test_a_reader_sees_no_accounts(server, table):
    assert server.post(f"SELECT * FROM system.{table}", reader=True).headers["X-ClickHouse-Exception-Code"] == "497"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "select\t1",
        "WITH 1 AS x SELECT x",
        "(SELECT 1) UNION ALL (SELECT 1)",
        "FROM system.one SELECT 1",
        "SHOW DATABASES",
        "DESCRIBE TABLE system.one",
        "DESC system.one",
        "EXISTS TABLE system.one",
        "EXPLAIN SELECT 1",
        "SHOW CREATE DATABASE default",
        "SELECT t.file FROM (SELECT 1 AS file) AS t",
        "SELECT 'file(1)', 'DROP TABLE x; --' -- file()",
        "SELECT 1 AS format",
        "SELECT 1 SETTINGS max_threads = 1, join_use_nulls = 1;",
        "SELECT * FROM numbers(3) FORMAT JSON",
        "SELECT * FROM system.tables LIMIT 1",
    ],
)
def test_reading_statements_of_every_shape_work(server, sql):
    answer = server.post(sql, reader=True)
    assert answer.status_code == 200, answer.text


def test_the_user_without_a_name_is_a_reader(server):
    assert httpx.post(server.base, content="SELECT currentRoles()").text == "['reader']\n"
    assert httpx.post(server.base, content="CREATE DATABASE nope").status_code == 403
