"""The columns that a run has, and how a filter, a sort key or a table names them."""

from __future__ import annotations

import difflib
import re
from typing import Literal

from runstream_storage.errors import FilterError
from runstream_storage.filters.terms import Subject
from runstream_storage.filters.values import quote, unquote

AttributeType = Literal["text", "state", "date", "duration", "number", "tags", "bool"]
STATES = ("running", "stale", "lost", "finished", "failed", "killed", "preempted")

# Attribute: type and what it is, in the order in which people look for them.
ATTRIBUTES: dict[str, tuple[AttributeType, str]] = {
    "name": ("text", "name of the run, as last edited"),
    "state": ("state", ", ".join(STATES)),
    "tags": ("tags", "the run's tags"),
    "created": ("date", "first start"),
    "ended": ("date", "end; missing while the run lives"),
    "updated": ("date", "last sign of life"),
    "duration": ("duration", "from the first start to the end, or to the last sign of life"),
    "group": ("text", "group of runs"),
    "job_type": ("text", "for example train or eval"),
    "user": ("text", "who started it"),
    "host": ("text", "where it was first started"),
    "notes": ("text", "notes, as last edited"),
    "project": ("text", "project"),
    "id": ("text", "run id, lower case"),
    "external_id": ("text", "the id the user chose"),
    "parent": ("text", "run id of the parent"),
    "attempts": ("number", "starts: 1, and one more for each resume"),
    "exit_code": ("number", "exit code; 0 while the run lives"),
    "reason": ("text", "why it ended: the exception or signal"),
    "archived": ("bool", "hidden from lists"),
    "starred": ("bool", "marked by hand"),
}
UNQUOTED_PARAM = re.compile(r"[^\s\"'(),\[\]=<>!~.]+")
UNQUOTED_METRIC = re.compile(r"[^\s\"'()]+( [^\s\"'()]+)*")


def param_column(name: str) -> str:
    """The text that names the param `name`: config.lr, config."a b"."""
    return f"config.{name if UNQUOTED_PARAM.fullmatch(name) else quote(name)}"


def summary_column(name: str) -> str:
    """The text that names the user's summary value `name`."""
    return f"summary.{name if UNQUOTED_PARAM.fullmatch(name) else quote(name)}"


def metric_column(name: str, aggregate: str = "last") -> str:
    """The text that names an aggregate of the metric `name`: last(val/loss)."""
    return f"{aggregate}({name if UNQUOTED_METRIC.fullmatch(name) else quote(name)})"


def attribute_subject(word: str, *, column: int, filter_text: str) -> Subject:
    """The attribute `word`, in any case; raises FilterError with what was probably meant."""
    name = word.lower()
    if name in ATTRIBUTES:
        return Subject("attribute", (name,), word, column)
    if word[:1] in "+-.0123456789":
        raise FilterError(
            f"a condition cannot start with the value {word!r}",
            text=filter_text,
            column=column,
            hint="Write what is compared first: last(val/loss) < 0.2.",
        )
    close = difflib.get_close_matches(name, ATTRIBUTES, n=2, cutoff=0.7)
    meant = [f"Did you mean {' or '.join(close)}?"] if close else []
    meant.append(f"A metric is {metric_column(word)} (or min, max, first, count), a param {param_column(word)}.")
    raise FilterError(f"a run has no attribute {word!r}", text=filter_text, column=column, hint=" ".join(meant))


def param_subject(token: str, *, column: int) -> Subject:
    """config.<name>, params.<name> or summary.<name>; without quotes a '.' may also mean the '/' of nested names."""
    prefix, rest = token.split(".", 1)
    kind: Literal["config", "summary"] = "summary" if prefix.lower() == "summary" else "config"
    if rest[0] in "\"'":
        return Subject(kind, (unquote(rest),), token, column)
    nested = rest.replace(".", "/")
    return Subject(kind, (rest,) if nested == rest else (rest, nested), token, column)


def metric_subject(aggregate: str, name: str, *, column: int) -> Subject:
    """The metric `name` under `aggregate`, as the grammar reads it: with the opening parenthesis."""
    word = aggregate.rstrip("(").strip().lower()
    return Subject("metric", (name,), metric_column(name, word), column, word)
