"""From text to terms: lark reads, this module says what is wrong."""

from __future__ import annotations

import difflib
import re
from functools import lru_cache, partial
from importlib import resources
from typing import Any

from lark import Lark, Token, UnexpectedInput, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken, VisitError
from lark.visitors import Transformer_NonRecursive

from runstream_storage.errors import FilterError
from runstream_storage.filters.columns import ATTRIBUTES, attribute_subject, metric_subject, param_subject
from runstream_storage.filters.terms import AGGREGATES, AllOf, AnyOf, Condition, Not, Subject, Term, Value
from runstream_storage.filters.values import read_value, unquote

MAX_CHARACTERS = 16_384
MAX_CONDITIONS = 256
MAX_DEPTH = 64
OPEN_LIST = re.compile(r"\bin\s*[(\[][^)\]]*$", re.IGNORECASE)
SAME_OPERATOR = {"==": "=", "<>": "!="}


@lru_cache(maxsize=256)
def parse(text: str) -> Term | None:
    """The filter's terms, or None for an empty text, which every run fulfils. Raises FilterError."""
    check_size(text)
    if not text.strip():
        return None
    term: Term = read("start", text)
    depth, conditions = measure(term)
    if conditions > MAX_CONDITIONS:
        raise FilterError(
            f"{conditions} conditions are more than {MAX_CONDITIONS}", hint="Use in (...) for long lists."
        )
    if depth > MAX_DEPTH:
        raise FilterError(f"it is nested {depth} deep, at most {MAX_DEPTH} are read", hint="Take away parentheses.")
    return term


@lru_cache(maxsize=4096)  # a table has the same columns at each look, and reading one takes 0.1 ms
def parse_column(text: str) -> Subject:
    """The column that `text` names, such as config.lr, last(val/loss) or created. Raises FilterError."""
    check_size(text)
    subject: Subject = read("subject", text)
    return subject


