"""A dataset's digest: the same for the same content however it is held, another after any one change."""

from __future__ import annotations

import http.server
import json
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import runstream
from runstream.agent.uploads import manifest_digest
from runstream.datasets import described
from runstream.datasets.digest_cache import DigestCache
from runstream.datasets.files import FileDigests, Found
from runstream.datasets.progress import Progress
from runstream.objects import open_store
from runstream.packages import sha256_hex


def found(data: Any, cache: DigestCache | None = None) -> Found:
    return described(data, FileDigests(cache), Progress("it"))


def digest(data: Any) -> str:
    return found(data).digest


TEXTS = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
ROWS = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.floats(),
        TEXTS,
        st.one_of(st.none(), st.booleans()),
        st.one_of(st.none(), st.lists(st.one_of(st.none(), st.integers(-5, 5)), max_size=3)),
        st.one_of(st.none(), st.fixed_dictionaries({"x": st.one_of(st.none(), st.integers(0, 9)), "y": TEXTS})),
        st.one_of(st.none(), st.integers(0, 2**50)),
        st.one_of(st.none(), st.binary(max_size=4)),
    ),
    max_size=12,
)
SCHEMA = pa.schema(
    {
        "whole": pa.int64(),
        "number": pa.float64(),
        "text": pa.string(),
        "flag": pa.bool_(),
        "list": pa.list_(pa.int32()),
        "inner": pa.struct({"x": pa.int16(), "y": pa.string()}),
        "time": pa.timestamp("us"),
        "bytes": pa.binary(),
    }
)
OTHER = pa.schema(
    {
        **{field.name: field.type for field in SCHEMA},
        "text": pa.dictionary(pa.int32(), pa.large_string()),
        "list": pa.large_list(pa.int32()),
        "bytes": pa.large_binary(),
        "inner": pa.struct({"x": pa.int16(), "y": pa.large_string()}),
    }
)


def table(rows: list[Any], schema: pa.Schema = SCHEMA) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[] for _ in schema]
    arrays = []
    for values, field in zip(columns, schema, strict=True):
        if pa.types.is_dictionary(field.type):
            arrays.append(pa.array(list(values), field.type.value_type).dictionary_encode())
        else:
            arrays.append(pa.array(list(values), field.type))
    return pa.table(arrays, names=schema.names)


@settings(max_examples=50, deadline=None)
@given(ROWS, st.integers(0, 12), st.integers(0, 12))
def test_chunks_slices_dictionaries_and_wide_offsets_do_not_matter(rows: list[Any], one: int, two: int) -> None:
    whole = table(rows)
    expected = digest(whole)
    first, last = sorted((min(one, len(rows)), min(two, len(rows))))
    parts = [whole.slice(0, first), whole.slice(first, last - first), whole.slice(last)]
    assert digest(pa.concat_tables(parts)) == expected
    assert digest(pa.concat_tables(parts).combine_chunks()) == expected
    assert digest(pa.concat_tables([table(rows[:1]), whole]).slice(min(1, len(rows)))) == expected
    assert digest(table(rows, OTHER)) == expected
    assert digest(pa.RecordBatchReader.from_batches(whole.schema, whole.to_batches(max_chunksize=2))) == expected
    assert found(whole).rows == len(rows)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_polars_holds_what_arrow_holds(rows: list[Any]) -> None:
    frame = pl.from_arrow(table(rows))
    assert isinstance(frame, pl.DataFrame)
    assert digest(frame) == digest(table(rows))
    assert digest(pl.concat([frame[:3], frame[3:]], rechunk=False)) == digest(frame)


FLAT = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(), TEXTS, st.booleans()), min_size=1, max_size=10)


def frame_of(rows: list[Any], text: str = "object") -> pd.DataFrame:
    whole, number, texts, flags = (list(values) for values in zip(*rows, strict=True))
    columns = {"whole": np.array(whole, "int64"), "number": np.array(number), "flag": np.array(flags)}
    return pd.DataFrame({**columns, "text": pd.Series(texts, dtype=text)})


