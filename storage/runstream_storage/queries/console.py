"""Console lines: pages of them in order of time, and searches.

A process that wrote alone is read in order of its line numbers, which is the order of the table. Lines of several
processes are put in order of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from string import Template
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from runstream_storage.execution import EPOCH, ask, moment, rows, statement
from runstream_storage.queries.deletion import kept

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Stream = Literal["stdout", "stderr"]
STREAMS: dict[Stream, int] = {"stdout": 1, "stderr": 2}


class ConsolePlace(NamedTuple):
    """Where a line stands among those of its run: when it began (microseconds since 1970), its writer and number."""

    ts_us: int
    writer: int
    line: int


@dataclass(frozen=True, slots=True)
class ConsoleWriter:
    """A process that wrote `lines` lines, `errors` of them to stderr."""

    writer: int
    attempt: int
    rank: int
    lines: int
    errors: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """A line as it was last changed; `at` is when it began, `line` its number among those of its writer, from 0.

    `text` is without colours; `styles` has them, as `runstream.sgr.from_text` reads.
    """

    place: ConsolePlace
    at: datetime
    stream: Stream
    rank: int
    attempt: int
    text: str
    styles: str = ""

    @property
    def writer(self) -> int:
        return self.place.writer

    @property
    def line(self) -> int:
        return self.place.line


@dataclass(frozen=True, slots=True)
class ConsoleFilter:
    """Which lines: those of a rank, an attempt, a writer, a stream, and those that hold `search`; empty: all.

    `kind` says what `search` is: text in this very order; words, each whole and in any order, which is the quickest in
    long consoles; or a regular expression (RE2). None of them heeds case unless `case` is set.
    """

    search: str = ""
    kind: Literal["text", "words", "regex"] = "text"
    case: bool = False
    rank: int | None = None
    attempt: int | None = None
    writer: int | None = None
    stream: Stream | None = None


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """Lines in order of time. `more`: there are others further on in the direction that was asked for."""

    lines: list[ConsoleLine]
    more: bool


EVERYTHING = ConsoleFilter()


def console_writers(client: Client, project: str, run_id: str, *, include_deleted: bool = False) -> list[ConsoleWriter]:
    """The processes whose consoles were kept, the newest attempt and the lowest rank first."""
    if not kept(client, project, [run_id], include_deleted=include_deleted):
        return []
    return [
        ConsoleWriter(writer, attempt, rank, lines, errors, moment(first_us), moment(last_us))
        for writer, attempt, rank, lines, errors, first_us, last_us in rows(
            client, "console_writers", project=project, run_id=run_id
        )
    ]


def console(
    client: Client,
    project: str,
    run_id: str,
    *,
    filter: ConsoleFilter = EVERYTHING,
    after: ConsolePlace | datetime | None = None,
    before: ConsolePlace | datetime | None = None,
    first: bool = False,
    limit: int = 500,
    include_deleted: bool = False,
) -> ConsolePage:
    """A page of lines: those that follow `after`, or that come right before `before`; with neither, the newest.

    Places are those of lines; a time stands for the first line that began then (after) or before it. `first` asks for
    the first lines there are. With `after` and `before`, the lines between them, from the earlier end. Raises
    QueryError for a regular expression that cannot be read.
    """
    if not kept(client, project, [run_id], include_deleted=include_deleted):
        return ConsolePage([], False)
    forwards = first or after is not None
    writers = [filter.writer] if filter.writer is not None else _writers(client, project, run_id, filter)
    one_writer = len(writers) <= 1
    where, parameters = condition(filter)
    for bound, name, sign in ((after, "after", ">"), (before, "before", "<")):
        clause, of_bound = _bound(bound, name, sign, one_writer=one_writer)
        where, parameters = where + clause, parameters | of_bound
    keys = ("line",) if one_writer else ("ts_us", "writer", "line")
    order = ", ".join(key if forwards else f"{key} DESC" for key in keys)
    # The order of the table, so that a page is read and no more.
    order = f"writer, {order}" if one_writer and forwards else f"writer DESC, {order}" if one_writer else order
    scope = {"project": project, "run_id": run_id, "limit": limit + 1}
    found: list[ConsoleLine] = []
    if one_writer and not forwards and not filter.search:
        floor = Template(statement("console_floor")).substitute(where=where)
        parameters["floor"] = ask(client, floor, scope | parameters | {"limit": 4 * limit}).result_rows[0][0]
        sql = Template(statement("console")).substitute(where=f"{where} AND line >= {{floor:Int64}}", order=order)
        found = [_line(row) for row in ask(client, sql, scope | parameters).result_rows]
    if len(found) <= limit:
        sql = Template(statement("console")).substitute(where=where, order=order)
        found = [_line(row) for row in ask(client, sql, scope | parameters).result_rows]
    page = found[:limit]
    return ConsolePage(page if forwards else page[::-1], len(found) > limit)


def console_count(
    client: Client, project: str, run_id: str, *, filter: ConsoleFilter = EVERYTHING, include_deleted: bool = False
) -> int:
    """How many lines match; raises QueryError for a regular expression that cannot be read."""
    if not kept(client, project, [run_id], include_deleted=include_deleted):
        return 0
    where, parameters = condition(filter)
    sql = Template(statement("console_count")).substitute(where=where)
    return int(ask(client, sql, {"project": project, "run_id": run_id} | parameters).result_rows[0][0])


def console_near(
    client: Client,
    project: str,
    run_id: str,
    at: datetime,
    *,
    filter: ConsoleFilter = EVERYTHING,
    include_deleted: bool = False,
) -> ConsoleLine | None:
    """The last line that began at `at` or before, else the first one after it; None without lines."""
    just_after = moment(microseconds(at) + 1)
    bounds: tuple[tuple[datetime | None, datetime | None], ...] = ((just_after, None), (None, just_after))
    for before, after in bounds:
        page = console(
            client,
            project,
            run_id,
            filter=filter,
            before=before,
            after=after,
            limit=1,
            include_deleted=include_deleted,
        )
        if page.lines:
            return page.lines[0]
    return None


def condition(filter: ConsoleFilter) -> tuple[str, dict[str, object]]:
    """The part of a WHERE for a filter, empty or beginning with AND, and its parameters."""
    clauses: list[str] = []
    parameters: dict[str, object] = {}
    for column, type_name, value in (
        ("rank", "UInt32", filter.rank),
        ("attempt", "UInt16", filter.attempt),
        ("writer", "UInt64", filter.writer),
        ("stream", "UInt8", STREAMS[filter.stream] if filter.stream else None),
    ):
        if value is not None:
            clauses.append(f"{column} = {{{column}:{type_name}}}")
            parameters[column] = value
    if filter.search:
        found, of_search = _search(filter)
        clauses += found
        parameters |= of_search
    return "".join(f" AND {clause}" for clause in clauses), parameters


def microseconds(at: datetime) -> int:
    """Since 1970."""
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _search(filter: ConsoleFilter) -> tuple[list[str], dict[str, object]]:
    text = filter.search
    if filter.kind == "regex":
        return ["match(text, {pattern:String})"], {"pattern": text if filter.case else f"(?i){text}"}
    if filter.kind == "words" and (words := list(dict.fromkeys(_words(text)))):
        clauses = [f"hasToken(lower(text), {{word{place}:String}})" for place in range(len(words))]
        parameters: dict[str, object] = {f"word{place}": _lower(word) for place, word in enumerate(words)}
        if filter.case:
            clauses += [f"hasToken(text, {{exact{place}:String}})" for place in range(len(words))]
            parameters |= {f"exact{place}": word for place, word in enumerate(words)}
        return clauses, parameters
    # The index serves the words that are whole in `search`.
    clauses, parameters = [], {"needle": text}
    if text.isascii():
        clauses.append("lower(text) LIKE {like:String}")
        parameters["like"] = "%" + _escaped(_lower(text)) + "%"
    if filter.case:
        clauses.append("position(text, {needle:String}) > 0")
    elif not text.isascii():
        clauses.append("positionCaseInsensitiveUTF8(text, {needle:String}) > 0")
    return clauses, parameters


def _words(text: str) -> list[str]:
    """As the index cuts a line: at every ASCII character that is neither a letter nor a digit."""
    cut = "".join(" " if one.isascii() and not one.isalnum() else one for one in text)
    return [word for word in cut.split(" ") if word]


def _lower(text: str) -> str:
    """With ASCII letters in lower case, as the index has them."""
    return "".join(one.lower() if one.isascii() else one for one in text)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _writers(client: Client, project: str, run_id: str, filter: ConsoleFilter) -> list[int]:
    """Two of the writers that the filter may mean, or the only one."""
    where, parameters = condition(ConsoleFilter(rank=filter.rank, attempt=filter.attempt))
    sql = Template(statement("console_some_writers")).substitute(where=where)
    return [row[0] for row in ask(client, sql, {"project": project, "run_id": run_id} | parameters).result_rows]


def _bound(
    bound: ConsolePlace | datetime | None, name: str, sign: str, *, one_writer: bool
) -> tuple[str, dict[str, object]]:
    if bound is None:
        return "", {}
    if isinstance(bound, datetime):
        return f" AND ts_us {'>=' if sign == '>' else '<'} {{{name}_us:Int64}}", {f"{name}_us": microseconds(bound)}
    if one_writer:
        return f" AND line {sign} {{{name}_line:Int64}}", {f"{name}_line": bound.line}
    columns = f"({{{name}_us:Int64}}, {{{name}_writer:UInt64}}, {{{name}_line:Int64}})"
    return (
        f" AND (ts_us, writer, line) {sign} {columns}",
        {f"{name}_us": bound.ts_us, f"{name}_writer": bound.writer, f"{name}_line": bound.line},
    )


def _line(row: Sequence[Any]) -> ConsoleLine:
    writer, line, ts_us, stream, rank, attempt, text, styles = row
    return ConsoleLine(
        ConsolePlace(ts_us, writer, line),
        moment(ts_us),
        "stderr" if stream == 2 else "stdout",
        rank,
        attempt,
        text,
        styles,
    )
