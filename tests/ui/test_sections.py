from __future__ import annotations

from runstream_ui.widgets.metric_sections import by_section


def test_metrics_stand_under_their_prefix_and_loners_together() -> None:
    found = by_section(["lr", "train/acc", "train/loss", "val/loss", "system/cpu", "epoch"])
    assert found == {
        "general": ["epoch", "lr", "val/loss"],
        "train": ["train/acc", "train/loss"],
        "system": ["system/cpu"],
    }
    assert list(found) == ["general", "train", "system"]


def test_counters_stand_behind_validation_and_training() -> None:
    found = by_section(["epoch", "lr", "train/acc", "train/loss", "layer0/a", "layer0/b", "val/acc", "val/loss"])
    assert list(found) == ["val", "train", "general", "layer0"]


def test_every_metric_is_in_exactly_one_section() -> None:
    metrics = ["/odd", "a/b/c", "a/d", "", "x/", "system/x", "gpu/y"]
    assert sorted(name for members in by_section(metrics).values() for name in members) == sorted(metrics)