@settings(max_examples=30, deadline=None)
@given(FLAT, st.randoms())
def test_a_pandas_frame_is_the_same_however_it_is_stored(rows: list[Any], random: Any) -> None:
    frame = frame_of(rows)
    expected = digest(frame)
    assert digest(frame.copy()) == expected
    assert digest(pd.concat([frame[:1], frame[1:]], ignore_index=True)) == expected
    index = list(range(len(rows)))
    random.shuffle(index)
    assert digest(frame.set_axis(index)) == expected
    assert digest(frame.astype({"text": "category"})) == expected
    assert digest(frame.astype({"text": "str"})) == expected
    assert digest(frame.astype({"whole": "Int64", "flag": "boolean"})) == expected
    assert digest(frame.astype({"number": ">f8", "whole": ">i8"})) == expected
    arrow = pa.table({"whole": [r[0] for r in rows], "number": pa.array([r[1] for r in rows], pa.float64())})
    arrow = arrow.append_column("flag", pa.array([r[3] for r in rows]))
    arrow = arrow.append_column("text", pa.array([r[2] for r in rows], pa.string()))
    assert digest(arrow) == expected
    assert digest(frame.set_index("whole")) == expected


@settings(max_examples=30, deadline=None)
@given(FLAT, st.data())
def test_any_one_change_of_a_table_changes_the_digest(rows: list[Any], data: st.DataObject) -> None:
    frame = frame_of(rows)
    expected = digest(frame)
    row = data.draw(st.integers(0, len(rows) - 1))
    changed = frame.copy()
    changed.loc[row, "whole"] = changed.loc[row, "whole"] ^ 1
    assert digest(changed) != expected
    changed = frame.copy()
    changed.loc[row, "text"] = (changed.loc[row, "text"] or "") + "x"
    assert digest(changed) != expected
    changed = frame.copy()
    changed.loc[row, "flag"] = not changed.loc[row, "flag"]
    assert digest(changed) != expected
    changed = frame.copy()
    changed.loc[row, "text"] = None if changed.loc[row, "text"] is not None else ""
    assert digest(changed) != expected
    assert digest(frame.astype({"flag": "int8"})) != expected
    assert digest(frame.rename(columns={"text": "texts"})) != expected
    assert digest(frame[["number", "whole", "flag", "text"]]) != expected
    assert digest(pd.concat([frame, frame[-1:]])) != expected
    order = frame.iloc[::-1].reset_index(drop=True)
    assert (digest(order) == expected) == table_equal(order, frame)


def table_equal(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return [*map(repr, one.itertuples())] == [*map(repr, other.itertuples())]


SHAPES = st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple)


@settings(deadline=None)
@given(
    SHAPES, st.sampled_from(["f8", "f4", "f2", "i8", "u1", "i2", "?", "c16", "M8[us]", "U3", "S2"]), st.integers(0, 9)
)
def test_the_layout_of_an_array_does_not_matter_and_its_values_do(
    shape: tuple[int, ...], dtype: str, seed: int
) -> None:
    values = np.random.default_rng(seed).integers(0, 2 if dtype == "?" else 90, shape).astype(dtype)
    expected = digest(values)
    assert digest(np.asfortranarray(values)) == expected
    assert digest(np.stack([values, values])[1]) == expected
    assert digest(np.repeat(values, 2, axis=0)[::2]) == expected
    if dtype not in ("?", "u1", "S2"):
        assert digest(values.astype(values.dtype.newbyteorder(">"))) == expected
    if values.size:
        changed = values.copy()
        changed.flat[-1] = changed.flat[0] if changed.flat[-1] != changed.flat[0] else np.ones(1).astype(dtype)[0]
        assert (digest(changed) == expected) == bool((changed == values).all())
        assert digest(values.reshape(-1, 1, 1, 1)) != expected
    assert digest(
        values.astype("f8") if dtype not in ("f8", "M8[us]") and values.dtype.kind not in "c" else values[:0, None]
    ) != (expected)


