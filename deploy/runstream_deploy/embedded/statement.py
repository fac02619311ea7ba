"""What the endpoint must know of a statement before the engine sees it: kind, format, and where inline data starts.

The engine parses SQL; this module only splits it into tokens, by ClickHouse's own lexical rules
(https://clickhouse.com/docs/sql-reference/syntax): quoted strings with backslash escapes, comments by `--`, `# ` and
`/*`, heredocs. Whatever this lexer would read differently from the engine (typographic quotes, NUL) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runstream_deploy.embedded.errors import QueryError

TOKEN = re.compile(
    rb"""
    (?P<space>[\s]+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
  | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
  | (?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
  | (?P<string>'(?:[^'\\]|\\.|'')*')
  | (?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
  | (?P<number>[0-9][A-Za-z0-9_]*)
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<refused>\x00|\xe2\x80[\x98\x99\x9c\x9d])
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
INLINE_DATA = re.compile(rb"[ \t\f]*\r?\n?")
READING = frozenset({"select", "with", "show", "describe", "desc", "explain", "exists", "from", "("})
WITH_RESULT = READING | {"check", "kill", "optimize"}
SELECTING = frozenset({"select", "with", "from", "("})
"""What the engine can answer piece by piece."""
SESSION = frozenset({"set", "use"})
OF_THE_HOST = frozenset({"file", "python", "eval"})
"""Functions that reach files or objects of this process and that no grant of the engine covers."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    start: int
    end: int
    depth: int


@dataclass(frozen=True, slots=True)
class Statement:
    """`kind` is its first word in lower case, `format` its FORMAT clause. An insert of inline data has `data_at`, where
    the data begins, `head_end`, where the words before `FORMAT name` or `VALUES` end, and `target_end`, where table and
    columns end: at a SETTINGS clause, or at `head_end`."""

    sql: bytes
    kind: str
    format: str | None = None
    head_end: int = 0
    data_at: int | None = None
    target_end: int = 0

    @property
    def has_result(self) -> bool:
        return self.kind in WITH_RESULT


def tokens(sql: bytes) -> Iterator[Token]:
    """The tokens of `sql` without blanks and comments, lazily: what follows the last one taken is never looked at."""
    depth, position = 0, 0
    while found := TOKEN.match(sql, position):
        kind, position = found.lastgroup or "", found.end()
        if kind == "tag":
            kind = "heredoc"
        if kind == "space":
            continue
        if kind == "refused":
            raise QueryError(
                62, "SYNTAX_ERROR", f"Syntax error at byte {found.start()}: use plain quotes ' and no NUL."
            )
        raw = found.group()
        if kind == "close":
            depth = max(depth - 1, 0)
        if kind == "quoted":
            raw = re.sub(rb"\\(.)", rb"\1", raw[1:-1].replace(raw[:1] * 2, raw[:1]))
        yield Token(kind, raw.decode("utf-8", "replace"), found.start(), found.end(), depth)
        if kind == "open":
            depth += 1


def parse(sql: bytes) -> Statement:
    """Reads `sql` up to inline data. Raises QueryError 62 for an empty text or several statements, 344 for files."""
    kind, before, before_start, format_name = "", "", 0, None
    settings_at = 0
    stream = tokens(sql)
    for token in stream:
        word = token.text.lower() if token.kind in ("word", "open") else ""
        at_top = token.depth == 0
        if not kind:
            kind = word or token.text
        elif token.text == ";" and at_top:
            if any(other.text != ";" for other in stream):
                raise QueryError(62, "SYNTAX_ERROR", "Multi-statements are not allowed: send one statement a request.")
            break
        elif word == "outfile" and before == "into":
            raise QueryError(
                344, "SUPPORT_IS_DISABLED", "INTO OUTFILE is not allowed over HTTP: the answer is the response."
            )
        elif kind == "insert" and word == "infile" and before == "from":
            raise QueryError(344, "SUPPORT_IS_DISABLED", "FROM INFILE is not allowed over HTTP: the data is the body.")
        elif kind == "insert" and at_top and word == "settings":
            settings_at = token.start
        elif kind == "insert" and at_top and word in ("select", "with"):
            kind = "insert select"
        elif kind == "insert" and at_top and word == "values" and before != "format":
            return Statement(sql, kind, "Values", token.start, token.end, settings_at or token.start)
        elif before == "format" and token.kind == "word" and at_top:
            format_name = token.text
            if kind == "insert":
                data_at = INLINE_DATA.match(sql, token.end).end()  # type: ignore[union-attr]
                return Statement(sql, kind, format_name, before_start, data_at, settings_at or before_start)
        elif format_name and word not in ("", "settings", "into") and before == format_name.lower():
            format_name = None  # `format` was a name and no clause: select format from …
        before, before_start = word, token.start
    if not kind:
        raise QueryError(62, "SYNTAX_ERROR", "Syntax error: Empty query.")
    return Statement(sql, kind, format_name)


def check_reading(sql: bytes) -> None:
    """Refuses what a reader may not send and no grant of the engine stops. Raises QueryError 164 or 497."""
    kind, before = "", ""
    for token in tokens(sql):
        text = token.text.lower()
        kind = kind or text
        if kind not in READING:
            raise QueryError(
                164,
                "READONLY",
                f"Cannot execute {kind.upper()[:40]} in readonly mode: use SELECT, SHOW, DESCRIBE or EXPLAIN.",
            )
        if token.kind in ("word", "quoted") and text in OF_THE_HOST and before not in (".", "as"):
            raise QueryError(
                497,
                "ACCESS_DENIED",
                f"Not enough privileges: `{text}` reaches into the host and is closed to readers "
                f"(for a column of that name write t.{text}).",
            )
        before = text
