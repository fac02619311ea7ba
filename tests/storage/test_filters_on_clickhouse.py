"""The same filter, once by ClickHouse and once in plain Python over the same runs."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runstream_storage.execution import ask
from runstream_storage.filters import Selection, compile_filter, metric_column, param_column, parse
from runstream_storage.filters.terms import AllOf, AnyOf, Condition, Not, Subject, Term, Value
from runstream_storage.filters.values import quote, read_date

pytestmark = pytest.mark.clickhouse

START_US = 1_790_000_000_000_000
NOW = datetime(2026, 9, 22, tzinfo=UTC)
INF = math.inf
NAN = math.nan


@dataclass(frozen=True)
class Known:
    """A run as plain Python."""

    attributes: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, list[float]] = field(default_factory=dict)


RUNS = [
    Known(
        {"name": "alpha", "user": "ana", "state": "finished"},
        {"lr": 0.1, "opt": "adam", "amp": True},
        {"loss": [3.0, 1.0, 2.0]},
    ),
    Known({"name": "Beta's", "user": "", "tags": ["x"]}, {"lr": 1, "opt": "SGD"}, {"loss": [NAN, NAN]}),
    Known(
        {"name": 'q"uote', "tags": ["x", "best\\run"]},
        {"lr": "0.1", "opt": None},
        {"loss": [INF, -INF, 0.5], "a b/c-d.e": [1.0]},
    ),
    Known({"name": "back\\slash", "user": "bob"}, {"lr": NAN, "model/depth": 3}, {}),
    Known(
        {"name": "new\nline\ttab", "tags": ["größe"]}, {"lr": -INF, "model.depth": 4, "model/depth": 9}, {"loss": [5.0]}
    ),
    Known(
        {"name": "per%cent_", "user": "ana", "state": "failed"}, {"amp": False, "opt": "adamw"}, {"loss": [0.0, -0.0]}
    ),
    Known({"name": "'; DROP TABLE runs; --"}, {"opt": "{p0:String}"}, {"a b/c-d.e": [NAN, 7.0]}),
    Known({"name": "ünïcode 日本"}, {"lr": 1e-3}, {"loss": [2.0, NAN]}),
]


STARTS = {id(run): START_US + place * 1_000_000 for place, run in enumerate(RUNS)}
ENDS = {id(run): STARTS[id(run)] + 60_000_000 for run in RUNS if "state" in run.attributes}


@pytest.fixture
def stocked(client: Client, pen: Any) -> Client:
    for place, run in enumerate(RUNS):
        attributes = dict(run.attributes)
        run_id = pen.run(
            place,
            created_us=STARTS[id(run)],
            ended=attributes.pop("state", ""),
            tags=attributes.pop("tags", ()),
            params=run.config,
            **attributes,
        )
        for metric, values in run.metrics.items():
            pen.points(run_id, metric, values)
    return client


def found(client: Client, text: str) -> set[str]:
    selection = Selection(["vision"])
    where = compile_filter(text, selection, now=NOW)
    chosen = f"SELECT r.run_id {selection.sources()}" + (f" AND {where}" if where else "")
    sql = f"SELECT name FROM runs WHERE run_id IN ({chosen})"
    return {row[0] for row in ask(client, sql, selection.parameters).result_rows}


def expected(text: str) -> set[str]:
    term = parse(text)
    return {run.attributes["name"] for run in RUNS if term is None or fulfils(run, term)}


# The language once more, as docs/filters.md tells it.

MISSING = object()


def fulfils(run: Known, term: Term) -> bool:
    match term:
        case AllOf(items):
            return all(fulfils(run, item) for item in items)
        case AnyOf(items):
            return any(fulfils(run, item) for item in items)
        case Not(item):
            return not fulfils(run, item)
        case Condition():
            return holds(run, term)


def holds(run: Known, condition: Condition) -> bool:
    value = look_up(run, condition.subject)
    operator = condition.operator
    if operator == "null":
        return (value is MISSING or value == "" or value == ()) != condition.negated
    if value is MISSING:
        return False
    if isinstance(value, tuple):
        if operator in {"contains", "in"}:
            positive = any(wanted.value in value for wanted in condition.values)
        else:
            positive = any(compare(operator, tag, condition.values[0].value) for tag in value)
        return positive != condition.negated
    typed = [constant(wanted, condition.subject) for wanted in condition.values]
    same = [wanted for wanted in typed if type(wanted) is type(value)]
    if not same:
        return False
    if operator == "in":
        return any(compare("=", value, wanted) for wanted in same) != condition.negated
    return compare(operator, value, same[0]) != condition.negated


def compare(operator: str, value: Any, wanted: Any) -> bool:
    if isinstance(value, str) and operator in {"<", "<=", ">", ">="}:
        value, wanted = value.encode(), wanted.encode()
    match operator:
        case "=":
            return bool(value == wanted) or (value != value and wanted != wanted)
        case "<":
            return bool(value < wanted)
        case "<=":
            return bool(value <= wanted)
        case ">":
            return bool(value > wanted)
        case ">=":
            return bool(value >= wanted)
        case "contains":
            return wanted in value
        case "like" | "ilike":
            flags = re.DOTALL | (re.IGNORECASE | re.ASCII if operator == "ilike" else 0)
            return re.fullmatch(like(wanted), value, flags) is not None
        case "matches":
            return re.search(wanted, value, re.DOTALL) is not None
    raise AssertionError(operator)


def like(pattern: str) -> str:
    pieces = re.findall(r"\\(?=[%_\\]).|.", pattern, re.DOTALL)
    special = {"%": ".*", "_": "."}
    return "".join(special.get(piece, re.escape(piece[-1] if len(piece) == 2 else piece)) for piece in pieces)


def constant(value: Value, subject: Subject) -> Any:
    name = subject.name if subject.kind == "attribute" else ""
    if name in {"created", "ended", "updated"}:
        if value.type == "age":
            return (NOW - timedelta(seconds=float(value.value)) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
                microseconds=1
            )
        return value.value if value.type == "date" else read_date(str(value.value), column=1, filter_text="")
    if value.type == "date":
        return value.text
    return value.value


def look_up(run: Known, subject: Subject) -> Any:
    if subject.kind == "config":
        value = next((run.config[name] for name in subject.names if name in run.config), None)
        return MISSING if value is None else float(value) if type(value) is int else value
    if subject.kind == "metric":
        return aggregate(run.metrics.get(subject.name, []), subject.aggregate)
    start, end = STARTS[id(run)], ENDS.get(id(run))
    match subject.name:
        case "state":
            return run.attributes.get("state", "running")
        case "tags":
            return tuple(run.attributes.get("tags", ()))
        case "created":
            return start
        case "ended":
            return MISSING if end is None else end
        case "updated":
            return end or start
        case "duration":
            return ((end or start) - start) / 1e6
        case "archived" | "starred":
            return False
    return run.attributes.get(subject.name, "")


def aggregate(values: list[float], name: str) -> Any:
    if not values:
        return MISSING
    numbers = [value for value in values if value == value]
    match name:
        case "first":
            return values[0]
        case "last":
            return values[-1]
        case "count":
            return float(len(values))
    if not numbers:
        return MISSING
    return min(numbers) if name == "min" else max(numbers)


# Filters at random, over values that the runs have and values that nearly are.

NUMBERS = st.sampled_from(["0", "-0.0", "1", "0.1", "1e-3", "3", "2.0", "nan", "inf", "-inf", "7", "1e300", "-1e-300"])
WORDS = [str(run.attributes["name"]) for run in RUNS] + [
    "ana",
    "bob",
    "adam",
    "SGD",
    "0.1",
    "",
    "a",
    "x",
    "best\\run",
    "größe",
]
TEXTS = st.sampled_from(WORDS).map(quote)
PATTERNS = (
    st.sampled_from(["%a%", "%", "_lpha", "back\\\\%", "per\\%cent\\_", "%\n%", "%'%", "ünï%", "A%", "%\\"])
    .filter(lambda pattern: not pattern.endswith("\\"))
    .map(quote)
)
REGEXES = st.sampled_from(["^a", "a$", "[a-c]+", "n.w", "w.l", "\\\\", "\\'", "(adam|SGD)$", "^$", "日", ""]).map(quote)
ORDER = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])


def joined(*parts: Any) -> st.SearchStrategy[str]:
    return st.tuples(*(part if isinstance(part, st.SearchStrategy) else st.just(part) for part in parts)).map(" ".join)


def several(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3).map(lambda items: f"({', '.join(items)})")


NEGATION = st.sampled_from(["", "not"])
PARAMS = st.sampled_from(["lr", "opt", "amp", "model/depth", "absent"]).map(param_column) | st.just(
    "config.model.depth"
)
METRICS = st.builds(
    metric_column,
    st.sampled_from(["loss", "a b/c-d.e", "absent"]),
    st.sampled_from(["min", "max", "first", "last", "count"]),
)
ATTRIBUTES = st.sampled_from(["name", "user", "group"])
NULLS = joined(st.sampled_from(["is null", "is not null", "exists"]))


def text_tests(subject: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        joined(subject, NEGATION, st.sampled_from(["like", "ilike"]), PATTERNS)
        | joined(subject, NEGATION, "contains", TEXTS)
        | joined(subject, NEGATION, "matches", REGEXES)
    )


CONDITIONS = st.one_of(
    joined(ATTRIBUTES, ORDER, TEXTS),
    joined(ATTRIBUTES, NEGATION, "in", several(TEXTS)),
    text_tests(ATTRIBUTES),
    joined(PARAMS, ORDER, NUMBERS | TEXTS | st.sampled_from(["true", "false"])),
    joined(PARAMS, NEGATION, "in", several(NUMBERS | TEXTS)),
    text_tests(PARAMS),
    joined(METRICS, ORDER, NUMBERS),
    joined(METRICS, NEGATION, "in", several(NUMBERS)),
    joined(PARAMS | METRICS | st.sampled_from(["name", "user", "tags", "ended"]), NULLS),
    joined("tags", NEGATION, "contains", TEXTS),
    joined("tags", NEGATION, "in", several(TEXTS)),
    joined("tags", NEGATION, "like", PATTERNS),
    joined("state", st.sampled_from(["=", "!="]), st.sampled_from(["running", "failed", "finished"])),
    joined("state", NEGATION, "in", several(st.sampled_from(["running", "failed", "lost"]))),
    joined(
        st.sampled_from(["created", "ended", "updated"]),
        st.sampled_from(["<", "<=", ">", ">="]),
        st.sampled_from(["2026-09-21T14:13:22", "2026-09-21", "-1d", "-34001s", "2026-09-21T14:14:20"]),
    ),
    joined("duration", st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from(["60s", "1m", "0", "2h", "59.9"])),
    joined(st.sampled_from(["archived", "starred"]), "=", st.sampled_from(["true", "false"])),
    joined(PARAMS | st.sampled_from(["archived", "starred"])),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda inner: (
        joined("(", inner, st.sampled_from(["and", "or"]), inner, ")")
        | joined("not (", inner, ")")
        | joined(inner, "and", inner)
        | joined(inner, "or", inner)
    ),
    max_leaves=5,
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=FILTERS)
def test_clickhouse_and_python_choose_the_same_runs(stocked: Client, text: str) -> None:
    assert found(stocked, text) == expected(text)


HOSTILE = [
    "name = '\\'; DROP TABLE runs; --'",
    "name = '{p0:String}'",
    'config.opt = "\' OR 1=1 --"',
    "config.\"x') OR 1=1 --\" = 1 or name = 'alpha'",
    'last("x\') OR (1=1") < 1',
    "user in ('ana\\\\', '\\\\\\'')",
    "name contains '\\t'",
    "name contains '日本'",
    "name like '%\\\\\\\\%'",
]


def test_no_text_reaches_the_database_as_code(stocked: Client) -> None:
    for text in HOSTILE:
        assert found(stocked, text) == expected(text)


def test_a_filter_as_large_as_allowed_runs(stocked: Client) -> None:
    assert found(stocked, " or ".join(f"config.p{n} = {n}" for n in range(255)) + " or name = alpha") == {"alpha"}
    assert found(stocked, "(" * 60 + "name = alpha" + ")" * 60) == {"alpha"}
    assert found(stocked, "name in (" + ", ".join(["alpha"] * 2000) + ")") == {"alpha"}


def test_every_constant_is_a_parameter() -> None:
    selection = Selection(["vision"])
    where = compile_filter("name = xyzzy and config.plugh in (xyzzy, 41) and last(xyzzy) < 41", selection, now=NOW)
    assert not re.search("xyzzy|plugh|41", where + selection.sources())
    assert {"xyzzy", "plugh", 41.0} <= {
        value for value in selection.parameters.values() if isinstance(value, str | float)
    }
