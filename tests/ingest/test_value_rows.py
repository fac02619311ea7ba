from __future__ import annotations

import math
from typing import Any

import pytest
from ingest_samples import NOW_US, rows_by_name

from runstream_ingest.errors import MessageUnusable
from runstream_ingest.versions import version

SHA = "ab" * 32
IMAGE = {"name": "m", "step": 1, "kind": "image", "sha256": SHA, "size": 1}
HISTOGRAM = {"name": "h", "step": 1, "edges": [0.0, 1.0], "counts": [2.0]}
LINES = {"first_line": 3, "times_us": [5, 6], "changed_us": [7, 8], "streams": [1, 2], "texts": ["a", "b"]}
SAMPLES = {"node": "n", "metrics": ["cpu.percent", "gpu.power_w"], "devices": ["", "gpu0"], "times_us": [5, 6]}


def rows(kind: str, /, **fields: Any) -> list[dict[str, Any]]:
    """Rows of one table by column name, in order."""
    found = rows_by_name(kind, **fields)
    assert len({table for table, _ in found}) <= 1
    return [row for _, row in found]


def test_values_of_a_series_keep_their_place_and_content() -> None:
    (text,) = rows("TextLogged", name="t", step=-(2**63), text="größe", mime="text/markdown", rank=3)
    assert (text["name"], text["rank"], text["step"], text["text"]) == ("t", 3, -(2**63), "größe")
    (histogram,) = rows("HistogramLogged", name="h", step=2, edges=[-1.0, 5e-324, 2.0], counts=[1.0, 0.5], n_nan=1)
    assert (histogram["edges"], histogram["counts"], histogram["n_nan"]) == ([-1.0, 5e-324, 2.0], [1.0, 0.5], 1)
    (image,) = rows("MediaLogged", **IMAGE, index=4, caption="c", metadata='{"width": 2}')
    assert (image["idx"], image["sha256"], image["caption"]) == (4, SHA, "c")


def test_what_became_of_contents_is_a_row_of_each() -> None:
    found = rows("MediaStored", stored=[SHA, "cd" * 32], lost=["ef" * 32], attempt=3)
    assert [(row["sha256"][:2], row["state"]) for row in found] == [("ab", "stored"), ("cd", "stored"), ("ef", "lost")]
    assert {row["ver"] for row in found} == {version(0, NOW_US, 77)}, "the last word in time wins"


def test_a_line_that_changed_later_has_the_greater_version() -> None:
    first, second = rows("ConsoleLines", **LINES)
    assert [(row["line"], row["ts_us"], row["stream"], row["text"]) for row in (first, second)] == [
        (3, 5, 1, "a"),
        (4, 6, 2, "b"),
    ]
    assert [row["styles"] for row in (first, second)] == ["", ""]
    coloured = rows("ConsoleLines", **LINES, styles=["", "0:31"])
    assert [row["styles"] for row in coloured] == ["", "0:31"]
    changed = {**LINES, "changed_us": [NOW_US, NOW_US + 1]}
    assert [row["ver"] for row in rows("ConsoleLines", **changed)] == [version(0, NOW_US + i, 77) for i in (0, 1)]


def test_samples_are_rows_and_what_was_not_measured_is_none() -> None:
    found = rows("SystemFrame", **SAMPLES, values=[1.0, 2.0, math.nan, 4.0])
    assert [(row["metric"], row["device"], row["ts_us"], row["value"]) for row in found] == [
        ("cpu.percent", "", 5, 1.0),
        ("gpu.power_w", "gpu0", 5, 2.0),
        ("gpu.power_w", "gpu0", 6, 4.0),
    ]


@pytest.mark.parametrize(
    ("kind", "fields", "what"),
    [
        ("TextLogged", {"name": "t", "step": 1, "text": "x" * 262_145}, "262145 bytes"),
        ("TextLogged", {"name": "n" * 1025, "step": 1, "text": "x"}, "1025 bytes"),
        ("HistogramLogged", {**HISTOGRAM, "counts": []}, "0 bins between 2 edges"),
        ("HistogramLogged", {**HISTOGRAM, "counts": [1.0, 2.0]}, "2 bins between 2 edges"),
        ("HistogramLogged", {**HISTOGRAM, "edges": [float(i) for i in range(514)], "counts": [1.0] * 513}, "513 bins"),
        ("HistogramLogged", {**HISTOGRAM, "edges": [1.0, 1.0]}, "finite and rising"),
        ("HistogramLogged", {**HISTOGRAM, "edges": [0.0, math.inf]}, "finite and rising"),
        ("HistogramLogged", {**HISTOGRAM, "edges": [0.0, math.nan]}, "finite and rising"),
        ("HistogramLogged", {**HISTOGRAM, "counts": [-1.0]}, "negative or not finite"),
        ("HistogramLogged", {**HISTOGRAM, "counts": [math.nan]}, "negative or not finite"),
        ("HistogramLogged", {**HISTOGRAM, "n_nan": -1}, "n_nan is -1"),
        ("MediaLogged", {**IMAGE, "kind": "hologram"}, "kind of media is 'hologram'"),
        ("MediaLogged", {**IMAGE, "sha256": "../../etc/passwd"}, "sha256 is"),
        ("MediaLogged", {**IMAGE, "size": -1}, "size is -1"),
        ("MediaLogged", {**IMAGE, "index": -1}, "index is -1"),
        ("ConsoleLines", {**LINES, "streams": [1]}, "lengths"),
        ("ConsoleLines", {**LINES, "styles": ["0:31"]}, "lengths"),
        ("ConsoleLines", {**LINES, "streams": [1, 0]}, "stream is 0"),
        ("ConsoleLines", {**LINES, "first_line": -1}, "first_line is -1"),
        ("SystemFrame", {**SAMPLES, "values": [1.0]}, "are no table"),
        ("SystemFrame", {**SAMPLES, "devices": [""], "values": [1.0] * 4}, "are no table"),
    ],
)
def test_a_value_that_cannot_be_is_refused(kind: str, fields: dict[str, Any], what: str) -> None:
    with pytest.raises(MessageUnusable, match=what):
        rows(kind, **fields)
