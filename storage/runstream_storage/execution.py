"""Ask the server: SQL from `sql/*.sql` or built text, values bound by the server, failures as errors of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from runstream_storage.errors import QueryError, StorageError, Unreachable

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client
    from clickhouse_connect.driver.query import QueryResult

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PLAIN = re.compile(r"[\w/.-]+(?:','[\w/.-]+)*", re.ASCII)


@cache
def statement(name: str) -> str:
    """The text of `sql/<name>.sql` without its comments, which the client would read for each question."""
    text = resources.files("runstream_storage.sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("--"))


def ask(client: Client, sql: str, parameters: Mapping[str, object] | None = None) -> QueryResult:
    """Run one query; raises QueryError or Unreachable."""
    try:
        return client.query(sql, parameters=bound(parameters or {}))
    except Exception as error:
        raise translate(error) from error


class Literal:
    """The value of a parameter as the server reads it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def bound(parameters: Mapping[str, object]) -> dict[str, object]:
    """`parameters` for clickhouse-connect, lists of run ids and the like written out: it would look at each letter."""
    return {name: literal(value) if isinstance(value, list) else value for name, value in parameters.items()}


def literal(values: list[Any]) -> list[Any] | Literal:
    """`values` as an array of texts, if they are such and need no escape; else as they are."""
    if not values or not all(isinstance(value, str) and "'" not in value for value in values):
        return values
    text = "','".join(values)
    return Literal(f"['{text}']") if PLAIN.fullmatch(text) else values


def rows(client: Client, name: str, /, **parameters: object) -> Sequence[Sequence[Any]]:
    """The rows of `sql/<name>.sql`."""
    result: Sequence[Sequence[Any]] = ask(client, statement(name), parameters).result_rows
    return result


def at_once(*questions: Callable[[], Any]) -> list[Any]:
    """The answers of independent questions, asked over as many connections; the error of the first one that fails."""
    if len(questions) < 2:
        return [question() for question in questions]
    others = [(question, _askers().submit(question)) for question in questions[1:]]
    try:
        # What no thread has begun is asked here: a question may ask others at once, and must never wait for itself.
        return [questions[0](), *(question() if other.cancel() else other.result() for question, other in others)]
    finally:
        wait(other for _, other in others if not other.cancel())


@cache
def _askers() -> ThreadPoolExecutor:
    """Threads of all questions of this process: to start some for each page takes longer than to ask it."""
    return ThreadPoolExecutor(max_workers=16, thread_name_prefix="runstream-asks")


def translate(error: Exception) -> Exception:
    """A StorageError for what clickhouse-connect or the network raised; any other exception as it is."""
    from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

    if isinstance(error, StorageError):
        return error
    text = str(error)
    code = re.search(r"\bCode: (\d+)\b|\bcode: (\d+)\b", text)
    if code:
        number = int(code[1] or code[2])
        position = re.search(r"at position (\d+)", text)
        return QueryError(shorten(text), code=number, position=int(position[1]) if position else 0)
    if isinstance(error, ClickHouseError) and not isinstance(error, OperationalError):
        return QueryError(shorten(text))
    if isinstance(error, OperationalError | OSError):
        where = re.search(r"https?://[^\s/)]+", text)
        lines = text.strip().splitlines() or [type(error).__name__]
        return Unreachable(url=where[0] if where else "its address", reason=lines[0][:300])
    return error


def shorten(text: str) -> str:
    """The sentence of ClickHouse's message, without stack, version and address."""
    message = re.sub(r"^.*?DB::Exception: ", "", text, count=1, flags=re.DOTALL)
    message = re.sub(r"\s*\(for url [^)]*\)\s*$", "", message)
    message = re.sub(r"\s*\(version [^)]*\)\s*$", "", message)
    return message.strip()[:2000]


def moment(microseconds: int) -> datetime:
    """An aware datetime in UTC; times that a datetime cannot hold become its nearest."""
    try:
        return EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if microseconds > 0 else datetime.min.replace(tzinfo=UTC)
