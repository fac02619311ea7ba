from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from runstream_ui import preview
from runstream_ui.errors import NotReadable


class _Stream(io.RawIOBase):
    """As an object of a bucket: it cannot be read from the middle."""

    def __init__(self, content: bytes) -> None:
        self._source = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        return self._source.read(size)


def _parquet(rows: int = 1000) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.table({"x": np.arange(rows), "y": [f"r{row}" for row in range(rows)]}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("path", "mime", "look"),
    [
        ("a/b.PNG", "", "image"),
        ("x.svg", "image/svg+xml", "text"),
        ("x", "image/png", "image"),
        ("song.mp3", "", "audio"),
        ("x", "video/mp4", "video"),
        ("README.md", "", "markdown"),
        ("x", "application/json", "json"),
        ("t.tsv", "", "csv"),
        ("t.parquet", "", "parquet"),
        ("model.safetensors", "", "tensors"),
        ("page.html", "text/html", "text"),
        ("train.py", "", "text"),
        ("weights", "application/octet-stream", "text"),
    ],
)
def test_a_file_is_looked_at_as_its_name_suggests(path: str, mime: str, look: str) -> None:
    assert preview.look_of(path, mime) == look


def test_code_is_highlighted_in_its_language() -> None:
    assert preview.language_of("src/train.py") == "python"
    assert preview.language_of("Dockerfile") == "dockerfile"
    assert preview.language_of("notes") is None


def test_a_long_text_ends_with_a_whole_line() -> None:
    content = b"line\n" * 100_000
    head = preview.text_head(io.BytesIO(content), len(content), limit=52)
    assert head.text == "line\n" * 10
    assert not head.whole


def test_bytes_are_not_taken_for_text() -> None:
    for content in (b"abc\0def", bytes(range(128, 256)) * 20):
        with pytest.raises(NotReadable):
            preview.text_head(io.BytesIO(content), len(content))


@pytest.mark.parametrize("content", [b"{", b"", b"[" * 100_000, b'{"x": NaN}', b"\xff\xfe"])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(NotReadable):
        preview.json_value(io.BytesIO(content), len(content))


def test_a_large_json_is_not_parsed() -> None:
    with pytest.raises(NotReadable, match="more than 2 MiB"):
        preview.json_value(io.BytesIO(b""), preview.JSON_BYTES + 1)


def test_the_head_of_a_csv_has_as_many_cells_in_each_row_as_columns() -> None:
    content = b"a;b;a;\n1;2\n3;4;5;6;7\n"
    columns, rows, whole = preview.csv_head(io.BytesIO(content), len(content), "t.csv")
    assert columns == ["a", "b", "a (2)", "column 4"]
    assert rows == [["1", "2", "", ""], ["3", "4", "5", "6"]]
    assert whole


def test_only_the_first_rows_of_a_long_csv_are_read() -> None:
    content = b"a,b\n" + b"1,2\n" * 300_000
    _, rows, whole = preview.csv_head(io.BytesIO(content), len(content), "t.csv")
    assert len(rows) == preview.ROWS
    assert not whole


@pytest.mark.parametrize("stream", [io.BytesIO, _Stream])
def test_the_head_of_a_parquet_file_comes_from_a_directory_and_from_a_bucket(stream: type[io.BytesIO]) -> None:
    content = _parquet()
    table, rows = preview.parquet_head(stream(content), len(content))
    assert (table.num_rows, rows) == (preview.ROWS, 1000)
    assert table.column("y")[0].as_py() == "r0"


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_damaged_parquet_file_is_refused(damage: bytes) -> None:
    with pytest.raises(NotReadable):
        preview.parquet_head(io.BytesIO(damage), len(damage))


def test_an_empty_parquet_file_has_columns_and_no_rows() -> None:
    content = _parquet(0)
    table, rows = preview.parquet_head(io.BytesIO(content), len(content))
    assert (table.column_names, table.num_rows, rows) == (["x", "y"], 0, 0)


def test_the_tensors_of_a_model_are_listed_without_its_weights() -> None:
    header = json.dumps({"__metadata__": {}, "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    found = preview.tensors(io.BytesIO(len(header).to_bytes(8, "little") + header))
    assert found == [preview.Tensor("w", "F32", (2, 3))]


@given(st.binary(max_size=400))
def test_no_bytes_break_a_reader(content: bytes) -> None:
    for read in (
        lambda: preview.text_head(io.BytesIO(content), len(content)),
        lambda: preview.json_value(io.BytesIO(content), len(content)),
        lambda: preview.csv_head(io.BytesIO(content), len(content), "x.csv"),
        lambda: preview.parquet_head(io.BytesIO(content), len(content)),
        lambda: preview.tensors(io.BytesIO(content)),
        lambda: preview.hex_head(io.BytesIO(content)),
    ):
        with contextlib.suppress(NotReadable):
            read()


def test_the_first_bytes_are_shown_in_hex() -> None:
    assert preview.hex_head(io.BytesIO(b"PK\x03\x04abc")).startswith("00000000  50 4b 03 04 61 62 63")
