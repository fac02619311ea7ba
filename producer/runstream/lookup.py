"""Questions to the database over ClickHouse's HTTP interface, for resume and for artifacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runstream.errors import LookupFailed
from runstream.identity import process_lives
from runstream.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def up_state(up_file: Path) -> dict[str, Any]:
    """What a running `runstream up` says of itself (`sql_url`, `ui_url`, …); empty when none runs."""
    try:
        state = json.loads(up_file.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(state, dict) or not process_lives(int(state.get("pid", 0)), int(state.get("process_start", 0))):
        return {}  # left behind by one that was killed
    return state


def database_url(settings: Settings) -> str | None:
    """Where to ask: RUNSTREAM_CLICKHOUSE, else the `runstream up` of this data directory, else None."""
    return settings.clickhouse or up_state(settings.up_file).get("sql_url") or None


def ask(url: str, sql: str, parameters: dict[str, str], timeout_s: float) -> list[dict[str, Any]]:
    """The rows of `sql` with `{name:Type}` parameters, as dicts. Raises LookupFailed."""
    import urllib.error
    import urllib.parse
    import urllib.request
    from http.client import HTTPException

    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    where = f"{parts.scheme}://{host}:{parts.port}" if parts.port else f"{parts.scheme}://{host}"
    query = {"default_format": "JSON", "output_format_json_quote_64bit_integers": "0"}
    query["database"] = parts.path.strip("/") or "runstream"
    query.update({f"param_{name}": value for name, value in parameters.items()})
    request = urllib.request.Request(  # noqa: S310 - http(s) only, checked below
        f"{where}/?{urllib.parse.urlencode(query)}", data=sql.encode(), method="POST"
    )
    if parts.scheme not in ("http", "https"):
        raise LookupFailed(where, "not an http(s) URL")
    if parts.username:
        request.add_header("X-ClickHouse-User", urllib.parse.unquote(parts.username))
        request.add_header("X-ClickHouse-Key", urllib.parse.unquote(parts.password or ""))
    proxies = [urllib.request.ProxyHandler({})] if host in LOOPBACK else []
    try:
        with urllib.request.build_opener(*proxies).open(request, timeout=timeout_s) as response:
            rows = json.loads(response.read())["data"]
    except urllib.error.HTTPError as error:
        with error:
            reason = error.read(300).decode("utf-8", "replace").strip() or str(error)
        raise LookupFailed(where, reason) from None
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        raise LookupFailed(where, f"{type(error).__name__}: {error}") from None
    return rows if isinstance(rows, list) else []