def test_every_nan_is_the_same_and_zeros_keep_their_sign() -> None:
    other = np.array([0x7FF8000000000123], "u8").view("f8")
    assert digest(other) == digest(np.array([np.nan]))
    assert digest(np.array([0.0])) != digest(np.array([-0.0]))
    assert digest(pa.table({"a": other})) == digest(pd.DataFrame({"a": [np.nan]}))


def test_a_null_is_no_nan_and_no_zero() -> None:
    tables = [pa.table({"a": pa.array([1.0, value])}) for value in (None, 0.0, float("nan"))]
    assert len({digest(one) for one in tables}) == 3


def test_objects_of_a_column_count_by_type_and_value() -> None:
    columns = [[1, "a"], [1, b"a"], [True, "a"], [1.0, "a"], ["1", "a"], [[1], "a"], [{"a": 1}, "a"], [None, "a"]]
    assert len({digest(pd.DataFrame({"x": pd.Series(values, dtype=object)})) for values in columns}) == len(columns)
    one, other = [{"a": 1, "b": [2, {3, 4}]}], [{"b": [2, {4, 3}], "a": 1}]
    assert digest(pd.DataFrame({"x": one})) == digest(pd.DataFrame({"x": other}))


def test_a_profile_tells_rows_nulls_and_ranges() -> None:
    told = found(pd.DataFrame({"x": [1.0, np.nan, np.inf, 3.0], "n": [4, 5, 6, 9], "s": ["a", None, "b", "c"]}))
    assert told.rows == 4
    assert told.schema == [
        {"name": "x", "type": "float64"},
        {"name": "n", "type": "int64"},
        {"name": "s", "type": "string"},
    ]
    assert told.profile["values"] == {
        "x": {"nulls": 0, "nan": 1, "min": 1.0, "max": 3.0, "mean": 2.0},
        "n": {"nulls": 0, "min": 4, "max": 9, "mean": 6.0},
        "s": {"nulls": 1},
    }


NAMES = st.text("abcż\n\t .", min_size=1, max_size=5).filter(lambda name: name.strip(". ") == name)
FILES = st.dictionaries(NAMES, st.binary(max_size=20), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(FILES, st.data())
def test_a_directory_is_its_files_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], data: st.DataObject
) -> None:
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    for name, content in files.items():
        (one / name).write_bytes(content)
    for name, content in reversed(files.items()):
        (other / name).write_bytes(content)
    assert digest(one) == digest(str(other)) == digest([other / name for name in files])
    manifest = [{"path": n, "sha256": sha256_hex(c), "size": len(c)} for n, c in files.items()]
    assert digest(one) == manifest_digest(manifest)
    changed = data.draw(st.sampled_from(sorted(files)))
    (other / changed).write_bytes(files[changed] + b"x")
    assert digest(other) != digest(one)
    (other / changed).unlink()
    (other / f"{changed}_").write_bytes(files[changed])
    assert digest(other) != digest(one)


def test_a_file_is_its_bytes_whatever_it_is_called(tmp_path: Path) -> None:
    for name in ("a.csv", "b.bin"):
        (tmp_path / name).write_bytes(b"x,y\n1,2\n3,4")
    told = found(tmp_path / "a.csv")
    assert (
        told.digest == digest(tmp_path / "b.bin") == digest(f"file://{tmp_path}/b.bin") == sha256_hex(b"x,y\n1,2\n3,4")
    )
    assert told.schema == {"suffix": ".csv", "columns": ["x", "y"]}
    assert told.profile == {"lines": 3}
    assert told.size == 11


