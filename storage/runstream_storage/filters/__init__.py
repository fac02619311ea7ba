"""The filter language: one text for the page, the command line and the API (docs/filters.md)."""

from runstream_storage.filters.columns import ATTRIBUTES, metric_column, param_column, summary_column
from runstream_storage.filters.compiler import compile_filter
from runstream_storage.filters.parser import parse, parse_column
from runstream_storage.filters.relation import Selection

__all__ = [
    "ATTRIBUTES",
    "Selection",
    "compile_filter",
    "metric_column",
    "param_column",
    "parse",
    "parse_column",
    "summary_column",
]
