"""One HTTP request in ClickHouse's protocol, read into what the engine needs.

https://clickhouse.com/docs/interfaces/http: the statement is the `query` parameter and then the body; `param_<name>`
are query parameters; `database`, `default_format`, … are the protocol's; every other parameter is a setting.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from runstream_deploy.embedded.access import Accounts, User

OF_THE_PROTOCOL = frozenset(
    {"query", "database", "default_format", "query_id", "user", "password", "quota_key", "role", "stacktrace"}
    | {"session_id", "session_timeout", "session_check", "close_session", "client_protocol_version"}
    | {"compress", "decompress", "wait_end_of_query", "buffer_size", "enable_http_compression"}
    | {"send_progress_in_http_headers", "http_headers_progress_interval_ms", "http_zlib_compression_level"}
    | {"cancel_http_readonly_queries_on_client_close"}
)
"""Parameters that this endpoint takes itself or has no use for; the engine would not know some of them."""


PRINTABLE = re.compile(r"[!-~]{1,256}")


@dataclass(slots=True)
class Request:
    user: User
    query: bytes
    """From the URL; the body continues it."""
    query_id: str
    database: str
    """Empty where neither a parameter nor a header names one."""
    default_format: str
    parameters: dict[str, str]
    settings: dict[str, str]
    is_get: bool
    packs_answer: bool
    packed_body: bool
    waits: bool
    revision: int
    """`client_protocol_version`, 0 for none."""
    accepts: str
    body_coding: str

    @classmethod
    def read(
        cls, accounts: Accounts, method: str, query_string: bytes, headers: Mapping[str, str], fields: Mapping[str, str]
    ) -> Request:
        """`headers` have lower-case names; `fields` are those of a form body. Raises QueryError 516."""
        values = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, errors="surrogateescape"))
        values.update(fields)
        return cls(
            user=accounts.user(headers, values),
            query=values.get("query", "").encode("utf-8", "surrogateescape"),
            query_id=_query_id(values.get("query_id") or headers.get("x-clickhouse-query-id", "")),
            database=values.get("database") or headers.get("x-clickhouse-database", ""),
            default_format=values.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated",
            parameters={name[6:]: value for name, value in values.items() if name.startswith("param_")},
            settings={
                name: value
                for name, value in values.items()
                if name not in OF_THE_PROTOCOL and not name.startswith("param_")
            },
            is_get=method in ("GET", "HEAD"),
            packs_answer=_is_true(values.get("compress")),
            packed_body=_is_true(values.get("decompress")),
            revision=_revision(values.get("client_protocol_version", "")),
            waits=_is_true(values.get("wait_end_of_query")),
            accepts=headers.get("accept-encoding", "") if _is_true(values.get("enable_http_compression", "1")) else "",
            body_coding=headers.get("content-encoding", ""),
        )


def _query_id(given: str) -> str:
    """As given, unless it cannot be sent back in a header."""
    return given if PRINTABLE.fullmatch(given) else secrets.token_hex(16)


def _revision(given: str) -> int:
    return int(given) if given.isdecimal() and len(given) < 10 else 0


def _is_true(value: str | None) -> bool:
    return value is not None and value.lower() in ("1", "true", "yes", "on")
