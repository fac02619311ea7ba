from __future__ import annotations

import pytest
from clickhouse_connect.driver.client import Client

from runstream_storage import queries
from runstream_storage.queries.definitions import MetricDefinition, MetricDefinitions

from .conftest import Pen, uuid7, version


def test_a_metrics_own_definition_comes_before_globs_and_the_longer_glob_before_the_shorter() -> None:
    said = MetricDefinitions(
        (
            MetricDefinition("*", x_axis="epoch", unit="?"),
            MetricDefinition("val/*", goal="minimize", unit="nats"),
            MetricDefinition("val/acc", goal="maximize", summary=("max",)),
        )
    )
    assert said.of("val/acc") == MetricDefinition("val/acc", "epoch", ("max",), "maximize", False, "nats")
    assert said.of("val/loss") == MetricDefinition("val/loss", "epoch", (), "minimize", False, "nats")
    assert said.of("lr") == MetricDefinition("lr", "epoch", unit="?")


@pytest.mark.parametrize("metric", ["Val/acc", "val", "x/val/acc"])
def test_a_glob_matches_the_whole_name_in_its_case(metric: str) -> None:
    assert MetricDefinitions((MetricDefinition("val/*", goal="minimize"),)).of(metric).goal == ""


@pytest.mark.clickhouse
def test_the_newest_word_on_a_pattern_wins_and_runs_can_be_asked_alone(client: Client, pen: Pen) -> None:
    for number, goal, at_us in ((1, "minimize", 1_790_000_000_000_000), (2, "maximize", 1_790_000_001_000_000)):
        pen.insert(
            "metric_defs",
            project=pen.project,
            run_id=uuid7(number),
            pattern="val/*",
            x_axis="epoch",
            summary=["min", "last"],
            goal=goal,
            hidden=0,
            unit="",
            ver=version(at_us),
        )
    assert queries.metric_definitions(client, pen.project).of("val/x").goal == "maximize"
    of_first = queries.metric_definitions(client, pen.project, [uuid7(1)]).of("val/x")
    assert of_first == MetricDefinition("val/x", "epoch", ("min", "last"), "minimize")
    assert queries.metric_definitions(client, "another").all == ()
