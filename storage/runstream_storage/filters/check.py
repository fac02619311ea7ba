"""Which operators and values fit which column: told before the database is asked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from runstream_storage.errors import FilterError
from runstream_storage.filters.columns import ATTRIBUTES, STATES
from runstream_storage.filters.terms import AllOf, AnyOf, Condition, Not, Term, Value
from runstream_storage.filters.values import read_date

BEYOND_RE2 = re.compile(r"\(\?(=|!|<=|<!|\(|P=|>)|(?<!\\)(\\\\)*\\[1-9]")
BEYOND_PYTHON = re.compile(r"\\[pPzCQEX]|\\x\{|\[\[|--|&&|~~|\|\||\(\?[a-zA-Z]*-|\(\?U")
ORDER = {"=", "<", "<=", ">", ">=", "in"}
TEXT_TESTS = {"like", "ilike", "contains", "matches"}
OPERATORS: dict[str, set[str]] = {
    "text": ORDER | TEXT_TESTS | {"null"},
    "param": ORDER | TEXT_TESTS | {"null"},
    "state": {"=", "in"},
    "number": ORDER | {"null"},
    "date": {"<", "<=", ">", ">=", "null"},
    "duration": {"<", "<=", ">", ">=", "null"},
    "tags": {"contains", "like", "ilike", "matches", "in", "null"},
    "bool": {"="},
}
VALUES: dict[str, tuple[set[str], str]] = {
    "text": ({"text"}, 'a text, such as "abc"'),
    "param": ({"number", "text", "bool", "date"}, "a number, a text, true or false"),
    "state": ({"text"}, "one of " + ", ".join(STATES)),
    "number": ({"number"}, "a number"),
    "date": ({"date", "age", "text"}, "a date, such as 2026-01-31, 2026-01-31T12:00 or -7d"),
    "duration": ({"duration", "number"}, "a duration, such as 90s, 30m, 2h or 1.5d"),
    "tags": ({"text"}, 'a text, such as "abc"'),
    "bool": ({"bool"}, "true or false"),
}
INSTEAD = {
    ("tags", "="): "Write tags contains best.",
    ("date", "="): "Two times are hardly ever equal; write created >= 2026-01-31 and created < 2026-02-01.",
    ("duration", "="): "Two durations are hardly ever equal; use < and >.",
}


def column_type(condition: Condition) -> str:
    """text, state, date, duration, number, tags, bool; 'param' for values whose type each run decides."""
    subject = condition.subject
    if subject.kind == "metric":
        return "number"
    return ATTRIBUTES[subject.name][0] if subject.kind == "attribute" else "param"


def conditions(term: Term) -> Iterable[Condition]:
    waiting = [term]
    while waiting:
        match waiting.pop():
            case AllOf(items) | AnyOf(items):
                waiting.extend(items)
            case Not(item):
                waiting.append(item)
            case Condition() as condition:
                yield condition


def check(term: Term, text: str) -> None:
    """Raise FilterError at the first condition, from the left, that can never mean anything."""
    for condition in sorted(conditions(term), key=lambda item: item.column):
        check_condition(condition, text)


def check_condition(condition: Condition, text: str) -> None:
    kind, operator = column_type(condition), condition.operator
    if operator not in OPERATORS[kind]:
        shown = f"not {operator}" if condition.negated and operator != "=" else operator
        hint = INSTEAD.get((kind, operator), f"It takes {', '.join(sorted(OPERATORS[kind]))}.")
        problem = (
            f"{condition.subject.text} is a {kind} and takes no {shown!r}"
            if kind != "tags"
            else (f"tags are many, {shown!r} compares one")
        )
        raise FilterError(problem, text=text, column=condition.column, hint=hint)
    for value in condition.values:
        check_value(condition, kind, value, text)


def check_value(condition: Condition, kind: str, value: Value, text: str) -> None:
    allowed, wanted = VALUES[kind]
    if condition.operator in TEXT_TESTS and kind != "tags":
        allowed, wanted = {"text"}, 'a text, such as "abc"'
    if value.type not in allowed:
        raise FilterError(
            f"{condition.subject.text} is compared with {wanted}, not with the {value.type} {value.text}",
            text=text,
            column=value.column,
            hint=f'If it is meant as a text, quote it: "{value.text}".' if "text" in allowed else "",
        )
    if kind == "date" and value.type == "text":
        read_date(str(value.value), column=value.column, filter_text=text)
    if kind == "state" and value.value not in STATES:
        close = difflib.get_close_matches(str(value.value), STATES, n=1)
        raise FilterError(
            f"there is no state {value.value!r}",
            text=text,
            column=value.column,
            hint=f"Did you mean {close[0]}?" if close else f"States are {', '.join(STATES)}.",
        )
    if condition.operator == "matches":
        check_pattern(value, text)
    if condition.operator in {"like", "ilike"} and re.search(r"(?<!\\)(\\\\)*\\$", str(value.value)):
        raise FilterError(
            "the pattern ends in a backslash", text=text, column=value.column, hint="Write \\\\\\\\ for one backslash."
        )


def check_pattern(value: Value, text: str) -> None:
    """Refuse what RE2, the database's kind of regular expression, does not know or cannot read.

    Python's own reader finds most mistakes here, where they have a column; the database finds the rest.
    """
    pattern = str(value.value)
    if BEYOND_RE2.search(pattern):
        raise FilterError(
            "the pattern looks ahead, looks back or refers to a group",
            text=text,
            column=value.column,
            hint="Patterns are RE2: https://github.com/google/re2/wiki/Syntax. Use and, or, not between conditions.",
        )
    if BEYOND_PYTHON.search(pattern):
        return
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise FilterError(f"the pattern is no regular expression: {error}", text=text, column=value.column) from None
