"""config and summary: nested, typed, and only what changed is sent."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import enum
import math
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import runstream
from runstream.parameters import Config, Parameters
from runstream.values import MAX_TEXT_BYTES, typed


class Colour(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 3


@pytest.mark.parametrize(
    ("value", "kind", "text", "number"),
    [
        (None, "null", "null", None),
        (True, "bool", "true", 1.0),
        (False, "bool", "false", 0.0),
        (3, "int", "3", 3.0),
        (2**70, "int", str(2**70), float(2**70)),
        (10**400, "string", hex(10**400), None),
        (0.1, "float", "0.1", 0.1),
        (1e-5, "float", "1e-05", 1e-5),
        (math.nan, "float", "NaN", "NaN"),
        (-math.inf, "float", "-Infinity", "-Infinity"),
        ("text", "string", "text", None),
        (b"bytes", "string", "bytes", None),
        (Path("/data/x"), "string", "/data/x", None),
        (Colour.RED, "string", "red", None),
        (Size.BIG, "int", "3", 3.0),
        (np.float32(0.5), "float", "0.5", 0.5),
        (np.int64(7), "int", "7", 7.0),
        (np.bool_(True), "bool", "true", 1.0),
        (np.array([1, 2]), "json", "[1, 2]", None),
        ([1, "a", None, math.nan], "json", '[1, "a", null, "NaN"]', None),
        ((1, 2), "json", "[1, 2]", None),
        ({3, 1}, "json", "[1, 3]", None),
        ({}, "json", "{}", None),
        (datetime.date(2026, 1, 2), "datetime", "2026-01-02", None),
        (datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC), "datetime", "2026-01-02T03:00:00+00:00", None),
        (types.SimpleNamespace, "string", "<class 'types.SimpleNamespace'>", None),
    ],
)
def test_a_value_has_a_kind_a_text_and_a_number(value: Any, kind: str, text: str, number: Any) -> None:
    assert typed("x", value) == {"name": "x", "kind": kind, "text": text, "number": number}


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


def test_an_object_that_cannot_be_printed_is_kept_by_its_type() -> None:
    assert "Unprintable" in typed("x", Unprintable())["text"]


def test_a_long_text_is_cut_at_a_character() -> None:
    value = typed("x", "é" * MAX_TEXT_BYTES)
    assert len(value["text"].encode()) <= MAX_TEXT_BYTES
    assert value["text"].endswith("é…")


def test_a_secret_leaves_masked_and_stays_readable_here(held: Any) -> None:
    run = runstream.init(config={"api_key": "abc123", "pad_token": "<pad>", "url": "s3://me:pw@host/x"})
    assert run.config.api_key == "abc123"
    texts = {value["name"]: value["text"] for value in held(run).of("Params")[0]["values"]}
    assert texts == {"api_key": "***", "pad_token": "<pad>", "url": "s3://***@host/x"}


@dataclasses.dataclass
class Optimizer:
    name: str = "adam"
    betas: tuple[float, float] = (0.9, 0.99)


@dataclasses.dataclass
class Training:
    lr: float = 0.1
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)


class Model:
    """As pydantic's."""

    def model_dump(self) -> dict[str, Any]:
        return {"layers": 3, "head": {"dim": 8}}


class Broken:
    def to_dict(self) -> dict[str, Any]:
        raise RuntimeError


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"a": {"b": {"c": 1}}, "d": []}, {"a/b/c": "1", "d": "[]"}),
        (argparse.Namespace(lr=0.1, name="x"), {"lr": "0.1", "name": "x"}),
        (types.SimpleNamespace(lr=1), {"lr": "1"}),
        (Training(), {"lr": "0.1", "optimizer/name": "adam", "optimizer/betas": "[0.9, 0.99]"}),
        (Model(), {"layers": "3", "head/dim": "8"}),
        ({"model": Model(), 3: 4}, {"model/layers": "3", "model/head/dim": "8", "3": "4"}),
    ],
)
def test_configs_of_every_kind_are_flattened(held: Any, config: Any, names: dict[str, str]) -> None:
    run = runstream.init(config=config)
    (event,) = held(run).of("Params")
    assert {value["name"]: value["text"] for value in event["values"]} == names


@pytest.mark.parametrize("config", ["lr=1", 3, [("lr", 1)]])
def test_a_config_without_names_is_a_users_error(config: Any) -> None:
    with pytest.raises(runstream.SettingsError, match="named fields"):
        runstream.init(config=config)


