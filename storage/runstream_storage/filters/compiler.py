"""From terms to a WHERE expression whose every constant is a parameter bound by the server.

The expression speaks of columns that `Selection` (relation.py) provides. A missing value fulfils no condition,
negated or not, except `is null`; `not (…)` is plain negation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from runstream_storage.filters.check import check, column_type
from runstream_storage.filters.parser import parse
from runstream_storage.filters.relation import Reference, Selection
from runstream_storage.filters.terms import AllOf, AnyOf, Condition, Not, Term, Value
from runstream_storage.filters.values import read_date

MICROSECONDS = 1_000_000


def compile_filter(text: str, selection: Selection, *, now: datetime) -> str:
    """Read `text` and return its expression; what it needs is added to `selection`. Ages count back from `now`.

    An empty text gives an empty expression. Raises FilterError.
    """
    term = parse(text)
    if term is None:
        return ""
    check(term, text)
    return Compiler(selection, now_us=int(now.timestamp() * MICROSECONDS)).term(term)


@dataclass
class Compiler:
    selection: Selection
    now_us: int

    def term(self, term: Term) -> str:
        match term:
            case AllOf(items):
                return "(" + " AND ".join(self.term(item) for item in items) + ")"
            case AnyOf(items):
                return "(" + " OR ".join(self.term(item) for item in items) + ")"
            case Not(item):
                return f"(NOT {self.term(item)})"
            case _:
                return self.condition(term)

    def condition(self, condition: Condition) -> str:
        column = self.selection.column(condition.subject)
        if condition.operator == "null":
            return f"({column.present})" if condition.negated else f"(NOT ({column.present}))"
        kind = column_type(condition)
        test = {
            "param": self.param,
            "number": self.number,
            "duration": self.number,
            "date": self.date,
            "tags": self.tags,
            "bool": self.boolean,
        }.get(kind, self.text)
        present, positive = test(column, condition)
        return f"({present} AND NOT ({positive}))" if condition.negated else f"({present} AND ({positive}))"

    def param(self, column: Reference, condition: Condition) -> tuple[str, str]:
        """A param's type is each run's own: a constant is compared with values of its type, others are as missing."""
        by_type: dict[str, list[Value]] = {}
        for value in condition.values:
            by_type.setdefault("text" if value.type == "date" else value.type, []).append(value)
        kinds, tests = [], []
        for kind, values in by_type.items():
            if kind == "number":
                kinds.append(f"{column.kind} IN ('int', 'float')")
                tests.append(
                    f"({kinds[-1]} AND ({self.compare(column.number, condition.operator, values, self.float)}))"
                )
            elif kind == "bool":
                kinds.append(f"{column.kind} = 'bool'")
                truth = [Value("number", float(bool(value.value)), value.text) for value in values]
                tests.append(
                    f"({kinds[-1]} AND ({self.compare(column.number, condition.operator, truth, self.float)}))"
                )
            else:
                kinds.append(f"{column.kind} IN ('string', 'datetime', 'json')")
                tests.append(
                    f"({kinds[-1]} AND ({self.compare(column.text, condition.operator, values, self.string)}))"
                )
        return "(" + " OR ".join(kinds) + ")", " OR ".join(tests)

    def number(self, column: Reference, condition: Condition) -> tuple[str, str]:
        return column.present, self.compare(column.number, condition.operator, list(condition.values), self.float)

    def date(self, column: Reference, condition: Condition) -> tuple[str, str]:
        return column.present, self.compare(
            column.number, condition.operator, list(condition.values), self.microseconds
        )

    def text(self, column: Reference, condition: Condition) -> tuple[str, str]:
        return "1", self.compare(column.text, condition.operator, list(condition.values), self.string)

    def boolean(self, column: Reference, condition: Condition) -> tuple[str, str]:
        return "1", f"{column.number} = {1 if condition.values[0].value else 0}"

    def tags(self, column: Reference, condition: Condition) -> tuple[str, str]:
        if condition.operator == "contains":
            return "1", f"has({column.text}, {self.string(condition.values[0])})"
        if condition.operator == "in":
            wanted = self.bind([str(value.value) for value in condition.values], "Array(String)")
            return "1", f"hasAny({column.text}, {wanted})"
        test = self.compare("tag", condition.operator, list(condition.values), self.string)
        return "1", f"arrayExists(tag -> {test}, {column.text})"

    def compare(self, expression: str, operator: str, values: list[Value], bind: Callable[[Value], str]) -> str:
        if operator == "in":
            return self.member(expression, values, bind)
        value = values[0]
        if operator == "=" and isinstance(value.value, float) and math.isnan(value.value):
            return f"isNaN({expression})"
        right = bind(value)
        match operator:
            case "like" | "ilike":
                return f"{expression} {operator.upper()} {right}"
            case "contains":
                return f"position({expression}, {right}) > 0"
            case "matches":
                return f"match({expression}, {right})"
            case _:
                return f"{expression} {operator} {right}"

    def member(self, expression: str, values: list[Value], bind: Callable[[Value], str]) -> str:
        """One parameter for the whole list: a request holds few of them. NaN is a member only of a list with NaN."""
        if bind == self.string:
            return f"{expression} IN {self.bind([self.plain(value) for value in values], 'Array(String)')}"
        numbers = [float(value.value) for value in values]
        wanted = self.bind([number for number in numbers if not math.isnan(number)], "Array(Float64)")
        test = f"arrayExists(wanted -> wanted = {expression}, {wanted})"  # not IN, which tells -0.0 from 0.0
        return f"isNaN({expression}) OR {test}" if any(map(math.isnan, numbers)) else test

    def float(self, value: Value) -> str:
        assert isinstance(value.value, float)
        return self.bind(value.value, "Float64")

    def string(self, value: Value) -> str:
        return self.bind(self.plain(value), "String")

    @staticmethod
    def plain(value: Value) -> str:
        return value.text if value.type == "date" else str(value.value)

    def microseconds(self, value: Value) -> str:
        if value.type == "age":
            assert isinstance(value.value, float)
            return self.bind(self.now_us - int(value.value * MICROSECONDS), "Int64")
        if value.type == "text":
            return self.bind(read_date(str(value.value), column=value.column, filter_text=value.text), "Int64")
        return self.bind(int(value.value), "Int64")

    def bind(self, value: object, type_name: str) -> str:
        return self.selection.bind(value, type_name)
