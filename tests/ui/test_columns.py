from __future__ import annotations

import pytest

from runstream_storage.queries.results import Name
from runstream_ui import columns
from runstream_ui.data import Names


@pytest.mark.parametrize(
    ("text", "label", "origin", "goal"),
    [
        ("config.lr", "lr", "config", None),
        ('config."a b"', "a b", "config", None),
        ("last(val/acc)", "val/acc", "last", "max"),
        ("min(val/loss)", "val/loss", "min", "min"),
        ("count(val/loss)", "val/loss", "count", None),
        ("created", "created", "", None),
        ("no such thing (", "no such thing (", "", None),
    ],
)
def test_a_column_is_described_by_its_text(text: str, label: str, origin: str, goal: str | None) -> None:
    column = columns.described(text)
    assert (column.label, column.origin, column.goal) == (label, origin, goal)


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
