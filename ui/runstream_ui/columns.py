"""The columns of the runs table: texts of the filter language such as `max(val/acc)`, and what a header calls them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import streamlit as st

from runstream_storage.errors import FilterError
from runstream_storage.filters.columns import metric_column, param_column
from runstream_storage.filters.parser import parse_column
from runstream_storage.queries import MetricDefinition, MetricDefinitions
from runstream_ui import data, urls

AGGREGATES = ("last", "min", "max", "first", "count")
_DEFAULT_PARAMS = 4
_DEFAULT_METRICS = 4
_WORDS = {"last": "Last value of", "min": "Smallest value of", "max": "Largest value of", "first": "First value of"}
_GOALS: dict[str, data.Goal] = {"minimize": "min", "maximize": "max"}
_UNDEFINED = MetricDefinitions()
_LAST = 3
_DECISIVE = re.compile(r"acc|loss|err|f1|auc|score|reward|iou|bleu|r2|mse|mae|ppl|perplexity", re.IGNORECASE)
_MACHINE = {"system", "gpu", "cpu", "machine"}


@dataclass(frozen=True)
class Described:
    """A column: its text, what a header calls it, and for a metric the `aggregate`, and what its runs said of it: the
    better end (`goal`) and its `unit`."""

    text: str
    label: str
    origin: str
    aggregate: str = ""
    goal: data.Goal | None = None
    unit: str = ""

    @property
    def hint(self) -> str:
        if not self.aggregate:
            return f"{self.text}: click to sort"
        if self.aggregate == "count":
            return f"Number of points of {self.label}: click to sort"
        unit = f" in {self.unit}" if self.unit else ""
        better = {"max": ", higher is better", "min": ", lower is better", None: ""}[self.goal]
        return f"{_WORDS[self.aggregate]} {self.label}{unit}{better}: click to sort"


@lru_cache(maxsize=4096)
def described(text: str, definitions: MetricDefinitions = _UNDEFINED) -> Described:
    """What a column's text means; a text that means nothing (an old link) is shown as it is."""
    try:
        subject = parse_column(text)
    except FilterError:
        return Described(text, text, "")
    if subject.kind == "metric":
        said = definitions.of(subject.name) if subject.aggregate != "count" else MetricDefinition(subject.name)
        return Described(text, subject.name, subject.aggregate, subject.aggregate, _GOALS.get(said.goal), said.unit)
    return Described(text, subject.name, "" if subject.kind == "attribute" else subject.kind)


def summarised(metric: str, definitions: MetricDefinitions) -> str:
    """The aggregate that define_metric() asked for, else the last value."""
    said = definitions.of(metric)
    for wanted in said.summary:
        if wanted == "best" and said.goal:
            return _GOALS[said.goal]
        if wanted in AGGREGATES:
            return wanted
    return "last"


def defaults(names: data.Names, varying: Sequence[str], definitions: MetricDefinitions = _UNDEFINED) -> list[str]:
    """Params that tell runs apart, and the metrics that decide: those with a goal first, then validation, test and
    training, machine last."""
    params = [*varying, *(param.name for param in names.params if param.name not in set(varying))]
    said = {metric.name: definitions.of(metric.name) for metric in names.metrics}
    metrics = sorted(
        (metric for metric in names.metrics if not said[metric.name].hidden),
        key=lambda metric: (not said[metric.name].goal, _rank(metric.name), -metric.runs, metric.name),
    )
    return [param_column(name) for name in params[:_DEFAULT_PARAMS]] + [
        metric_column(metric.name, summarised(metric.name, definitions)) for metric in metrics[:_DEFAULT_METRICS]
    ]


def is_decisive(metric: str) -> bool:
    """Whether it is named like a loss or a score."""
    return _rank(metric)[1] == 0


def decisive_first(metrics: Sequence[str]) -> list[str]:
    """Metrics as somebody looks at them: validation losses and accuracies first, counters and machine metrics last."""
    return sorted(metrics, key=lambda metric: (_rank(metric)[0] == _LAST, _rank(metric)[1], _rank(metric), metric))


def of_link(project: str, text: str) -> list[str]:
    """The columns that `cols` of an address names, else the default ones."""
    named = urls.split_list(text)
    return named or defaults(data.names(project), data.varying_params(project), data.definitions(project))


def chooser(names: data.Names, chosen: Sequence[str]) -> None:
    """The column popover; a choice other than the default one is in the URL as `cols`."""
    params = [param_column(param.name) for param in names.params]
    metrics = [metric_column(metric.name, aggregate) for aggregate in AGGREGATES for metric in names.metrics]
    params += [text for text in chosen if text not in {*params, *metrics}]
    with st.popover("Columns", icon=":material/view_column:", width="content", help="Choose params and metrics"):
        _pick("Params", "column-params", params, chosen)
        _pick("Metrics", "column-metrics", metrics, chosen)
        if urls.get("cols"):
            st.button("Back to the default columns", key="column-reset", type="tertiary", on_click=_reset)


def _pick(title: str, key: str, options: Sequence[str], chosen: Sequence[str]) -> None:
    offered = set(options)
    st.session_state[key] = [text for text in chosen if text in offered]

    def changed() -> None:
        others = [text for text in chosen if text not in offered]
        mine = list(st.session_state[key])
        urls.put_list("cols", [*mine, *others] if key == "column-params" else [*others, *mine])

    st.multiselect(
        title,
        options,
        key=key,
        on_change=changed,
        format_func=lambda text: text.removeprefix("config."),
        placeholder="Type to search",
        select_all=False,
        width=420,
    )


def _reset() -> None:
    urls.put("cols", "")


def _rank(metric: str) -> tuple[int, int, int]:
    prefix, _, rest = metric.lower().partition("/")
    if prefix in _MACHINE:
        return (_LAST, 0, 0)
    order = 0 if prefix.startswith(("val", "eval")) else 1 if prefix.startswith("test") else 2
    return (order, 0 if _DECISIVE.search(rest or prefix) else 1, metric.count("/"))
