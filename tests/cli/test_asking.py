"""`runstream sql`, `runs`, `migrate` and `doctor` against a ClickHouse with runs in it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from runstream_deploy.cli.app import app
from runstream_storage.connection import connect

pytestmark = pytest.mark.clickhouse
RUN = "01930000-0000-7000-8000-000000000001"
OTHER = "01930000-0000-7000-8000-000000000002"


@pytest.fixture
def filled(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Two runs: 'good [red]' with val/loss down to 0.1, and 'bad'."""
    monkeypatch.setenv("RUNSTREAM_CLICKHOUSE", database)
    monkeypatch.setenv("RUNSTREAM_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("RUNSTREAM_PROJECT", raising=False)
    client = connect(database)
    for number, (run, name, loss) in enumerate(((RUN, "good [red]", 0.1), (OTHER, "bad", 0.9))):
        client.insert(
            "runs",
            [["p", run, 1_700_000_000_000_000 + number, name, 1, 2**64 - 2]],
            column_names=["project", "run_id", "created_us", "name", "ver", "keep"],
        )
        client.insert(
            "metric_summary",
            [["p", "val/loss", run, 0, 1, loss, loss * 2, (0, 1, loss * 2), (0, 9, 2, loss), 1, 2, 10, 0, 0]],
            column_names=[
                "project", "metric", "run_id", "rank", "writer", "min", "max", "first", "last", "first_us", "last_us",
                "n", "n_nan", "n_inf",
            ],
        )  # fmt: skip
        client.insert(
            "params",
            [["p", "lr", run, "float", "0.001", 0.001, 1]],
            column_names=["project", "name", "run_id", "kind", "text", "number", "ver"],
        )
    client.close()
    return database


def runstream(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return done


def test_runs_are_filtered_and_sorted_by_the_database(filled: str) -> None:
    asked = (
        "runs",
        "ls",
        "--filter",
        "last(val/loss) < 0.5 and config.lr < 1e-2",
        "--sort",
        "last(val/loss)",
        "--json",
    )
    answer = json.loads(runstream(*asked).output)
    assert (answer["matched"], answer["total"]) == (1, 2)
    (run,) = answer["runs"]
    assert run["run_id"] == RUN
    assert run["values"] == {"last(val/loss)": 0.1}


def test_names_are_shown_as_they_are_and_not_as_markup(filled: str) -> None:
    assert "good [red]" in runstream("runs", "ls").output


def test_a_wrong_filter_points_at_the_column(filled: str) -> None:
    done = runstream("runs", "ls", "--filter", "config.lr <", code=2)
    assert "column" in done.output
    assert "^" in done.output


def test_a_run_is_shown_by_its_name(filled: str) -> None:
    answer = json.loads(runstream("runs", "show", "bad", "--json").output)
    assert answer["id"] == OTHER
    assert answer["params"] == {"lr": 0.001}
    assert answer["metrics"]["val/loss"]["last"] == 0.9


def test_a_run_shows_its_gaps_attempts_rewinds_and_where_it_was_forked(filled: str) -> None:
    client = connect(filled)
    names = ["project", "run_id", "writer", "stream", "start", "end", "attempt", "rank"]
    rows = [["p", RUN, 1, "metrics", 0, 10, 0, 0], ["p", RUN, 1, "metrics", 15, 20, 0, 0]]
    client.insert("coverage", rows, column_names=names)
    writers = [["p", RUN, 1, 0, 0, 1, "node-1", 1], ["p", RUN, 2, 1, 0, 2, "node-2", 2]]
    names = ["project", "run_id", "writer", "attempt", "rank", "started_us", "host", "ver"]
    client.insert("writers", writers, column_names=names)
    names = ["project", "run_id", "rank", "attempt", "step", "ts_us", "actor", "ver"]
    client.insert("rewinds", [["p", RUN, 0, 1, 7, 5, "ada@lab", 1]], column_names=names)
    names = ["project", "run_id", "created_us", "name", "ver", "keep", "forked_from", "fork_step"]
    child = "01930000-0000-7000-8000-000000000003"
    row = ["p", child, 1_700_000_000_000_009, "child", 1, 2**64 - 2, RUN, 5]
    client.insert("runs", [row], column_names=names)
    answer = json.loads(runstream("runs", "show", RUN, "--json").output)
    assert [(gap["first"], gap["last"]) for gap in answer["gaps"]] == [(10, 14)]
    assert answer["missing rows"] == 5
    assert [(one["attempt"], one["host"]) for one in answer["writers"]] == [(1, "node-2"), (0, "node-1")]
    assert [(one["step"], one["actor"]) for one in answer["rewinds"]] == [(7, "ada@lab")]
    assert answer["forks"] == f"{child} at step 5"
    shown = runstream("runs", "show", RUN).output
    assert "ada@lab" in shown
    assert "node-2" in shown
    assert f"{RUN} at step 5" in runstream("runs", "show", child).output


def test_a_run_that_is_not_there_is_said_so(filled: str) -> None:
    assert "nobody" in runstream("runs", "show", "nobody", code=1).output


def test_sql_as_a_table_json_csv_and_parquet(filled: str, tmp_path: Path) -> None:
    query = "SELECT run_name, last FROM v_summary ORDER BY last"
    assert "good [red]" in runstream("sql", query).output
    lines = runstream("sql", query, "--format", "json").stdout.splitlines()
    assert [json.loads(line)["run_name"] for line in lines] == ["good [red]", "bad"]
    rows = list(csv.DictReader(io.StringIO(runstream("sql", query, "--format", "csv").stdout)))
    assert rows[1] == {"run_name": "bad", "last": "0.9"}
    file = tmp_path / "out.parquet"
    runstream("sql", query, "--format", "parquet", "--output", str(file))
    assert pq.read_table(file).num_rows == 2


def test_sql_that_does_not_parse_is_a_message_and_exit_code_2(filled: str) -> None:
    done = runstream("sql", "SELEC 1", code=2)
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "statement", ["DROP TABLE points", "INSERT INTO points (project) VALUES ('x')", "ALTER TABLE runs DELETE WHERE 1"]
)
@pytest.mark.parametrize("output_format", ["table", "json"])
def test_sql_only_reads(filled: str, statement: str, output_format: str) -> None:
    runstream("sql", statement, "--format", output_format, code=2)
    assert connect(filled).query("SELECT count() FROM runs").result_rows == [(2,)]


def test_migrate_says_when_nothing_is_to_do(filled: str) -> None:
    assert json.loads(runstream("migrate", "--json").output) == {"applied": [], "pending": []}


def test_the_doctor_looks_at_the_schema_and_the_clocks(filled: str) -> None:
    findings = json.loads(runstream("doctor", "--json").output)["findings"]
    subjects = {one["subject"] for one in findings if one["ok"]}
    assert {"ClickHouse", "schema", "clocks", "deduplication", "object store", "data directory"} <= subjects
