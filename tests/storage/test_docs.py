"""docs/sql.md and docs/filters.md against the schema and the language."""

import re
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries
from runstream_storage.filters import ATTRIBUTES, parse
from runstream_storage.filters.check import check

DOCS = Path(__file__).resolve().parents[2] / "docs"
SQL = (DOCS / "sql.md").read_text(encoding="utf-8")
FILTERS = (DOCS / "filters.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sql\n(.*?)```", SQL, re.DOTALL)


@pytest.mark.clickhouse
def test_the_page_has_the_views_as_the_database_describes_them(client: Client) -> None:
    sections = dict(re.findall(r"^### (v_\w+)\n\n(.*?)(?=^##)", SQL, re.DOTALL | re.MULTILINE))
    views = queries.views(client)
    assert set(sections) == {view.name for view in views}
    for view in views:
        rows = [f"| {column.name} | `{column.type}` | {column.comment} |" for column in view.columns]
        table = "\n".join(["| column | type | what it is |", "|---|---|---|", *rows])
        assert sections[view.name].strip() == f"{view.comment}\n\n{table}"


@pytest.mark.clickhouse
def test_every_example_query_runs_and_finds_something(client: Client, pen: Any) -> None:
    pen.project = "digits"
    for number in range(6):
        run_id = pen.run(
            number,
            params={"lr": 0.1, "batch_size": 32, "optimizer": "adam"},
            tags=["best"],
            ended="failed" if number == 1 else "",
            user="ana",
        )
        for metric in ("val/loss", "train/loss"):
            pen.points(run_id, metric, [1.0, 0.5, float("nan")])
    # The run that the page names.
    named = re.search(r"run_id = '([0-9a-f-]{36})'", SQL)
    assert named is not None
    pen.points(named[1], "train/loss", [1.0])
    what_a_run_remembers(pen, named[1])
    answers = [queries.sql(client, example).table.num_rows for example in EXAMPLES]
    assert len(answers) >= 8
    found = dict(zip(EXAMPLES, answers, strict=True))
    empty = [
        example
        for example, rows in found.items()
        if not rows and not any(word in example for word in ("v_artifacts", "failed", "v_gaps"))
    ]
    assert not empty


def what_a_run_remembers(pen: Any, run_id: str) -> None:
    of_run = {"project": "digits", "run_id": run_id}
    at = {"rank": 0, "step": 1, "ts_us": 1}
    pen.insert("console", **of_run, writer=1, line=0, stream=2, text="RuntimeError: no memory")
    pen.insert("system_points", **of_run, metric="gpu.utilization_percent", device="gpu0", ts_us=1, value=90.0)
    pen.insert("media", **of_run, **at, name="samples", kind="image", sha256="ab", size=3)
    pen.insert("text_series", **of_run, **at, name="answer", text="42")
    pen.insert("histograms", **of_run, **at, name="gradients/layer1", edges=[-1, 0, 1], counts=[1, 2])
    pen.insert("datasets", **of_run, name="mnist", context="training", digest="d5", rows=60_000)
    files = [("m.bin", "ab", 3, "x/y", "")]
    pen.insert("artifacts", **of_run, name="classifier", digest="d1", files=files, created_us=1)
    pen.insert("artifact_links", **of_run, name="classifier", role="out", digest="d1", ts_us=1)
    model = {"project": "digits", "model": "digits", "artifact": "classifier", "digest": "d1"}
    pen.insert("model_events", **model, ts_us=1, action="register", ver=1)
    pen.insert("model_events", **model, ts_us=2, action="stage", value="production", ver=2)
    pen.insert("audit", **of_run, ts_us=1, actor="ana", action="set name", value="best")


def test_the_page_names_every_attribute() -> None:
    words = set(re.findall(r"`([a-z_]+)`", FILTERS))
    assert set(ATTRIBUTES) <= words


def test_every_example_filter_is_valid() -> None:
    examples = re.findall(r"^    (\S.*)$", FILTERS, re.MULTILINE)
    operators = FILTERS.split("## Operators")[1].split("## Values")[0]
    for row in re.findall(r"^\|.*\| ([^|]*) \|$", operators, re.MULTILINE):
        examples += re.findall(r"`([^`]+)`", row)
    assert len(examples) >= 10
    for example in examples:
        term = parse(example)
        assert term is not None
        check(term, example)


def test_the_limits_on_the_page_are_those_of_the_language() -> None:
    from runstream_storage.filters import parser

    assert f"{parser.MAX_CHARACTERS:,} characters" in FILTERS
    assert f"{parser.MAX_CONDITIONS} conditions" in FILTERS
    assert f"{parser.MAX_DEPTH} levels" in FILTERS
