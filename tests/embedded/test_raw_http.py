"""What curl, JDBC drivers and Grafana send and expect, without a client library in between."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib

import httpx
import lz4.block
import lz4.frame
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clickhouse_cityhash.cityhash import CityHash128

from runstream_deploy.embedded import framing
from runstream_deploy.embedded.coding import zstd
from runstream_deploy.embedded.errors import QueryError

SERIES = "SELECT number AS n, toString(number) AS s FROM numbers(3)"


def test_ping_and_the_bare_address_answer_ok(server):
    for path in ("/ping", "/replicas_status", "/"):
        answer = httpx.get(server.base + path)
        assert (answer.status_code, answer.text) == (200, "Ok.\n")


def test_a_query_may_come_in_the_address_the_body_or_both(server):
    assert httpx.get(server.base, params={"query": "SELECT 1"}).text == "1\n"
    assert httpx.post(server.base, content="SELECT 2").text == "2\n"
    assert httpx.post(server.base, params={"query": "SELECT 3"}).text == "3\n"
    assert httpx.post(server.base, params={"query": "SELECT number"}, content="FROM numbers(4, 1)").text == "4\n"


def test_curl_s_form_content_type_does_not_matter(server):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert httpx.post(server.base, content="SELECT 'a+b&c=d'", headers=headers).text == "a+b&c=d\n"


def test_a_multipart_form_carries_query_and_parameters(server):
    files = {"query": (None, "SELECT {x:String}"), "param_x": (None, "ü" * 10_000)}
    assert httpx.post(server.base, files=files).text == "ü" * 10_000 + "\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TabSeparated", b"0\t0\n1\t1\n2\t2\n"),
        ("TSVWithNames", b"n\ts\n0\t0\n1\t1\n2\t2\n"),
        ("CSV", b'0,"0"\n1,"1"\n2,"2"\n'),
        ("CSVWithNames", b'"n","s"\n0,"0"\n1,"1"\n2,"2"\n'),
        ("JSONEachRow", b'{"n":0,"s":"0"}\n{"n":1,"s":"1"}\n{"n":2,"s":"2"}\n'),
        ("RowBinary", b"".join(struct.pack("<Q", n) + b"\x01" + b"%d" % n for n in range(3))),
        ("Values", b"(0,'0'),(1,'1'),(2,'2')"),
        ("Null", b""),
    ],
)
def test_formats_are_written_byte_for_byte(server, name, expected):
    for sql, parameters in ((f"{SERIES} FORMAT {name}", {}), (SERIES, {"default_format": name})):
        answer = server.post(sql, reader=True, **parameters)
        assert answer.headers["X-ClickHouse-Format"] == name
        assert answer.content == expected


def test_json_formats_describe_their_columns(server):
    document = server.post(f"{SERIES} FORMAT JSON", reader=True).json()
    assert document["meta"] == [{"name": "n", "type": "UInt64"}, {"name": "s", "type": "String"}]
    assert document["data"] == [{"n": n, "s": str(n)} for n in range(3)]
    assert server.post(f"{SERIES} FORMAT JSONCompact", reader=True).json()["data"] == [[n, str(n)] for n in range(3)]


def test_arrow_and_parquet_can_be_read_back(server):
    many = "SELECT number AS n FROM numbers(300000)"
    arrow = pa.ipc.open_file(server.post(f"{many} FORMAT Arrow", reader=True).content).read_all()
    stream = pa.ipc.open_stream(server.post(f"{many} FORMAT ArrowStream", reader=True).content).read_all()
    parquet = pq.read_table(pa.BufferReader(server.post(f"{many} FORMAT Parquet", reader=True).content))
    assert [table.num_rows for table in (arrow, stream, parquet)] == [300_000] * 3
    assert arrow["n"].to_pylist()[-1] == 299_999


def test_row_binary_with_names_and_types_has_one_head(server):
    body = server.post("SELECT number AS n FROM numbers(200000) FORMAT RowBinaryWithNamesAndTypes", reader=True).content
    assert body.startswith(b"\x01\x01n\x06UInt64")
    assert len(body) == 10 + 200_000 * 8


def test_an_answer_tells_format_query_id_time_zone_and_counts(server):
    answer = server.post("SELECT count() FROM system.one", reader=True, query_id="mine-1")
    assert answer.headers["X-ClickHouse-Query-Id"] == "mine-1"
    assert answer.headers["X-ClickHouse-Format"] == "TabSeparated"
    assert answer.headers["X-ClickHouse-Timezone"]
    assert answer.headers["X-ClickHouse-Server-Display-Name"]
    summary = json.loads(answer.headers["X-ClickHouse-Summary"])
    assert int(summary["read_rows"]) == 1
    assert int(summary["result_rows"]) == 1


@pytest.mark.parametrize("database", ["parameter", "header", "path"])
def test_the_database_of_a_request_is_used(server, database_name, database):
    server.post(f"CREATE TABLE {database_name}.here (a UInt8) ENGINE = Memory").raise_for_status()
    parameters = {"database": database_name} if database == "parameter" else {}
    headers = {"X-ClickHouse-Database": database_name} if database == "header" else {}
    address = f"{server.base}/{database_name}" if database == "path" else server.base
    answer = httpx.post(address, content="SHOW TABLES", params=parameters, headers=headers)
    assert answer.text == "here\n"


def test_parameters_are_unescaped_as_clickhouse_does(server):
    answer = server.post("SELECT {a:String}, {b:UInt8}", reader=True, param_a=r"tab\there", param_b="7")
    assert answer.text == "tab\\there\t7\n"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "lz4"])
def test_answers_are_coded_as_the_client_accepts(server, coding):
    sql = "SELECT number FROM numbers(400000)"
    plain = server.post(sql, reader=True).content
    with httpx.stream("POST", server.base, content=sql, headers={"Accept-Encoding": coding}) as answer:
        assert answer.headers["Content-Encoding"] == coding
        packed = b"".join(answer.iter_raw())
    unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress, "zstd": zstd.decompress, "lz4": lz4.frame.decompress}
    assert len(packed) < len(plain)
    assert unpack[coding](packed) == plain


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "lz4"])
def test_bodies_are_decoded_as_they_say(server, coding):
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress, "lz4": lz4.frame.compress}[coding]
    headers = {"Content-Encoding": coding}
    two_frames = pack(b"SELECT") + pack(b" 5")
    assert httpx.post(server.base, content=two_frames, headers=headers).text == "5\n"
    cut = httpx.post(server.base, content=pack(b"SELECT 'a long enough statement'")[:-5], headers=headers)
    assert cut.headers["X-ClickHouse-Exception-Code"] == "32"
    assert httpx.post(server.base, content=b"SELECT 1", headers=headers).headers["X-ClickHouse-Exception-Code"] == "271"


def test_a_small_body_cannot_unpack_into_all_memory(server):
    bomb = zstd.compress(b"SELECT '" + b"a" * (256 << 20))
    assert len(bomb) < 100_000
    answer = httpx.post(server.base, content=bomb, headers={"Content-Encoding": "zstd"}, timeout=60)
    assert answer.headers["X-ClickHouse-Exception-Code"] == "223"
    lie = bytearray(framing.pack(b"SELECT 1"))
    lie[21:25] = (1 << 27).to_bytes(4, "little")
    with pytest.raises(QueryError) as raised:
        list(framing.Unpacker().feed(bytes(lie)))
    assert raised.value.code == 271


def test_a_query_id_that_is_no_header_is_replaced(server):
    answer = server.post("SELECT 1", reader=True, query_id="a\r\nX-Evil: 1")
    assert answer.status_code == 200
    assert "X-Evil" not in answer.headers


def test_native_compression_is_spoken_in_both_directions(server, database_name):
    table = f"{database_name}.packed"
    server.post(f"CREATE TABLE {table} (a UInt64) ENGINE = MergeTree ORDER BY a").raise_for_status()
    rows = b"".join(b"%d\n" % n for n in range(400_000))
    insert = f"INSERT INTO {table} FORMAT TSV"
    server.post(framing.pack(rows), query=insert, decompress="1").raise_for_status()
    answer = server.post(f"SELECT a FROM {table} ORDER BY a", compress="1")
    assert "Content-Encoding" not in answer.headers
    packed = answer.content
    assert len(packed) < len(rows)
    unpacker = framing.Unpacker()
    assert b"".join(unpacker.feed(packed)) == rows
    unpacker.close()


def test_a_native_block_is_laid_out_as_documented():
    data = b"runstream " * 100
    block = framing.pack(data)
    checksum, method, packed_bytes, plain_bytes = struct.unpack_from("<16sBII", block)
    assert (method, packed_bytes, plain_bytes) == (0x82, len(block) - 16, len(data))
    assert int.from_bytes(checksum[:8], "little") == CityHash128(block[16:]) >> 64
    assert lz4.block.decompress(block[25:], uncompressed_size=plain_bytes) == data


def test_the_checksum_is_the_one_that_other_clients_write():
    # Not compressed (method 0x02); clickhouse-go 2.40 accepts what has this checksum.
    block = bytes.fromhex("255b8b344e1231fd7cbf56106a6f573f02120000000900000072756e73747265616d")
    assert b"".join(framing.Unpacker().feed(block)) == b"runstream"


def test_a_damaged_native_block_is_refused():
    block = bytearray(framing.pack(b"runstream " * 100))
    block[40] ^= 1
    with pytest.raises(QueryError) as raised:
        list(framing.Unpacker().feed(bytes(block)))
    assert raised.value.code == 40


@pytest.mark.parametrize(
    ("sql", "status", "code", "name"),
    [
        ("SELEC 1", 400, 62, "SYNTAX_ERROR"),
        ("", 400, 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 400, 62, "SYNTAX_ERROR"),
        ("SELECT * FROM nowhere", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT nothing", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT nofunction(1)", 404, 46, "UNKNOWN_FUNCTION"),
        ("SELECT 1 FORMAT Nope", 404, 73, "UNKNOWN_FORMAT"),
        ("SELECT 1 SETTINGS nope = 1", 404, 115, "UNKNOWN_SETTING"),
        ("SELECT toUInt8('x')", 400, 6, "CANNOT_PARSE_TEXT"),
        ("SELECT {x:UInt8}", 400, 456, "UNKNOWN_QUERY_PARAMETER"),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", 500, 344, "SUPPORT_IS_DISABLED"),
        ("SET max_threads = 1", 500, 344, "SUPPORT_IS_DISABLED"),
    ],
)
def test_errors_have_the_status_code_and_text_of_clickhouse(server, sql, status, code, name):
    answer = server.post(sql)
    assert answer.status_code == status
    assert answer.headers["X-ClickHouse-Exception-Code"] == str(code)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert f"({name}) (version " in answer.text


def test_unknown_settings_and_databases_in_the_address_are_told(server):
    assert server.post("SELECT 1", nope="1").headers["X-ClickHouse-Exception-Code"] == "115"
    assert server.post("SELECT 1", database="nope").headers["X-ClickHouse-Exception-Code"] == "81"
    assert server.post("SELECT 1", max_threads="many").status_code == 400
    assert server.post("SELECT 1", **{"max_threads = 1, readonly": "0"}).headers["X-ClickHouse-Exception-Code"] == "115"


def test_an_error_after_the_first_byte_cuts_the_answer_short(server):
    sql = "SELECT number, throwIf(number = 2000000, 'late') FROM numbers(3000000) SETTINGS max_block_size = 1000"
    received: list[bytes] = []
    with (
        httpx.stream("POST", server.base, content=sql, headers={"Accept-Encoding": "identity"}) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        received.extend(answer.iter_raw())
    assert answer.status_code == 200
    tag = answer.headers["X-ClickHouse-Exception-Tag"]
    assert f"__exception__\r\n{tag}\r\nCode: 395. DB::Exception: late" in b"".join(received).decode()


def test_waiting_for_the_end_turns_a_late_error_into_a_status(server):
    sql = "SELECT number, throwIf(number = 2000000, 'late') FROM numbers(3000000) SETTINGS max_block_size = 1000"
    answer = server.post(sql, wait_end_of_query="1")
    assert answer.status_code == 500
    assert answer.headers["X-ClickHouse-Exception-Code"] == "395"


def credentials(user: str, password: str, way: str) -> dict:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {
        "basic": {"headers": {"Authorization": f"Basic {token}"}},
        "headers": {"headers": {"X-ClickHouse-User": user.encode(), "X-ClickHouse-Key": password.encode()}},
        "parameters": {"params": {"user": user, "password": password}},
    }[way]


@pytest.mark.parametrize("way", ["basic", "headers", "parameters"])
def test_each_way_to_log_in_works(server, way):
    create = "CREATE TABLE IF NOT EXISTS default.login (a UInt8) ENGINE = Memory"
    owner = credentials("runstream", "o-w:n/e r", way)
    assert httpx.post(server.base, content=create, **owner).status_code == 200
    assert httpx.post(server.base, content="SELECT 1", **credentials("reader", "", way)).status_code == 200
    for user, password in (("runstream", ""), ("runstream", "wrong"), ("reader", "x"), ("nobody", ""), ("ünï", "ü")):
        refused = httpx.post(server.base, content="SELECT 1", **credentials(user, password, way))
        assert refused.status_code == 403
        assert refused.headers["X-ClickHouse-Exception-Code"] == "516"


@pytest.mark.parametrize("value", ["Basic !!!", "Bearer abc", "Basic /w=="])
def test_a_broken_login_header_is_refused(server, value):
    assert httpx.get(server.base, params={"query": "SELECT 1"}, headers={"Authorization": value}).status_code == 403


def test_a_foreign_host_name_is_refused_so_that_no_page_can_rebind_to_us(server):
    assert httpx.get(server.base + "/?query=SELECT+1", headers={"Host": "evil.example"}).status_code == 400
    assert httpx.get(server.base + "/?query=SELECT+1", headers={"Host": f"localhost:{server.port}"}).text == "1\n"


def test_a_get_never_writes_even_for_the_owner(server):
    query = {"query": "CREATE TABLE default.by_get (a UInt8) ENGINE = Memory"}
    answer = httpx.get(server.base, params=query, auth=("runstream", "o-w:n/e r"))
    assert answer.headers["X-ClickHouse-Exception-Code"] == "164"


@pytest.mark.parametrize(
    ("head", "data"),
    [
        ("INSERT INTO {t} FORMAT TSV", b"1\ta;b\n2\t'\n"),
        ("INSERT INTO {t} (a, b) FORMAT CSV", b'1,"a;b"\n2,\'\n'),
        ("INSERT INTO {t} FORMAT JSONEachRow", b'{"a":1,"b":"a;b"}\n{"a":2,"b":"\'"}\n'),
        ("INSERT INTO {t} (a, b) VALUES", b" (1, 'a;b'), (1 + 1, '\\'')"),
        ("INSERT INTO {t} SETTINGS insert_deduplicate = 1 FORMAT TSV", b"1\ta;b\n2\t'\n"),
        ("INSERT INTO {t} -- FORMAT CSV\n FORMAT /* here */ TSV", b"1\ta;b\n2\t'\n"),
    ],
)
@pytest.mark.parametrize("place", ["body", "address"])
def test_inserts_take_their_data_inline_or_as_the_body(server, database_name, head, data, place):
    table = f"{database_name}.inserted"
    server.post(f"CREATE TABLE {table} (a UInt64, b String) ENGINE = MergeTree ORDER BY a").raise_for_status()
    sql = head.format(t=table)
    answer = server.post(sql.encode() + b"\n" + data) if place == "body" else server.post(data, query=sql)
    answer.raise_for_status()
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    assert server.post(f"SELECT * FROM {table} ORDER BY a FORMAT CSV").text == '1,"a;b"\n2,"\'"\n'


def test_a_bad_row_fails_the_insert_with_its_place(server, database_name):
    table = f"{database_name}.strict"
    server.post(f"CREATE TABLE {table} (a UInt64) ENGINE = MergeTree ORDER BY a").raise_for_status()
    answer = server.post(f"INSERT INTO {table} FORMAT TSV\n1\nx\n")
    assert answer.status_code == 400
    assert answer.headers["X-ClickHouse-Exception-Code"] == "27"
    assert server.post(f"SELECT count() FROM {table}").text == "0\n"


@pytest.mark.parametrize(
    "table",
    [
        "(a Int64, CONSTRAINT small CHECK a < 10) ENGINE = MergeTree ORDER BY a",
        "(a Int64) ENGINE = MergeTree ORDER BY a SETTINGS min_free_disk_bytes_to_perform_insert = 1000000000000000",
    ],
    ids=["constraint", "disk"],
)
def test_rows_that_were_not_stored_are_never_acknowledged(server, database_name, table):
    server.post(f"CREATE TABLE {database_name}.t {table}").raise_for_status()
    answer = server.post("1\n50\n", query=f"INSERT INTO {database_name}.t FORMAT TSV")
    assert answer.status_code >= 400, answer.text
    assert answer.headers["X-ClickHouse-Exception-Code"] in ("469", "243")
    assert server.post(f"SELECT count() FROM {database_name}.t").text == "0\n"


def test_rows_that_a_view_cannot_take_are_never_acknowledged(server, database_name):
    statements = (
        "CREATE TABLE {d}.t (a Int64) ENGINE = MergeTree ORDER BY a",
        "CREATE TABLE {d}.u (a Int64) ENGINE = MergeTree ORDER BY a",
        "CREATE MATERIALIZED VIEW {d}.v TO {d}.u AS SELECT throwIf(a = 50) + a AS a FROM {d}.t",
    )
    for statement in statements:
        server.post(statement.format(d=database_name)).raise_for_status()
    answer = server.post("1\n50\n", query=f"INSERT INTO {database_name}.t FORMAT TSV")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "395"


def test_invalid_utf8_in_a_statement_is_carried_for_the_owner_and_told_to_a_reader(server):
    assert server.post(b"SELECT hex('\xff')").text == "FF\n"
    assert server.post(b"SELECT hex('\xff')", reader=True).status_code == 400
