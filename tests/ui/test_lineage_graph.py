from __future__ import annotations

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from runstream_ui import lineage_graph
from runstream_ui.lineage_graph import Lineage, Node

_CHAINS: tuple[tuple[str, lineage_graph.Kind], ...] = (("run", "run"), ("made", "artifact"))


def _node(name: str, kind: lineage_graph.Kind = "run") -> Node:
    return Node(name, kind, name)


def _columns(lineage: Lineage) -> dict[str, int]:
    return {name: place for place, column in enumerate(lineage_graph.columns(lineage)) for name in column}


def test_what_was_made_of_something_stands_right_of_it() -> None:
    lineage = Lineage(
        (_node("model"), _node("train"), _node("data"), _node("eval")),
        (("data", "train"), ("train", "model"), ("model", "eval"), ("data", "eval")),
    )
    assert _columns(lineage) == {"data": 0, "train": 1, "model": 2, "eval": 3}


def test_a_run_that_read_what_it_made_is_still_drawn() -> None:
    lineage = Lineage((_node("a"), _node("b")), (("a", "b"), ("b", "a")))
    assert sorted(_columns(lineage)) == ["a", "b"]


def test_a_chain_of_thousands_is_laid_out_without_recursion() -> None:
    names = [f"n{place:05}" for place in range(5_000)]
    lineage = Lineage(tuple(map(_node, names)), tuple(itertools.pairwise(names)))
    assert len(lineage_graph.columns(lineage)) == 5_000


def test_edges_that_need_not_cross_do_not() -> None:
    nodes = tuple(map(_node, ("a", "b", "c", "x", "y", "z")))
    first, second = lineage_graph.columns(Lineage(nodes, (("a", "z"), ("b", "y"), ("c", "x"))))
    pairs = {"a": "z", "b": "y", "c": "x"}
    assert [pairs[name] for name in first] == second


def test_two_hundred_runs_of_one_dataset_are_folded_into_a_few_and_a_count() -> None:
    runs = [_node(f"run{place}") for place in range(200)]
    lineage = Lineage((_node("data", "dataset"), *runs), tuple(("data", run.id) for run in runs), "data")
    drawn = lineage_graph.folded(lineage)
    assert [node.label for node in drawn.nodes if node.kind == "folded"] == ["192 more runs"]
    assert len(drawn.nodes) == 10
    assert len(drawn.edges) == 9
    assert lineage_graph.height_px(lineage_graph.columns(drawn)) < 700


def test_many_rows_have_room_for_their_labels_and_begin_where_people_look_first() -> None:
    runs = [_node(f"run{place}") for place in range(250)]
    lineage = Lineage((_node("data", "dataset"), *runs), tuple(("data", run.id) for run in runs), "data")
    order = lineage_graph.columns(lineage)
    (graph,) = lineage_graph.options(lineage, order)["series"]
    drawn = {node["id"]: node for node in graph["data"]}
    assert lineage_graph.height_px(order) >= 250 * 20
    assert drawn["data"]["value"] == [0, 0]
    assert {node["label"]["position"] for node in drawn.values()} == {"right"}
    assert not any("\n" in node["label"]["formatter"] for node in drawn.values())


def test_runs_that_each_made_a_model_of_one_dataset_are_folded_with_their_models() -> None:
    runs, models = ([_node(f"{word}{place}", kind) for place in range(30)] for word, kind in _CHAINS)
    edges = [("data", run.id) for run in runs] + [(run.id, model.id) for run, model in zip(runs, models, strict=True)]
    drawn = lineage_graph.folded(Lineage((_node("data", "dataset"), *runs, *models), tuple(edges), "data"))
    folded = [node.label for node in drawn.nodes if node.kind == "folded"]
    assert folded == ["22 more runs", "22 more artifacts"]
    assert len(drawn.nodes) == 19


def test_the_node_that_is_asked_about_is_never_folded() -> None:
    runs = [_node(f"run{place}") for place in range(50)]
    lineage = Lineage((_node("data", "dataset"), *runs), tuple(("data", run.id) for run in runs), "run49")
    assert "run49" in {node.id for node in lineage_graph.folded(lineage).nodes}


def test_names_cannot_become_markup_or_script() -> None:
    hostile = "{name|x} --x_x--0_0--window.hacked=1--x_x--0_0--"
    lineage = Lineage((Node("a", "artifact", hostile, hostile, hostile),), (), "a")
    options = lineage_graph.options(lineage, lineage_graph.columns(lineage))
    node = options["series"][0]["data"][0]
    assert "--x_x--0_0--" not in json.dumps(node)
    assert node["label"]["formatter"].count("{") == 2


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40))
def test_every_node_of_any_graph_gets_one_place(edges: list[tuple[int, int]]) -> None:
    lineage = Lineage(
        tuple(_node(str(place)) for place in range(13)), tuple((str(start), str(end)) for start, end in edges), "3"
    )
    order = lineage_graph.columns(lineage)
    assert sorted(name for column in order for name in column) == sorted(node.id for node in lineage.nodes)
    places = [tuple(node["value"]) for node in lineage_graph.options(lineage, order)["series"][0]["data"]]
    assert len(set(places)) == 13
