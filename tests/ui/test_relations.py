from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from runstream_storage.queries.results import RunRow, Scalar
from runstream_ui.relations import Axis, axis_of, parallel_options, scatter_options

AT = datetime(2026, 11, 1, tzinfo=UTC)


def run(number: int, **values: Scalar) -> RunRow:
    return RunRow(
        project="p",
        run_id=f"id{number}",
        name=f"run-{number}",
        state="finished",
        created_at=AT,
        ended_at=AT,
        last_at=AT,
        duration_s=1.0,
        group="",
        job_type="",
        user="",
        host="",
        tags=(),
        notes="",
        archived=False,
        values=values,
    )


@pytest.mark.parametrize(
    ("values", "axis"),
    [
        ([1e-5, 0.1], Axis("x", "x", log=True)),
        ([1.0, 50.0, None], Axis("x", "x")),
        ([0.0, 1000.0], Axis("x", "x")),
        (["sgd", "adam", None], Axis("x", "x", ("adam", "sgd"))),
        ([True, False], Axis("x", "x", ("false", "true"))),
        ([3, "three"], Axis("x", "x", ("3", "three"))),
    ],
)
def test_an_axis_follows_from_the_values(values: list[Scalar], axis: Axis) -> None:
    assert axis_of("x", "x", values) == axis


def test_every_run_with_all_values_is_a_line_and_the_last_axis_colours_it() -> None:
    runs = [run(1, a=1.0, b=0.5), run(2, a=2.0, b=0.7), run(3, a=None, b=0.9), run(4, a=1.0, b=math.nan)]
    options = parallel_options(runs, {}, [Axis("a", "a"), Axis("b", "b")])
    assert [line["name"] for line in options["series"][0]["data"]] == ["run-1", "run-2"]
    assert (options["visualMap"]["min"], options["visualMap"]["max"]) == (0.5, 0.7)


def test_lines_have_the_colours_of_their_runs_when_the_last_axis_has_no_numbers() -> None:
    options = parallel_options([run(1, a=1.0, b="x")], {}, [Axis("a", "a"), Axis("b", "b", ("x",))])
    assert "visualMap" not in options
    assert options["series"][0]["data"][0]["lineStyle"]["color"].startswith("#")


def test_a_scatter_leaves_out_what_has_no_place_on_an_axis() -> None:
    runs = [run(1, a=1.0, b=0.5), run(2, a=-1.0, b=0.7), run(3, b=0.9)]
    options = scatter_options(runs, {"id1": "first"}, Axis("a", "a", log=True), Axis("b", "b"))
    assert [(point["name"], point["value"]) for point in options["series"][0]["data"]] == [("first", [1.0, 0.5])]


def test_names_in_these_charts_are_text() -> None:
    hostile = "--x_x--0_0--alert(1)--x_x--0_0--"
    options = scatter_options([run(1, a=1.0, b=1.0)], {"id1": hostile}, Axis("a", hostile), Axis("b", "b"))
    assert options["series"][0]["data"][0]["name"] == "alert(1)"
    assert options["xAxis"]["name"] == "alert(1)"
