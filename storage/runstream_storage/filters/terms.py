"""What a filter says, once it is read: a tree of conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf

Kind = OneOf["attribute", "config", "summary", "metric"]
ValueType = OneOf["number", "text", "bool", "date", "age", "duration"]
AGGREGATES = ("min", "max", "first", "last", "count")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a condition is about.

    `names` are the stored names it may mean, the first that a run has counts: config.a.b is 'a.b' or 'a/b'. `text` is
    how it was written, `column` where (from 1). `aggregate` is set for metrics.
    """

    kind: Kind
    names: tuple[str, ...]
    text: str
    column: int = 1
    aggregate: str = ""

    @property
    def name(self) -> str:
        return self.names[0]


@dataclass(frozen=True, slots=True)
class Value:
    """A constant: numbers, durations and ages (seconds) are floats, dates microseconds since 1970."""

    type: ValueType
    value: float | int | bool | str
    text: str
    column: int = 1


@dataclass(frozen=True, slots=True)
class Condition:
    """`operator`: = < <= > >= in like ilike contains matches null. `negated` turns = into != and so on: a missing value
    fulfils neither."""

    subject: Subject
    operator: str
    values: tuple[Value, ...] = ()
    negated: bool = False
    column: int = 1


@dataclass(frozen=True, slots=True)
class AllOf:
    items: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    items: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Not:
    item: Term


Term = Condition | AllOf | AnyOf | Not
