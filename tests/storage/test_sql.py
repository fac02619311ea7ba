from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries
from runstream_storage.errors import QueryError

pytestmark = pytest.mark.clickhouse


def test_a_query_gives_a_table(client: Client, pen: Any) -> None:
    run_id = pen.run(0, tags=["a", "b"])
    answer = queries.sql(client, "SELECT run_id, run_name, tags, created_at FROM v_runs;  ")
    assert answer.table.to_pylist()[0] | {"created_at": None} == {
        "run_id": run_id,
        "run_name": "run-0",
        "tags": ["a", "b"],
        "created_at": None,
    }
    assert not answer.truncated
    assert answer.read_rows > 0
    assert answer.read_bytes > 0


def test_rows_over_the_limit_are_cut_and_that_is_told(client: Client) -> None:
    cut = queries.sql(client, "SELECT number FROM numbers(1000000)", max_rows=10)
    assert (cut.table.num_rows, cut.truncated) == (10, True)
    whole = queries.sql(client, "SELECT number FROM numbers(10)", max_rows=10)
    assert (whole.table.num_rows, whole.truncated) == (10, False)


def test_a_value_is_bound_and_not_pasted(client: Client) -> None:
    answer = queries.sql(client, "SELECT {name:String} AS name", parameters={"name": "'; DROP TABLE runs"})
    assert answer.table.to_pylist() == [{"name": "'; DROP TABLE runs"}]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 FORMAT CSV",
        "SELECT 1 -- why",
        "/* a */ -- b\n (SELECT 1)",
        "FROM v_runs SELECT count()",
        "SHOW TABLES",
        "DESCRIBE v_runs",
        "EXPLAIN SELECT 1",
    ],
)
def test_what_people_paste_is_understood(client: Client, text: str) -> None:
    assert queries.sql(client, text).table.num_rows > 0


@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE runs",
        "TRUNCATE TABLE runs",
        "ALTER TABLE runs DELETE WHERE 1",
        "INSERT INTO runs (project) VALUES ('x')",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE x (a Int8)",
        "SELECT 1; DROP TABLE runs",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a Int8')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1:1', 'system.one')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a Int8') SETTINGS readonly = 0",
        "INSERT INTO runs (project) SETTINGS readonly = 0 VALUES ('x')",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "SET readonly = 0",
        "KILL QUERY WHERE 1",
        "SYSTEM SHUTDOWN",
        "EXECUTE AS default SELECT 1",
    ],
)
def test_nothing_but_reading_is_possible(client: Client, text: str) -> None:
    with pytest.raises(QueryError):
        queries.sql(client, text, max_seconds=5)
    assert client.query("SELECT count() FROM runs").result_rows == [(0,)]


@pytest.mark.real
def test_a_query_that_takes_too_long_is_stopped(client: Client) -> None:
    with pytest.raises(QueryError) as caught:
        queries.sql(
            client,
            "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(SHA256(toString(number)))",
            max_seconds=1,
        )
    assert caught.value.code == 159


@pytest.mark.real
def test_limits_cannot_be_lifted_by_the_query(client: Client) -> None:
    with pytest.raises(QueryError) as caught:
        queries.sql(client, "SELECT 1 SETTINGS max_execution_time = 1000")
    assert caught.value.code == 164


def test_a_syntax_error_has_its_place(client: Client) -> None:
    with pytest.raises(QueryError) as caught:
        queries.sql(client, "SELECT * FRM v_runs LIMIT 1")
    assert caught.value.code == 62
    assert caught.value.position in {10, 14}
    assert "127.0.0.1" not in str(caught.value)


def test_an_unknown_column_is_named(client: Client) -> None:
    with pytest.raises(QueryError, match="nonsense"):
        queries.sql(client, "SELECT nonsense FROM v_runs")


def test_an_unfinished_query_is_called_so(client: Client) -> None:
    with pytest.raises(QueryError, match="ends too early"):
        queries.sql(client, "SELECT 1 FROM")


def test_an_empty_query_is_refused_with_an_example(client: Client) -> None:
    with pytest.raises(QueryError, match="SELECT"):
        queries.sql(client, " ; ")


def test_the_views_document_themselves(client: Client) -> None:
    views = {view.name: view for view in queries.views(client)}
    assert set(views) >= {"v_runs", "v_points", "v_params", "v_summary", "v_artifacts", "v_tags", "v_writers"}
    for view in views.values():
        assert view.comment.endswith(".")
        for column in view.columns:
            assert column.comment.endswith("."), (view.name, column.name)
    first = {name: [column.name for column in view.columns] for name, view in views.items()}
    assert first["v_runs"][:5] == ["project", "run_id", "run_name", "state", "created_at"]
    assert first["v_points"] == ["project", "run_id", "run_name", "metric", "rank", "step", "ts", "value"]
    assert first["v_params"][:4] == ["project", "run_id", "run_name", "name"]
    assert first["v_summary"][:8] == ["project", "run_id", "run_name", "metric", "last", "min", "max", "n"]
