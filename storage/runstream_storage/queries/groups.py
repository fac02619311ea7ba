"""Runs grouped by a column, with the spread of others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runstream_storage.filters.compiler import compile_filter
from runstream_storage.filters.parser import parse_column
from runstream_storage.filters.relation import Selection
from runstream_storage.queries.results import Group, Scalar, Spread
from runstream_storage.queries.run_rows import scalar, value_of
from runstream_storage.queries.runs import asked, filtered, number_test
from runstream_storage.queries.student_t import half_width

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def groups(
    client: Client,
    projects: Sequence[str],
    by: str,
    *,
    columns: Sequence[str] = (),
    filter: str = "",
    limit: int = 200,
    archived: bool = False,
) -> list[Group]:
    """Groups of the runs that pass `filter`, the largest first; runs without a value of `by` are one group.

    `columns` are columns of the filter language; each group has the spread of those that are numbers. Grouping by tags
    puts runs with the same set of tags together. Raises FilterError and QueryError.
    """
    selection = Selection(projects, archived=archived)
    where = compile_filter(filter, selection, now=datetime.now(UTC))
    key = selection.column(parse_column(by))
    missing = f"NOT ({key.present})"
    kind, text, number = key.kind or ("'string'" if key.text else "'float'"), key.text or "''", key.number or "0."
    if by.lower() == "tags":
        text = f"arrayStringConcat({text}, ', ')"
    parts = {"kind": (kind, "''"), "text": (text, "''"), "number": (f"toFloat64({number})", "0.")}
    group = ", ".join(f"if({missing}, {none}, {form}) AS key_{name}" for name, (form, none) in parts.items())
    spreads = []
    for name in columns:
        column = selection.column(parse_column(name))
        if not column.number:
            spreads.append("(0, 0., 0., 0., 0.)")
            continue
        number = f"toFloat64({column.number})"
        has = f"{number_test(column.kind, column.present)} AND NOT isNaN({number})"
        forms = ("count", "avg", "min", "max", "stddevSampStable")
        spreads.append(f"({', '.join(f'{form}If({number}, {has})' for form in forms)})")
    answer = asked(
        client,
        selection,
        lambda: (
            f"SELECT {group}, count() AS runs, [{', '.join(spreads)}] AS spreads\n{filtered(selection, where)}\n"
            "GROUP BY key_kind, key_text, key_number ORDER BY runs DESC, key_kind, key_number, key_text "
            f"LIMIT {selection.bind(limit, 'UInt32')}"
        ),
    )
    return [
        Group(key_of(*key), runs, {name: spread(*values) for name, values in zip(columns, found, strict=True)})
        for *key, runs, found in answer
    ]


def key_of(kind: str, text: str, number: float) -> Scalar:
    return scalar(value_of("", kind, text, number)) if kind else None


def spread(n: int, mean: float, low: float, high: float, deviation: float) -> Spread:
    if not n:
        return Spread(0, None, None, None)
    return Spread(n, None if math.isnan(mean) else mean, low, high, half_width(n, deviation))
