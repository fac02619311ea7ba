"""Questions about runs, one function each. Every function takes a client of `runstream_storage.connection.connect`.

Columns, sort keys and filters are texts of the filter language (docs/filters.md). They raise FilterError for a text
that cannot be used, QueryError when the database refuses, and Unreachable when it does not answer.

Runs that people deleted show nothing; where a page needs them all the same, a function takes `include_deleted`. Not so
`curves`, `params` and `summaries`: they are asked by run id, many times a page, and answer for a deleted run, too. Who
calls them takes the ids from `runs`, `run` or `find_run`, which leave deleted runs out.

* runs: `projects`, `runs`, `count`, `best`, `groups`, `find_run`, `run`, `writers`, `params`, `summaries`,
  `summary_values`
* points: `curves`, `curves_against`, `hidden_curves`, `points`, `history`, `metric_definitions`
* media: `media_names` (with kinds), `media_steps` (the stops of a slider), `media` (at a step or the last before),
  `media_states` (what became of their bytes)
* texts: `text_names`, `text_steps`, `texts` (at a step), `text_page` (a series, paged and searched)
* histograms: `histogram_names`, `histograms` (thinned), `heat_maps` (on common edges, mass kept)
* console: `console_writers`, `console` (a page from a place or time on, filtered), `console_count`, `console_near`
* machines: `system_series` (nodes, metrics, devices), `system_curves` (by time or steps), `step_clocks` (time and step)
* data: `datasets` of runs, `dataset_runs` (who read the same data)
* artifacts: `artifact_page` (filtered, sorted, paged), `artifact_types`, `artifact_names`, `artifact_tags`,
  `artifact_versions`, `artifact`, `artifact_files` (a folder), `run_artifacts`, `run_awaited`
* where things come from: `lineage` (of an artifact, dataset, run or model), `environments`, `side_by_side` (of two)
* models: `models`, `model_versions`, `model_version`, `model_history`
* who did what: `audit`, `audit_actors`, `trash` (runs that can be restored), `saved_views` (of the runs table)
* what may go: `removable_versions` (expired, not among the best), `named_objects` (what the object store must keep)
* names for completion: `metric_names`, `param_names`, `summary_names`, `tag_names`, `attribute_values`, `completions`
* delivery: `gaps`, `pipeline`; and free SQL: `sql`, `sql_stream`, `views`
"""

from runstream_storage.queries.artifact_pages import ArtifactsPage, artifact_page, artifact_types
from runstream_storage.queries.artifacts import (
    FileEntry,
    FileListing,
    artifact,
    artifact_files,
    artifact_names,
    artifact_tags,
    artifact_versions,
    run_artifacts,
    run_awaited,
)
from runstream_storage.queries.audit import AuditPage, AuditPlace, Change, audit, audit_actors
from runstream_storage.queries.clock import StepClock, step_clocks
from runstream_storage.queries.console import (
    ConsoleFilter,
    ConsoleLine,
    ConsolePage,
    ConsolePlace,
    ConsoleWriter,
    console,
    console_count,
    console_near,
    console_writers,
)
from runstream_storage.queries.curves import curves
from runstream_storage.queries.datasets import Dataset, dataset_runs, datasets
from runstream_storage.queries.definitions import MetricDefinition, MetricDefinitions, metric_definitions
from runstream_storage.queries.delivery import DeadLetter, DeadLetters, Gap, Pipeline, TopicProgress, gaps, pipeline
from runstream_storage.queries.environment import Environment, Fact, environments, side_by_side
from runstream_storage.queries.groups import groups
from runstream_storage.queries.histograms import HeatMap, Histogram, heat_maps, histogram_names, histograms
from runstream_storage.queries.history import Fork, History, Rewind, Stretches, curves_against, hidden_curves, history
from runstream_storage.queries.lineage import Lineage, LineageEdge, LineageKey, LineageNode, lineage
from runstream_storage.queries.media import MediaItem, MediaName, media, media_names, media_states, media_steps
from runstream_storage.queries.models import (
    Model,
    ModelChange,
    ModelVersion,
    model_history,
    model_version,
    model_versions,
    models,
)
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
    AwaitedArtifact,
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
from runstream_storage.queries.retention import (
    NamedObject,
    RemovableVersion,
    named_count,
    named_objects,
    removable_versions,
)
from runstream_storage.queries.run import find_run, params, run, summaries, summary_values, writers
from runstream_storage.queries.runs import best, count, projects, runs
from runstream_storage.queries.saved_views import SavedView, saved_views
from runstream_storage.queries.shown import SeriesName
from runstream_storage.queries.sql import sql, sql_stream, views
from runstream_storage.queries.system import SystemCurve, SystemSeries, system_curves, system_series
from runstream_storage.queries.texts import TextValue, text_names, text_page, text_steps, texts
from runstream_storage.queries.trash import DeletedRun, Trash, trash

__all__ = [
    "ArtifactFile",
    "ArtifactLink",
    "ArtifactName",
    "ArtifactVersion",
    "ArtifactsPage",
    "AuditPage",
    "AuditPlace",
    "AwaitedArtifact",
    "Best",
    "Change",
    "ConsoleFilter",
    "ConsoleLine",
    "ConsolePage",
    "ConsolePlace",
    "ConsoleWriter",
    "Curve",
    "Curves",
    "Dataset",
    "DeadLetter",
    "DeadLetters",
    "DeletedRun",
    "Environment",
    "Fact",
    "FileEntry",
    "FileListing",
    "Fork",
    "Gap",
    "Group",
    "HeatMap",
    "Histogram",
    "History",
    "Lineage",
    "LineageEdge",
    "LineageKey",
    "LineageNode",
    "MediaItem",
    "MediaName",
    "MetricDefinition",
    "MetricDefinitions",
    "Model",
    "ModelChange",
    "ModelVersion",
    "Name",
    "NamedObject",
    "Pipeline",
    "Project",
    "RemovableVersion",
    "Rewind",
    "RunHeader",
    "RunRow",
    "RunsPage",
    "SavedView",
    "SeriesName",
    "Spread",
    "SqlResult",
    "StepClock",
    "Stretches",
    "Summary",
    "SystemCurve",
    "SystemSeries",
    "TextValue",
    "TopicProgress",
    "Trash",
    "Value",
    "View",
    "ViewColumn",
    "Writer",
    "artifact",
    "artifact_files",
    "artifact_names",
    "artifact_page",
    "artifact_tags",
    "artifact_types",
    "artifact_versions",
    "attribute_values",
    "audit",
    "audit_actors",
    "best",
    "completions",
    "console",
    "console_count",
    "console_near",
    "console_writers",
    "count",
    "curves",
    "curves_against",
    "dataset_runs",
    "datasets",
    "environments",
    "find_run",
    "gaps",
    "groups",
    "heat_maps",
    "hidden_curves",
    "histogram_names",
    "histograms",
    "history",
    "lineage",
    "media",
    "media_names",
    "media_states",
    "media_steps",
    "metric_definitions",
    "metric_names",
    "model_history",
    "model_version",
    "model_versions",
    "models",
    "named_count",
    "named_objects",
    "param_names",
    "params",
    "pipeline",
    "points",
    "projects",
    "removable_versions",
    "run",
    "run_artifacts",
    "run_awaited",
    "runs",
    "saved_views",
    "side_by_side",
    "sql",
    "sql_stream",
    "step_clocks",
    "summaries",
    "summary_names",
    "summary_values",
    "system_curves",
    "system_series",
    "tag_names",
    "text_names",
    "text_page",
    "text_steps",
    "texts",
    "trash",
    "views",
    "writers",
]
