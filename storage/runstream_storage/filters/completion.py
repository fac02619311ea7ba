"""What may come next in a filter that is being typed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lark import UnexpectedInput
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from runstream_storage.filters.columns import ATTRIBUTES, STATES, metric_column, param_column, summary_column
from runstream_storage.filters.parser import MAX_CHARACTERS, grammar
from runstream_storage.filters.terms import AGGREGATES
from runstream_storage.filters.values import quote

Names = Literal["config", "summary", "metric", "tags", "group", "job_type", "user", "host"]
Lookup = Callable[[Names, str], list[str]]

WORD = re.compile(r"""(config|params|summary)\.("[^"]*|[^\s"'(),\[\]=<>!~]*)$|"[^"]*$|[^\s"'(),\[\]=<>!~]*$""", re.I)
METRIC_OPEN = re.compile(r"(min|max|first|last|count)\s*\(\s*(\"?)([^\"()]*)$", re.I)
SUBJECT_BEFORE = re.compile(r"([A-Za-z_]+)\s*(?:=|!=|==|not\s+in\s*\(|in\s*\(|contains\s|like\s)[^()]*$", re.I)
OPERATORS = ["=", "!=", "<", "<=", ">", ">=", "in (", "contains ", "like ", "matches ", "is null", "is not null"]


@dataclass(frozen=True, slots=True)
class Completion:
    """`suggestions` may each replace text[start:end]."""

    start: int
    end: int
    suggestions: list[str]


def complete(text: str, cursor: int, lookup: Lookup, *, limit: int = 20) -> Completion:
    """Suggestions for the word that ends at `cursor`. `lookup` finds names of a kind by how they begin."""
    before = text[: max(0, min(cursor, len(text)))]
    if len(before) > MAX_CHARACTERS:
        return Completion(cursor, cursor, [])
    metric = METRIC_OPEN.search(before)
    if metric:
        names = lookup("metric", metric[3].strip())
        found = [metric_column(name, metric[1].lower()) for name in names]
        end = cursor + 1 if text[cursor : cursor + 1] == ")" else cursor
        return Completion(metric.start(), end, found[:limit])
    match = WORD.search(before)
    word = match[0] if match else ""
    start = len(before) - len(word)
    expected = accepted(before[:start])
    found = []
    if "WORD" in expected:
        found = subjects(word, lookup)
    elif "VALUE" in expected:
        found = values(word, before[:start], lookup)
    elif "OPERATOR" in expected:
        joining = ["and ", "or "] if "AND" in expected and _is_truth(before[:start]) else []
        found = [operator for operator in [*joining, *OPERATORS] if operator.startswith(word.lower())]
    elif "AND" in expected or "OR" in expected:
        found = [operator for operator in ("and ", "or ") if operator.startswith(word.lower())]
    return Completion(start, len(before), found[:limit])


def accepted(before: str) -> set[str]:
    """The terminals that may follow `before`."""
    parser = grammar().parse_interactive(before, start="start")
    try:
        parser.exhaust_lexer()
    except (UnexpectedCharacters, UnexpectedToken, UnexpectedInput):
        return set()
    expected: set[str] = parser.accepts()  # type: ignore[no-untyped-call]
    return expected


def _is_truth(before: str) -> bool:
    """Whether what stands last is a condition by itself."""
    name = before.rsplit(maxsplit=1)[-1].lstrip("(").lower() if before.strip() else ""
    return name in ATTRIBUTES and ATTRIBUTES[name][0] == "bool"


def subjects(word: str, lookup: Lookup) -> list[str]:
    prefix, dot, rest = word.partition(".")
    if dot and prefix.lower() in {"config", "params"}:
        return [param_column(name) for name in lookup("config", rest.lstrip('"'))]
    if dot and prefix.lower() == "summary":
        return [summary_column(name) for name in lookup("summary", rest.lstrip('"'))]
    lowered = word.lower()
    found = [name for name in ATTRIBUTES if name.startswith(lowered)]
    found += [name for name in ("config.", "summary.") if name.startswith(lowered)]
    found += [f"{name}(" for name in AGGREGATES if name.startswith(lowered)]
    found += [name for name in ("not ",) if name.startswith(lowered)]
    if len(word) > 1:
        found += [param_column(name) for name in lookup("config", word)]
        found += [metric_column(name) for name in lookup("metric", word)]
    return found


def values(word: str, before: str, lookup: Lookup) -> list[str]:
    subject = SUBJECT_BEFORE.search(before)
    name = subject[1].lower() if subject else ""
    begun = word.lstrip('"')
    if name == "state":
        return [state for state in STATES if state.startswith(begun.lower())]
    if name in ("archived", "starred"):
        return [truth for truth in ("true", "false") if truth.startswith(begun.lower())]
    match name:
        case "tags" | "group" | "job_type" | "user" | "host":
            return [quote(value) for value in lookup(name, begun)]
        case "created" | "ended" | "updated":
            return ["-1h", "-1d", "-7d", "-30d"]
    return []
