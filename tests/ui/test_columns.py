from __future__ import annotations

import pytest

from runstream_storage.queries import MetricDefinition, MetricDefinitions
from runstream_storage.queries.results import Name
from runstream_ui import columns
from runstream_ui.data import Names

SAID = MetricDefinitions(
    (
        MetricDefinition("*/acc", goal="maximize", summary=("best",)),
        MetricDefinition("*/loss", goal="minimize", summary=("min",), unit="nats"),
        MetricDefinition("system/*", hidden=True),
    )
)


@pytest.mark.parametrize(
    ("text", "label", "origin", "goal"),
    [
        ("config.lr", "lr", "config", None),
        ('config."a b"', "a b", "config", None),
        ("last(val/acc)", "val/acc", "last", "max"),
        ("min(val/loss)", "val/loss", "min", "min"),
        ("count(val/loss)", "val/loss", "count", None),
        ("last(lr)", "lr", "last", None),
        ("created", "created", "", None),
        ("no such thing (", "no such thing (", "", None),
    ],
)
def test_a_column_is_described_by_its_text_and_what_its_runs_said(
    text: str, label: str, origin: str, goal: str | None
) -> None:
    column = columns.described(text, SAID)
    assert (column.label, column.origin, column.goal) == (label, origin, goal)


def test_which_end_of_a_metric_is_better_is_never_guessed() -> None:
    assert columns.described("last(val/loss)").goal is None
    assert "better" not in columns.described("last(val/loss)").hint
    assert "in nats, lower is better" in columns.described("last(val/loss)", SAID).hint


def test_metrics_with_a_goal_come_first_in_the_summary_that_was_asked_for_and_hidden_ones_not_at_all() -> None:
    metrics = ("system/gpu.util", "lr", "train/loss", "val/acc")
    names = Names(params=(), metrics=tuple(Name(name, 3) for name in metrics), tags=())
    assert columns.defaults(names, [], SAID) == ["max(val/acc)", "min(train/loss)", "last(lr)"]


def test_validation_metrics_are_shown_before_training_and_machine_ones() -> None:
    metrics = ("system/gpu.util", "train/loss", "val/acc", "test/acc", "val/loss")
    names = Names(params=(Name("lr", 3),), metrics=tuple(Name(name, 3) for name in metrics), tags=())
    assert columns.defaults(names, ["lr"]) == [
        "config.lr",
        "last(val/acc)",
        "last(val/loss)",
        "last(test/acc)",
        "last(train/loss)",
    ]


def test_charts_that_decide_come_first() -> None:
    found = columns.decisive_first(["epoch", "system/cpu", "train/loss", "val/accuracy", "val/loss", "lr"])
    assert found == ["val/accuracy", "val/loss", "train/loss", "epoch", "lr", "system/cpu"]
