"""Questions about runs, one function each. Every function takes a client of `runstream_storage.connection.connect`.

Columns, sort keys and filters are texts of the filter language (docs/filters.md). They raise FilterError for a text
that cannot be used, QueryError when the database refuses, and Unreachable when it does not answer.
"""

from runstream_storage.queries.artifacts import artifact, artifact_names, artifact_versions, run_artifacts
from runstream_storage.queries.curves import curves
from runstream_storage.queries.definitions import MetricDefinition, MetricDefinitions, metric_definitions
from runstream_storage.queries.delivery import DeadLetter, DeadLetters, Gap, Pipeline, TopicProgress, gaps, pipeline
from runstream_storage.queries.groups import groups
from runstream_storage.queries.history import Fork, History, Rewind, Stretches, curves_against, hidden_curves, history
from runstream_storage.queries.names import (
    attribute_values,
    completions,
    metric_names,
    param_names,
    summary_names,
    tag_names,
)
from runstream_storage.queries.points import points
from runstream_storage.queries.results import (
    ArtifactFile,
    ArtifactLink,
    ArtifactName,
    ArtifactVersion,
    Best,
    Curve,
    Curves,
    Group,
    Name,
    Project,
    RunHeader,
    RunRow,
    RunsPage,
    Spread,
    SqlResult,
    Summary,
    Value,
    View,
    ViewColumn,
    Writer,
)
from runstream_storage.queries.run import find_run, params, run, summaries, summary_values, writers
from runstream_storage.queries.runs import best, count, projects, runs
from runstream_storage.queries.sql import sql, sql_stream, views

__all__ = [
    "ArtifactFile",
    "ArtifactLink",
    "ArtifactName",
    "ArtifactVersion",
    "Best",
    "Curve",
    "Curves",
    "DeadLetter",
    "DeadLetters",
    "Fork",
    "Gap",
    "Group",
    "History",
    "MetricDefinition",
    "MetricDefinitions",
    "Name",
    "Pipeline",
    "Project",
    "Rewind",
    "RunHeader",
    "RunRow",
    "RunsPage",
    "Spread",
    "SqlResult",
    "Stretches",
    "Summary",
    "TopicProgress",
    "Value",
    "View",
    "ViewColumn",
    "Writer",
    "artifact",
    "artifact_names",
    "artifact_versions",
    "attribute_values",
    "best",
    "completions",
    "count",
    "curves",
    "curves_against",
    "find_run",
    "gaps",
    "groups",
    "hidden_curves",
    "history",
    "metric_definitions",
    "metric_names",
    "param_names",
    "params",
    "pipeline",
    "points",
    "projects",
    "run",
    "run_artifacts",
    "runs",
    "sql",
    "sql_stream",
    "summaries",
    "summary_names",
    "summary_values",
    "tag_names",
    "views",
    "writers",
]
