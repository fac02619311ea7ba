from __future__ import annotations

from runstream_storage.queries.results import Value
from runstream_ui.widgets.param_table import differing_params


def test_a_param_differs_when_one_run_has_another_value_or_none() -> None:
    params = {
        "a": {"lr": Value("lr", "float", "0.1", 0.1), "seed": Value("seed", "int", "1", 1)},
        "b": {
            "lr": Value("lr", "float", "0.2", 0.2),
            "seed": Value("seed", "int", "1", 1),
            "x": Value("x", "null", "", None),
        },
    }
    assert differing_params(params, ["a", "b"]) == {"lr", "x"}


def test_a_run_without_params_makes_all_of_them_differ() -> None:
    assert differing_params({"a": {"lr": Value("lr", "float", "0.1", 0.1)}}, ["a", "b"]) == {"lr"}
