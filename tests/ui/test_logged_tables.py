"""Tables that runs logged: read, filtered, sorted, compared."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_ui.errors import NotReadable
from runstream_ui.logged_tables import (
    LoggedTable,
    WrongFilter,
    compared,
    filtered,
    key_columns,
    ordered,
    read,
    searched,
    text_of,
)


def _table(**columns: list[Any]) -> LoggedTable:
    kinds = {int: "integer", float: "number", bool: "boolean"}
    types = tuple((name, kinds.get(type(cells[0]), "string")) for name, cells in columns.items())
    return LoggedTable(types, tuple(zip(*columns.values(), strict=True)))


def _lines(*rows: object, columns: tuple[tuple[str, str], ...] = (("a", "number"), ("b", "mixed"))) -> bytes:
    head = {
        "runstream": "table",
        "version": 1,
        "columns": [{"name": n, "type": t} for n, t in columns],
        "rows": len(rows),
    }
    return "\n".join(json.dumps(entry) for entry in (head, *rows)).encode() + b"\n"


ANIMALS = _table(id=[3, 1, 2], name=["Cat", "dog x", "bird"], score=[0.5, math.nan, 2.0])


def test_numbers_that_are_not_finite_and_mixed_cells_are_read() -> None:
    found = read(_lines(["NaN", 1], ["-Infinity", {"type": "number", "value": "Infinity"}], [None, "x"]))
    assert math.isnan(found.rows[0][0])
    assert found.rows[1] == (-math.inf, math.inf)
    assert found.rows[2] == (None, "x")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"runstream": "else", "columns": []}',
        _lines([1, 2])[:-4],
        _lines([1]),
        _lines({"a": 1}),
        b"null\n",
    ],
)
def test_a_torn_or_foreign_file_is_refused_with_the_way_out(content: bytes) -> None:
    with pytest.raises(NotReadable, match="Download it"):
        read(content)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [3, 1, 2]),
        ("score > 0.4", [3, 2]),
        ("score >= 0.5 and id != 3", [2]),
        ("score != 0.5", [1, 2]),
        ("name contains CAT", [3]),
        ('name = "dog x"', [1]),
        ("`name` = bird AND id=2", [2]),
        ('name contains " and "', []),
        ("name > b", [1, 2]),
        ("id = nan", []),
    ],
)
def test_rows_are_filtered(text: str, ids: list[int]) -> None:
    assert [row[0] for row in filtered(ANIMALS, text).rows] == ids


@pytest.mark.parametrize("text", ["score", "nope = 3", "score >", "= 3", "and", "'"])
def test_a_wrong_filter_says_how_to_write_one(text: str) -> None:
    with pytest.raises(WrongFilter, match=r"column"):
        filtered(ANIMALS, text)


def test_text_is_searched_in_all_cells_in_any_case() -> None:
    assert [row[0] for row in searched(ANIMALS, " CAT ").rows] == [3]


@pytest.mark.parametrize(("descending", "ids"), [(False, [3, 2, 1]), (True, [2, 3, 1])])
def test_nan_and_missing_cells_come_last_either_way(descending: bool, ids: list[int]) -> None:
    assert [row[0] for row in ordered(ANIMALS, "score", descending=descending).rows] == ids


@given(
    st.lists(st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=3), st.booleans(), st.just({"n": 1})))
)
def test_any_mixture_of_cells_can_be_sorted_and_shown(cells: list[Any]) -> None:
    table = LoggedTable((("x", "mixed"),), tuple((cell,) for cell in cells))
    assert len(ordered(table, "x", descending=True).rows) == len(cells)
    assert all(isinstance(text_of(cell), str) for cell in cells)


def test_rows_are_compared_by_their_key() -> None:
    newer = _table(id=[1, 2, 4], name=["dog x", "BIRD", "fish"], score=[math.nan, 2.0, 1.0])
    assert key_columns(ANIMALS, newer) == ["id", "name"]
    changes = compared(ANIMALS, newer, "id")
    assert [(change.key, change.how) for change in changes] == [
        ("1", "same"),
        ("2", "changed"),
        ("4", "added"),
        ("3", "removed"),
    ]
    assert changes[1].differs == {"name"}


def test_media_are_the_same_when_their_content_is() -> None:
    def table(sha256: str) -> LoggedTable:
        return LoggedTable((("picture", "media"),), (({"kind": "image", "sha256": sha256},),))

    assert compared(table("a"), table("a"), "")[0].how == "same"
    assert compared(table("a"), table("b"), "")[0].how == "changed"
