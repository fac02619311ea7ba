"""Constants as people write them: numbers, dates, durations, words."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from runstream_storage.errors import FilterError
from runstream_storage.filters.terms import Value

SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
NUMBER = re.compile(r"[+-]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)(e[+-]?\d+)?", re.IGNORECASE)
SPECIAL = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
DURATION = re.compile(r"([+-]?)(\d+(?:\.\d+)?)(ms|s|min|m|h|d|w)", re.IGNORECASE)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?")
RESERVED = {"and", "or", "not", "in", "is", "like", "ilike", "contains", "matches", "null", "none", "exists"}


def read_value(token: str, *, column: int, filter_text: str) -> Value:
    """The constant that `token`, one word or a quoted string, stands for; raises FilterError when it is none."""
    if token[0] in "\"'":
        return Value("text", unquote(token), token, column)
    lowered = token.lower()
    if lowered in RESERVED:
        raise FilterError(
            f"a value is missing before {token!r}",
            text=filter_text,
            column=column,
            hint='Quote it if it is one: "and".',
        )
    if lowered in {"true", "false"}:
        return Value("bool", lowered == "true", token, column)
    if SPECIAL.fullmatch(token):
        return Value("number", float(lowered), token, column)
    if NUMBER.fullmatch(token):
        return Value("number", float(token.replace("_", "")), token, column)
    duration = DURATION.fullmatch(token)
    if duration:
        sign, amount, unit = duration.groups()
        seconds = float(amount) * SECONDS[unit.lower()]
        return Value("age" if sign == "-" else "duration", seconds, token, column)
    if DATE.fullmatch(token):
        return Value("date", read_date(token, column=column, filter_text=filter_text), token, column)
    if re.match(r"(config|params|summary)\.", token, re.IGNORECASE):
        raise FilterError(
            "two columns cannot be compared",
            text=filter_text,
            column=column,
            hint=f'Compare with a value; a text that looks like a column needs quotes: "{token}".',
        )
    return Value("text", token, token, column)


def read_date(token: str, *, column: int, filter_text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 date or time; UTC when it names no zone."""
    if not DATE.fullmatch(token):
        raise FilterError(
            f"{token!r} is no date", text=filter_text, column=column, hint="Write 2026-01-31, 2026-01-31T12:00 or -7d."
        )
    try:
        moment = datetime.fromisoformat(token)
    except ValueError as error:
        raise FilterError(f"{token!r} is no date: {error}", text=filter_text, column=column) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def unquote(token: str) -> str:
    r"""The text between the quotes. A backslash before a quote or a backslash goes away; \d of a pattern stays."""
    return re.sub(r"\\([\\\"'])", r"\1", token[1:-1])


def quote(text: str) -> str:
    """`text` in double quotes, as `unquote` reads it back."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
