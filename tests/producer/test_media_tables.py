"""Table: every cell comes back as it was, from the documented format."""

import datetime
import enum
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from producer.media_values import blob_of
from runstream import Image, Table
from runstream.media import tables
from runstream.media.blob import ValueRefused
from runstream.media.table_format import NotATable, read

CELL = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


class Colour(enum.Enum):
    RED = 1


def made(table: Table) -> tuple[list[str], list[list[Any]], list[str]]:
    """Column types, rows, and the warnings."""
    blob, said = blob_of(table)
    assert isinstance(blob.content, bytes)
    columns, count, rows = read(blob.content.splitlines())
    assert count == len(rows) == blob.metadata["rows"]
    assert blob.metadata["columns"] == [{"name": column.name, "type": column.type} for column in columns]
    return [column.type for column in columns], rows, said


def same(found: Any, given: Any) -> bool:
    if isinstance(given, float) and math.isnan(given):
        return isinstance(found, float) and math.isnan(found)
    return bool(found == given)


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELL, min_size=n, max_size=n), min_size=1, max_size=6)))
def test_any_cells_come_back(rows: list[list[Any]]) -> None:
    _, found, _ = made(Table([f"c{place}" for place in range(len(rows[0]))], rows))
    for row, back in zip(rows, found, strict=True):
        for cell, got in zip(row, back, strict=True):
            if isinstance(cell, int) and abs(cell) > 2**53:
                assert got == str(cell)
            elif isinstance(cell, str):
                assert got == cell.replace("\0", "�")
            elif isinstance(cell, float) and math.isnan(cell) and got is None:
                continue  # nothing, among texts
            else:
                assert same(got, cell), (cell, got)


def test_columns_are_typed() -> None:
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    rows = [
        [1, 1, True, "a", now, [1, {"b": 2}], "x"],
        [2, 2.5, None, "ü", now.date(), {"k": np.float32(1)}, 3],
        [None] * 7,
    ]
    types, found, _ = made(Table(list("abcdefg"), rows))
    assert types == ["integer", "number", "boolean", "string", "datetime", "json", "mixed"]
    assert found[0] == [1, 1, True, "a", now.isoformat(), [1, {"b": 2}], "x"]
    assert found[1] == [2, 2.5, None, "ü", "2026-01-02", {"k": 1.0}, 3]
    assert found[2] == [None] * 7


def test_numbers_that_are_not_finite_come_back() -> None:
    types, found, _ = made(Table(["x"], [[math.inf], [-math.inf], [math.nan], [1.5]]))
    assert types == ["number"]
    assert found[:2] == [[math.inf], [-math.inf]]
    assert math.isnan(found[2][0])


def test_values_of_numpy_and_others_are_cells() -> None:
    row = [np.int8(3), np.float64(0.5), np.bool_(True), np.array([1, 2]), np.datetime64("2026-01-02"), Colour.RED]
    row += [Path("/a/b"), b"\xffbytes", {1, 2}, 1 + 2j]
    _, found, _ = made(Table([str(n) for n in range(10)], [row]))
    assert found == [[3, 0.5, True, [1, 2], "2026-01-02", "RED", "/a/b", "\\xffbytes", [1, 2], "(1+2j)"]]


FRAME = {"n": [1, 2, 3], "x": [0.5, None, float("inf")], "s": ["a", None, "ü"]}


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(FRAME),
        pl.DataFrame(FRAME),
        pa.table(FRAME),
        FRAME,
        [dict(zip(FRAME, r, strict=True)) for r in zip(*FRAME.values(), strict=True)],
    ],
)
def test_data_frames_are_tables(frame: Any) -> None:
    for table in (Table(frame), Table(data=frame), Table(dataframe=frame)):
        types, found, _ = made(table)
        assert types == ["integer", "number", "string"]
        assert [row[0] for row in found] == [1, 2, 3]
        assert found[1][1] is None or math.isnan(found[1][1])
        assert found[2][1:] == [math.inf, "ü"]
        assert found[1][2] is None