def sent(run: runstream.Run, held: Any) -> list[dict[str, str]]:
    return [
        {v["name"]: v["kind"] if v["kind"] == "deleted" else v["text"] for v in e["values"]}
        for e in held(run).of("Params")
    ]


def test_only_what_changed_is_sent(held: Any) -> None:
    run = runstream.init(config={"lr": 0.1, "model": {"layers": 2, "dim": 8}})
    run.config.lr = 0.1
    run.config.model.layers = 3
    run.config.update({"lr": 0.2, "model": {"dim": 8}})
    run.config["new"] = {"x": 1}
    del run.config["lr"]
    run.config.model = {"dim": 9}
    assert sent(run, held)[1:] == [
        {"model/layers": "3"},
        {"lr": "0.2"},
        {"new/x": "1"},
        {"lr": "deleted"},
        {"model/dim": "9", "model/layers": "deleted"},
    ]
    assert run.config.as_dict() == {"model": {"dim": 9}, "new": {"x": 1}}


def test_a_change_inside_a_list_is_found_at_the_end(held: Any) -> None:
    run = runstream.init(config={"layers": [1, 2]})
    run.config.layers.append(3)
    directory = run.spool
    run.finish()
    assert [e["values"][0]["text"] for e in held(directory).of("Params")] == ["[1, 2]", "[1, 2, 3]"]


def test_config_reads_like_a_dict_and_like_an_object() -> None:
    config = Config(Parameters(lambda changes: None))
    config.update({"a": {"b": 1}}, c=2)
    assert config["a"]["b"] == config.a.b == 1
    assert dict(config) == {"a": config.a, "c": 2}
    assert "a" in config
    assert config.get("x", 5) == 5
    assert "c" in dir(config)
    assert repr(config) == "Config({'a': {'b': 1}, 'c': 2})"
    with pytest.raises(AttributeError, match="no 'a/x'"):
        _ = config.a.x
    with pytest.raises(KeyError):
        _ = config["x"]
    del config.c
    assert list(config) == ["a"]


def test_what_cannot_be_read_is_kept_as_text(held: Any) -> None:
    run = runstream.init(config={"lr": 1})
    run.config.broken = Broken()
    run.config.bad = Unprintable()
    run.config["x" * 2000] = 1
    run.config.fine = 2
    names = [value["name"] for event in held(run).of("Params") for value in event["values"]]
    assert names == ["lr", "broken", "bad", "fine"]


def test_a_large_config_is_cut_into_events_that_fit_a_message(held: Any) -> None:
    run = runstream.init(config={f"p{i}": "x" * 60_000 for i in range(30)})
    events = held(run).of("Params")
    assert len(events) > 3
    assert sum(len(event["values"]) for event in events) == 30


def test_summary_holds_what_was_set_and_sends_changes(held: Any) -> None:
    run = runstream.init()
    run.summary["best"] = 0.5
    run.summary.update({"best": 0.5, "final": {"acc": 1}})
    del run.summary["best"]
    changes = [(v["name"], v["kind"]) for e in held(run).of("Summary") for v in e["values"]]
    assert changes == [("best", "float"), ("final/acc", "int"), ("best", "deleted")]
    assert dict(run.summary) == {"final": {"acc": 1}}


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2)
)
trees = st.dictionaries(
    st.sampled_from("abc"), st.recursive(leaves, lambda t: st.dictionaries(st.sampled_from("abc"), t, max_size=3))
)


@given(states=st.lists(trees, min_size=1, max_size=4))
def test_replaying_the_changes_gives_the_last_state(states: list[dict[str, Any]]) -> None:
    known: dict[str, str] = {}

    def apply(changes: list[dict[str, Any]]) -> None:
        assert changes
        for value in changes:
            if value["kind"] == "deleted":
                del known[value["name"]]
            else:
                assert known.get(value["name"]) != (value["kind"], value["text"])
                known[value["name"]] = (value["kind"], value["text"])

    def flat(tree: Any, name: str = "") -> dict[str, Any]:
        if isinstance(tree, dict) and tree:
            return {
                k: v for key, inner in tree.items() for k, v in flat(inner, f"{name}/{key}" if name else key).items()
            }
        return {name: tree} if name else {}

    config = Config(Parameters(apply))
    for state in states:
        for name in set(config) - set(state):
            del config[name]
        for name, value in state.items():
            config[name] = value
    expected = {name: typed(name, value) for name, value in flat(states[-1]).items()}
    assert known == {name: (value["kind"], value["text"]) for name, value in expected.items()}