def check_size(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise FilterError(f"the filter has {len(text):,} characters, at most {MAX_CHARACTERS:,} are read")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise FilterError("it holds half a character, which no text has", column=error.start + 1) from None
    if "\0" in text:
        raise FilterError("it holds a NUL character", text=text.replace("\0", "␀"), column=text.index("\0") + 1)


def read(start: str, text: str) -> Any:
    try:
        return Build(text).transform_tree(grammar(), start)
    except UnexpectedInput as error:
        raise explain(error, text, start) from None
    except VisitError as error:
        raise error.orig_exc from None


@lru_cache(maxsize=1)
def grammar() -> Lark:
    source = resources.files("runstream_storage.filters").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(source, parser="lalr", lexer="contextual", start=["start", "subject"])


def measure(term: Term) -> tuple[int, int]:
    """Depth and number of conditions, without recursion."""
    depth, conditions, waiting = 0, 0, [(term, 1)]
    while waiting:
        item, level = waiting.pop()
        depth = max(depth, level)
        match item:
            case AllOf(items) | AnyOf(items):
                waiting.extend((inner, level + 1) for inner in items)
            case Not(inner):
                waiting.append((inner, level + 1))
            case _:
                conditions += 1
    return depth, conditions


def column_of(token: Token) -> int:
    return (token.start_pos or 0) + 1


class Build(Transformer_NonRecursive[Token, Any]):
    """The callbacks of the grammar's rules; not recursive, so that no text is too deep to be refused.

    Two negations cancel, so that 'not not …' nests nothing.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def transform_tree(self, lark: Lark, start: str) -> Any:
        return self.transform(lark.parse(self.text, start=start))

    def start(self, items: list[Term]) -> Term:
        return items[0]

    def any_of(self, items: list[Any]) -> Term:
        terms = tuple(item for item in items if not isinstance(item, Token))
        return terms[0] if len(terms) == 1 else AnyOf(terms)

    def all_of(self, items: list[Any]) -> Term:
        terms = tuple(item for item in items if not isinstance(item, Token))
        return terms[0] if len(terms) == 1 else AllOf(terms)

    def negation(self, items: list[Any]) -> Term:
        term: Term = items[-1]
        return term.item if isinstance(term, Not) else Not(term)

    @v_args(inline=True)
    def comparison(self, subject: Subject, operator: Token, value: Value) -> Condition:
        sign = SAME_OPERATOR.get(str(operator), str(operator))
        column = column_of(operator)
        if sign in {"=~", "!~"}:
            return Condition(subject, "matches", (value,), sign == "!~", column)
        if sign == "!=":
            return Condition(subject, "=", (value,), True, column)
        return Condition(subject, sign, (value,), False, column)

    @v_args(inline=True)
    def membership(self, subject: Subject, negated: Token | None, word: Token, values: tuple[Value, ...]) -> Condition:
        return Condition(subject, "in", values, negated is not None, column_of(word))

    @v_args(inline=True)
    def text_test(self, subject: Subject, negated: Token | None, word: Token, value: Value) -> Condition:
        return Condition(subject, str(word).lower(), (value,), negated is not None, column_of(word))

    @v_args(inline=True)
    def null_test(self, subject: Subject, word: Token, negated: Token | None, _null: Token) -> Condition:
        return Condition(subject, "null", (), negated is not None, column_of(word))

    @v_args(inline=True)
    def exists(self, subject: Subject, word: Token) -> Condition:
        return Condition(subject, "null", (), True, column_of(word))

    @v_args(inline=True)
    def truth(self, subject: Subject) -> Condition:
        """`starred` is `starred = true`, and so for a param; what is never true or false needs an operator."""
        if subject.kind == "metric" or (subject.kind == "attribute" and ATTRIBUTES[subject.name][0] != "bool"):
            end = min(len(self.text), subject.column - 1 + len(subject.text))
            raise _operator_missing("", self.text, end, partial(_wrong, self.text, end + 1))
        return Condition(subject, "=", (Value("bool", True, "true", subject.column),), False, subject.column)

    @v_args(inline=True)
    def metric(self, aggregate: Token, name: str) -> Subject:
        return metric_subject(str(aggregate), name, column=column_of(aggregate))

    def param(self, items: list[Token]) -> Subject:
        return param_subject(str(items[0]), column=column_of(items[0]))

    def attribute(self, items: list[Token]) -> Subject:
        return attribute_subject(str(items[0]), column=column_of(items[0]), filter_text=self.text)

    def value(self, items: list[Token]) -> Value:
        return read_value(str(items[0]), column=column_of(items[0]), filter_text=self.text)

    def values(self, items: list[Any]) -> tuple[Value, ...]:
        return tuple(item for item in items if isinstance(item, Value))

    def metric_name(self, items: list[Token]) -> str:
        name = str(items[0])
        return unquote(name) if items[0].type == "STRING" else name.strip()


def explain(error: UnexpectedInput, text: str, start: str) -> FilterError:
    """What a person did not write, or should not have, in words."""
    position = len(text) if error.pos_in_stream is None else error.pos_in_stream
    expected: set[str] = set()
    if isinstance(error, UnexpectedToken):
        expected = set(error.expected)
        position = len(text.rstrip()) if error.token.type == "$END" else column_of(error.token) - 1
    elif isinstance(error, UnexpectedCharacters):
        expected = set(error.allowed or ())
    column, rest = position + 1, text[position:]
    found = rest.split(maxsplit=1)[0][:40] if rest.strip() else ""

    wrong = partial(_wrong, text, column)
    if rest[:1] in {'"', "'"} and rest.count(rest[0]) < 2:
        return wrong(f"the quote {rest[0]} is never closed")
    if found and start == "subject":
        return wrong(f"{found!r} stands behind the column's name", 'Names with spaces need quotes: config."a b".')
    if "WORD" in expected or "PARAM" in expected:
        if found[:1] in {'"', "'"}:
            return wrong("a condition cannot start with a text", 'To search names: name contains "…".')
        problem = f"a condition is missing before {found!r}" if found else "a condition is missing at the end"
        return wrong(
            problem, "For example config.lr < 1e-3, last(val/loss) < 0.2, state = running, tags contains best."
        )
    if "METRIC" in expected:
        return wrong("the name of a metric is missing", 'For example last(val/loss) or last("a (strange) name").')
    if "OPERATOR" in expected or "TEXT_TEST" in expected:
        return _operator_missing(found, text, position, wrong)
    if "VALUE" in expected:
        return wrong(
            f"a value is missing before {found!r}" if found else "a value is missing at the end",
            'Values are 0.1, 1e-3, nan, true, 2026-01-31, -7d, 2h, word or "any text".',
        )
    if expected & {"LPAR", "LSQB"}:
        return wrong("'in' is followed by a list", "For example config.layers in (2, 4, 8).")
    if "NULL" in expected:
        return wrong("'is' is followed by null or not null")
    if found and OPEN_LIST.search(text[:position]):
        return wrong(f"',' or ')' is missing before {found!r}")
    if found[:1] == ")":
        return wrong("this parenthesis was never opened")
    if found and (expected & {"AND", "OR"}):
        return wrong(f"'and' or 'or' is missing before {found!r}", 'A text of several words needs quotes: "a b".')
    if "RPAR" in expected or "RSQB" in expected:
        return wrong("a parenthesis is never closed" if not found else f"',' or ')' is missing before {found!r}")
    return wrong(f"{found!r} cannot stand here" if found else "it ends too early")


def _wrong(text: str, column: int, problem: str, hint: str = "") -> FilterError:
    return FilterError(problem, text=text, column=column, hint=hint)


def _operator_missing(found: str, text: str, position: int, wrong: Any) -> FilterError:
    if found.startswith("("):
        words = text[:position].split()
        name = words[-1] if words else ""
        close = difflib.get_close_matches(name.lower(), AGGREGATES, n=1)
        hint = f"Did you mean {close[0]}(…)?" if close else ""
        refusal: FilterError = wrong(f"{name!r} is no aggregate; there are {', '.join(AGGREGATES)}", hint)
        return refusal
    problem = f"an operator is missing before {found!r}" if found else "the condition ends without an operator"
    answer: FilterError = wrong(
        problem,
        "Operators are = != < <= > >= in like ilike contains matches =~ !~ 'is null' exists, with not before words.",
    )
    return answer