def test_frames_with_times_categories_and_levels() -> None:
    frame = pd.DataFrame({("a", "b"): pd.to_datetime(["2026-01-02", None]), ("a", "c"): pd.Categorical(["x", "y"])})
    blob, _ = blob_of(Table(frame))
    assert [column["name"] for column in blob.metadata["columns"]] == ["a/b", "a/c"]
    assert made(Table(frame))[1] == [["2026-01-02T00:00:00", "x"], [None, "y"]]


def test_rows_are_added_and_uneven_ones_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    table = Table(["a", "b"])
    table.add_data(1, 2)
    table.add_data(1)
    table.add_data(3, 4)
    assert made(table)[1] == [[1, 2], [3, 4]]
    assert "1 cells is left out" in caplog.text


def test_rows_of_other_lengths_are_cut_or_filled_with_a_warning() -> None:
    _, found, said = made(Table(["a", "b"], [[1], [1, 2, 3], [1, 2]]))
    assert found == [[1, None], [1, 2], [1, 2]]
    assert "2 of its rows" in said[0]


def test_a_matrix_and_plain_rows_get_names() -> None:
    assert made(Table(np.arange(4).reshape(2, 2)))[1] == [[0, 1], [2, 3]]
    blob, _ = blob_of(Table(data=[[1, 2]]))
    assert [column["name"] for column in blob.metadata["columns"]] == ["column 1", "column 2"]


def test_media_cells_are_named_by_their_content_and_logged_below_the_table() -> None:
    pixels = np.zeros((4, 4), np.uint8)
    table = Table(["id", "picture"], [[1, Image(pixels, caption="a")], [2, Pillow.new("L", (2, 2))], [3, Image("/no")]])
    blob, said = blob_of(table)
    types, found, _ = made(table)
    assert types == ["integer", "media"]
    assert [(part.below, part.index) for part in blob.parts] == [("picture", 0), ("picture", 1)]
    content = blob.parts[0].blob.content
    assert isinstance(content, bytes)
    cell = found[0][1]
    assert cell["sha256"] == hashlib.sha256(content).hexdigest()
    assert (cell["kind"], cell["size"], cell["caption"]) == ("image", len(content), "a")
    assert found[2][1] is None
    assert "1 media cells are left out, such as row 2 of 'picture'" in said[0]


def test_what_is_beyond_the_limits_is_left_out_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 3)
    blob, said = blob_of(Table(["a"], [[number] for number in range(10)]))
    assert (blob.metadata["rows"], blob.metadata["rows_given"]) == (3, 10)
    assert "the first 3 of 10 rows" in said[0]
    _, found, said = made(Table(["a"], [["ü" * 100_000]]))
    assert len(found[0][0].encode()) <= 65536
    assert "cut at 65536 bytes" in said[0]


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (Table(), "without columns"),
        (Table([], []), "without columns"),
        (Table(data=5), "int is no table"),
        (Table(data="text"), "str is no table"),
        (Table(["a", "b"], [1, 2]), "no sequences"),
        (Table(data=np.zeros((2, 2, 2))), "rows x columns"),
        (Table([str(n) for n in range(1001)], [[0] * 1001]), "1001 columns"),
    ],
)
def test_what_is_no_table_is_refused_with_its_reason(table: Table, why: str) -> None:
    with pytest.raises(ValueRefused, match=why):
        blob_of(table)


def test_a_table_without_rows_keeps_its_columns() -> None:
    assert made(Table(["a", "b"], [])) == (["mixed", "mixed"], [], [])


def test_a_reader_may_stop_early() -> None:
    content = blob_of(Table(["a"], [[number] for number in range(100)]))[0].content
    assert isinstance(content, bytes)
    _, count, rows = read(content.splitlines(), limit=5)
    assert (count, len(rows)) == (100, 5)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"no", b'{"runstream": "table", "version": 2}', b"null"])
def test_what_is_no_table_file_is_said(data: bytes) -> None:
    with pytest.raises(NotATable):
        read(data.splitlines())


def test_the_lines_are_json(tmp_path: Path) -> None:
    content = blob_of(Table(["a"], [["line\nbreak\u2028"], [math.nan]]))[0].content
    assert isinstance(content, bytes)
    lines = content.split(b"\n")
    assert json.loads(lines[0])["rows"] == 2
    assert json.loads(lines[1]) == ["line\nbreak\u2028"]