def test_named_parts_count_by_name_and_not_by_order() -> None:
    a, b = np.arange(3), pd.DataFrame({"x": [1]})
    assert digest({"train": a, "test": b}) == digest({"test": b, "train": a})
    assert digest({"train": a, "test": b}) != digest({"train": b, "test": a})
    assert found({"train": np.arange(3), "test": np.arange(2)}).rows == 5


@pytest.mark.parametrize(
    "data",
    [
        None,
        3,
        object(),
        {},
        [],
        [1.0, 2.0],
        "",
        "/no/such/file",
        "zip9://x/y",
        np.array([object()]),
        pl.LazyFrame({"a": [1]}),
    ],
)
def test_what_has_no_fingerprint_is_a_warning_and_nothing_else(
    data: Any, caplog: Any, held: Callable[..., Any]
) -> None:
    run = runstream.init()
    assert run.log_dataset(data) is None
    run.log({"loss": 1.0})
    run.finish()
    assert "log_dataset(" in caplog.text
    assert held(run).of("DatasetLogged") == []
    assert held(run).series("loss") == [(0, 1.0)]


def test_a_dataset_is_an_event_of_the_run(tmp_path: Path, held: Callable[..., Any]) -> None:
    (tmp_path / "digits.csv").write_text("a,b\n1,2\n")
    with runstream.init() as run:
        told = run.log_dataset(
            tmp_path / "digits.csv", context="training", metadata={"split": 0.8, "api_key": "abc123"}
        )
        runstream.log_dataset(pd.DataFrame({"x": [1.0, float("inf")]}), name="table", source="https://u:pw@host/x.csv")
    assert told is not None
    first, second = held(run).of("DatasetLogged")
    assert first["digest"] == told.digest == sha256_hex(b"a,b\n1,2\n")
    assert (first["name"], first["context"], first["kind"]) == ("digits.csv", "training", "file")
    assert first["source"] == str(tmp_path / "digits.csv")
    assert json.loads(first["profile"])["metadata"] == {"split": 0.8, "api_key": "***"}
    assert second["source"] == "https://***@host/x.csv"
    assert second["rows"] == 2
    assert json.loads(second["schema"]) == [{"name": "x", "type": "float64"}]


def test_a_table_of_very_many_columns_still_fits_an_event(held: Callable[..., Any]) -> None:
    wide = pa.table({f"column {i} {'x' * 200}": [i] for i in range(3000)})
    with runstream.init() as run:
        told = run.log_dataset(wide, name="wide")
    assert told is not None
    event = held(run).of("DatasetLogged")[0]
    assert json.loads(event["profile"])["columns"] == 3000
    assert len(event["schema"]) + len(event["profile"]) < 512 * 1024


