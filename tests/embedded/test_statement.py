from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_deploy.embedded.errors import QueryError
from runstream_deploy.embedded.statement import check_reading, parse, tokens


@pytest.mark.parametrize(
    ("sql", "kind", "name"),
    [
        (b"SELECT 1", "select", None),
        (b" -- x\n select 1 format JSON", "select", "JSON"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1", "select", "JSON"),
        (b"SELECT 1 SETTINGS a = 1 FORMAT CSV;", "select", "CSV"),
        (b"SELECT format FROM t", "select", None),
        (b"SELECT format FROM t FORMAT Native", "select", "Native"),
        (b"SELECT ' FORMAT TSV'", "select", None),
        (b"(SELECT 1)", "(", None),
        (b"INSERT INTO t SELECT 1 FORMAT Null", "insert select", "Null"),
        (b"INSERT INTO t WITH 1 AS x SELECT x", "insert select", None),
        (b"DROP TABLE t", "drop", None),
    ],
)
def test_kind_and_format_are_read(sql, kind, name):
    statement = parse(sql)
    assert (statement.kind, statement.format, statement.data_at) == (kind, name, None)


@pytest.mark.parametrize(
    ("sql", "head", "name", "data"),
    [
        (b"INSERT INTO t FORMAT TSV\n1\n", b"INSERT INTO t ", "TSV", b"1\n"),
        (b"INSERT INTO t (`a FORMAT b`) FORMAT CSV \r\n\n1", b"INSERT INTO t (`a FORMAT b`) ", "CSV", b"\n1"),
        (b"INSERT INTO t VALUES (1)", b"INSERT INTO t ", "Values", b" (1)"),
        (b"INSERT INTO t FORMAT Values (1)", b"INSERT INTO t ", "Values", b"(1)"),
        (b"INSERT INTO `values` VALUES", b"INSERT INTO `values` ", "Values", b""),
        (b"INSERT INTO t SETTINGS a = 1 FORMAT Native\n\x00;'", b"INSERT INTO t SETTINGS a = 1 ", "Native", b"\x00;'"),
    ],
)
def test_inline_data_begins_after_the_format(sql, head, name, data):
    statement = parse(sql)
    assert sql[: statement.head_end] == head
    assert statement.format == name
    assert sql[statement.data_at :] == data


@pytest.mark.parametrize(
    "sql", [b"", b"  ", b"-- only a comment", b"SELECT 1; SELECT 2", b"SELECT 1;/**/x", b"SELECT \x00"]
)
def test_what_is_not_one_statement_is_a_syntax_error(sql):
    with pytest.raises(QueryError) as raised:
        parse(sql)
    assert raised.value.code == 62


def test_closing_semicolons_are_allowed():
    assert parse(b"SELECT 1;; -- done").kind == "select"


@given(st.binary(max_size=200))
def test_every_byte_belongs_to_one_token_or_a_blank(sql):
    try:
        found = list(tokens(sql))
    except QueryError:
        return
    ends = [0, *(token.end for token in found)]
    assert all(before <= token.start < token.end for before, token in zip(ends, found, strict=False))


@given(
    st.text(alphabet=st.characters(exclude_characters="'\\\u2018\u2019\u201c\u201d\x00", codec="utf-8"), max_size=40)
)
def test_what_stands_in_a_string_is_never_taken_for_code(text):
    check_reading(f"SELECT '{text}; DROP TABLE x; file(1) INTO OUTFILE'".encode())


@pytest.mark.parametrize("name", ["file", "FILE", "`file`", '"File"', "python", "eval"])
@pytest.mark.parametrize("gap", ["", " ", "/* */", "\n"])
def test_a_function_of_the_host_is_found_in_any_spelling(name, gap):
    with pytest.raises(QueryError) as raised:
        check_reading(f"SELECT * FROM (SELECT {name}{gap}('x'))".encode())
    assert raised.value.code == 497
