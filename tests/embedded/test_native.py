"""Blocks for Go clients: each type's data is as long as `native` believes."""

from __future__ import annotations

import pytest

from runstream_deploy.embedded.errors import QueryError
from runstream_deploy.embedded.native import BLOCK_INFO, in_revision

VALUES = {
    "integers": "toUInt8(n), toInt16(n), toUInt32(n), toInt64(n), toInt128(n), toUInt256(n)",
    "floats": "n / 3, toFloat32(n), toBFloat16(n)",
    "decimals": "toDecimal32(n, 2), toDecimal64(n, 4), toDecimal128(n, 10), toDecimal256(n, 20)",
    "times": "toDate(n), toDate32(n), toDateTime(n, 'UTC'), toDateTime64(n, 6), toIntervalDay(n)",
    "others": "generateUUIDv4(), toIPv4(n), toIPv6('::1'), n % 2 = 0",
    "enumerations": "CAST(n % 2, 'Enum8(\\'a, b\\' = 0, \\'c(\\' = 1)')",
    "texts": "repeat('ü', n % 300), toFixedString(toString(n % 10), 7)",
    "nullables": "if(n % 2, NULL, n), if(n % 3, NULL, toString(n)), NULL",
    "arrays": "range(n % 5), [[toString(n)], []], arrayMap(x -> if(x % 2, NULL, x), range(n % 4)), []",
    "tuples": "(n, toString(n)), CAST((n, [n]), 'Tuple(`a (b` UInt64, c Array(UInt64))'), tuple()",
    "maps": "map('a', n, 'b', n), CAST(map(), 'Map(String, Array(Nullable(Float64)))')",
    "low_cardinality": "toLowCardinality(toString(n % 700)), toLowCardinality(if(n % 2, NULL, 'x'))",
    "low_cardinality_inside": "[toLowCardinality(toString(n))], map(toLowCardinality('k'), n)",
    "empty_low_cardinality": "CAST([], 'Array(LowCardinality(String))'), CAST(map(), 'Map(String, UUID)')",
    "geometry": "CAST((n, n), 'Point'), CAST([(n, 1.)], 'Ring')",
}


@pytest.mark.parametrize("what", VALUES)
def test_columns_are_found_in_blocks_of_every_type(server, what):
    for rows in (1, 1000):
        sql = f"SELECT {VALUES[what]}, 'last' AS z FROM (SELECT number AS n FROM numbers({rows})) FORMAT Native"
        plain = server.post(sql, reader=True, allow_suspicious_low_cardinality_types="1")
        assert plain.status_code == 200, plain.text
        told = server.post(sql, reader=True, client_protocol_version="54460")
        written = told.content
        assert plain.content[0] == len(written) - len(plain.content) - len(BLOCK_INFO)  # a byte a column
        assert written.startswith(BLOCK_INFO + plain.content[:1])
        assert b"\x01z\x06String\x00\x04last" in written


def test_each_block_of_a_large_answer_has_its_info(server):
    written = server.post(
        "SELECT number FROM numbers(200000) FORMAT Native", reader=True, client_protocol_version="54460"
    ).content
    plain = server.post("SELECT number FROM numbers(200000) FORMAT Native", reader=True).content
    blocks = written.count(BLOCK_INFO + b"\x01")
    assert blocks > 1
    assert len(written) == len(plain) + blocks * (len(BLOCK_INFO) + 1)


def test_a_type_of_unknown_length_is_told_with_a_way_out():
    block = b"\x01\x01\x01a\x07Dynamic\x00"
    with pytest.raises(QueryError, match="toString") as raised:
        in_revision(block)
    assert raised.value.code == 48


def test_no_block_stays_none():
    assert in_revision(b"") == b""