class TestCache:
    @pytest.fixture
    def old(self, tmp_path: Path) -> Path:
        """A file of 2 MB that settled long ago."""
        path = tmp_path / "big.bin"
        path.write_bytes(os.urandom(1 << 21))
        return path

    def put(self, cache: DigestCache, path: Path, sha256: str) -> None:
        cache.put(path.stat(), sha256, time.time_ns() + 10_000_000_000)

    def test_what_was_not_changed_is_not_read_again(self, old: Path, tmp_path: Path) -> None:
        self.put(DigestCache(tmp_path / "digests"), old, "0" * 64)
        assert found(old, DigestCache(tmp_path / "digests")).digest == "0" * 64
        assert found(old).digest == sha256_hex(old.read_bytes())

    def test_a_change_of_the_same_size_is_noticed(self, old: Path, tmp_path: Path) -> None:
        self.put(DigestCache(tmp_path / "digests"), old, "0" * 64)
        before = old.stat()
        with old.open("r+b") as file:
            file.write(b"other")
        os.utime(old, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
        assert found(old, DigestCache(tmp_path / "digests")).digest == sha256_hex(old.read_bytes())

    def test_a_file_that_has_just_been_written_is_not_remembered(self, old: Path, tmp_path: Path) -> None:
        cache = DigestCache(tmp_path / "digests")
        assert found(old, cache).digest == sha256_hex(old.read_bytes())
        assert not (tmp_path / "digests").exists()

    def test_torn_and_foreign_lines_do_no_harm(self, old: Path, tmp_path: Path) -> None:
        (tmp_path / "digests").write_bytes(b"\xff\x00 torn\n1 2 3\n" + DigestCache.key(old.stat()).encode() + b" 0000")
        assert found(old, DigestCache(tmp_path / "digests")).digest == sha256_hex(old.read_bytes())
        self.put(DigestCache(tmp_path / "missing" / "digests"), old, "1" * 64)
        assert found(old, DigestCache(tmp_path / "missing" / "digests")).digest == "1" * 64

    def test_a_directory_that_cannot_be_written_does_no_harm(self, old: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        cache = DigestCache(tmp_path / "file" / "digests")
        self.put(cache, old, "1" * 64)
        assert found(old, cache).digest in (sha256_hex(old.read_bytes()), "1" * 64)

    def test_the_cache_can_be_switched_off(self, old: Path, data_dir: Path) -> None:
        data_dir.mkdir()
        self.put(DigestCache(data_dir / "digests"), old, "0" * 64)
        with runstream.init(settings={"dataset_cache": False}) as run:
            told = run.log_dataset(old)
        assert told is not None
        assert told.digest == sha256_hex(old.read_bytes())


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "x.bin").write_bytes(b"abc" * 1000)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "served"))

        def log_message(self, *arguments: object) -> None:
            pass

    with socketserver.TCPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/x.bin"
        server.shutdown()
        thread.join()


def test_what_an_address_serves_is_read_as_a_stream(address: str) -> None:
    told = found(address)
    assert (told.kind, told.digest, told.size) == ("uri", sha256_hex(b"abc" * 1000), 3000)
    with pytest.raises(OSError, match="404"):
        found(address + "none")


def test_an_answer_that_ends_early_has_no_digest() -> None:
    def answer(listening: socket.socket) -> None:
        with listening.accept()[0] as client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        with pytest.raises(OSError, match="ended after 3 of 10 bytes"):
            found(f"http://127.0.0.1:{listening.getsockname()[1]}/x")
        thread.join()


def test_an_object_of_s3_is_read_with_the_keys_of_the_store(bucket: str, held: Callable[..., Any]) -> None:
    store = open_store(bucket)
    store.put_bytes("data/train.bin", b"abc" * 1000)
    of = urlsplit(bucket).path.strip("/")
    with runstream.init(settings={"s3": bucket}) as run:
        whole = run.log_dataset({"train": f"s3://{of}/data/train.bin"}, name="parts")
        one = run.log_dataset(f"s3://{of}/data/trai%6e.bin")
        assert run.log_dataset(f"s3://{of}/none") is None
    assert one is not None
    assert (one.kind, one.digest, one.size) == ("uri", sha256_hex(b"abc" * 1000), 3000)
    assert whole is not None
    assert whole.size == 3000
    assert [event["name"] for event in held(run).of("DatasetLogged")] == ["parts", one.name]


@pytest.mark.parametrize(
    ("address", "remedy"), [("gs://bucket/x", "fsspec"), ("s3://bucket/x", "RUNSTREAM_S3"), ("abc9://x", "the path")]
)
def test_an_address_that_nobody_here_reads_is_refused_with_a_remedy(address: str, remedy: str, caplog: Any) -> None:
    with runstream.init() as run:
        assert run.log_dataset(address) is None
    assert remedy in caplog.text


def test_large_directories_are_read_side_by_side_to_the_same_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        (tmp_path / f"{number}.bin").write_bytes(bytes([number]) * 100_000)
    expected = digest(tmp_path)
    monkeypatch.setattr("runstream.datasets.files.THREADS_FROM_BYTES", 1)
    assert digest(tmp_path) == expected
