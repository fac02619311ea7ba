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


def test_every_metric_is_in_exactly_one_section() -> None:
    metrics = ["/odd", "a/b/c", "a/d", "", "x/", "system/x", "gpu/y"]
    assert sorted(name for members in by_section(metrics).values() for name in members) == sorted(metrics)
