"""Runs with just the columns that a filter, a sort key and a page need: one row a run, each table read once."""

# ruff: noqa: S608 - what is put into the text are names of ours and placeholders, never a value
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from runstream_storage.filters.columns import ATTRIBUTES
from runstream_storage.filters.terms import Subject

ALWAYS = "1"
OF_RUN = re.compile(r"\br\.(\w+)")
PARAM_TABLES = {"config": "params", "summary": "summary_values"}

# Attribute: the joins it needs and its expression. r: runs, e: run_edits, s: run_states.
EXPRESSIONS: dict[str, tuple[str, str]] = {
    "name": ("e", "if(e.name != '', e.name, r.name)"),
    "state": ("s", "if(s.state = '', 'running', s.state)"),
    "tags": ("e", "e.tags"),
    "created": ("", "r.created_us"),
    "ended": ("s", "s.ended_us"),
    "updated": ("s", "greatest(s.last_us, s.ended_us, r.created_us)"),
    "duration": ("s", "(greatest(if(s.closed, s.ended_us, s.last_us) - r.created_us, 0) / 1e6)"),
    "group": ("e", "if(e.has_group, e.group_name, r.group)"),
    "job_type": ("e", "if(e.has_job_type, e.job_type, r.job_type)"),
    "user": ("", "r.user"),
    "host": ("", "r.host"),
    "notes": ("e", "if(e.has_notes, e.notes, r.notes)"),
    "project": ("", "toString(r.project)"),
    "id": ("", "toString(r.run_id)"),
    "external_id": ("", "r.external_id"),
    "parent": ("", "r.parent_run"),
    "attempts": ("s", "toUInt32(s.attempt + 1)"),
    "exit_code": ("s", "s.exit_code"),
    "reason": ("s", "s.reason"),
    "archived": ("e", "e.archived"),
    "starred": ("e", "e.starred"),
}

# Aggregate: what it reads of a row, and how that makes one value. {0} is If where several metrics are read at once, {1}
# the condition. A name stands for a long expression because planning takes a time for each place in which it stands.
METRIC = {
    "last": ("last.value AS latest, last_order AS newest", "argMax{0}(latest, newest{1})"),
    "first": ("first", "min{0}(s.first{1}).3"),
    "min": ("min", "min{0}(s.min{1})"),
    "max": ("max", "max{0}(s.max{1})"),
}


@dataclass(frozen=True)
class Reference:
    """A column as SQL: `present` is its test for a value, `kind` is set for params, `number` and `text` its forms.

    `zero_if_absent`: `number` is 0 where there is no value, so that it sorts without a test.
    """

    present: str
    number: str = ""
    text: str = ""
    kind: str = ""
    zero_if_absent: bool = False


@dataclass
class Selection:
    """Collects columns and parameters, then renders FROM and WHERE.

    `archived` includes runs that people put away; deleted ones are never there. Without `exact`, no metric in use may
    have rows in summary_exact. `hidden` are the ids of the runs to leave out; None: the database looks for them.
    """

    projects: Sequence[str]
    archived: bool = False
    exact: bool = True
    hidden: Sequence[str] | None = None
    parameters: dict[str, object] = field(default_factory=dict)
    _joins: set[str] = field(default_factory=set)
    _columns: set[str] = field(default_factory=lambda: {"project", "run_id", "created_us", "ver"})
    _params: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    _metrics: dict[str, tuple[str, set[str]]] = field(default_factory=dict)
    _counts: dict[str, str] = field(default_factory=dict)

    def bind(self, value: object, type_name: str) -> str:
        """A placeholder for `value`, sent beside the query and never part of its text."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"{{{name}:{type_name}}}"

    def column(self, subject: Subject) -> Reference:
        """The column `subject` names; the table it needs will be joined."""
        if subject.kind == "attribute":
            return self._attribute(subject.name)
        if subject.kind == "metric":
            return self._metric(subject)
        key = (subject.kind, subject.names)
        alias = self._params.setdefault(key, f"c{len(self._params)}")
        value = f"{subject.kind}.{alias}"
        return Reference(
            present=f"{value}.1 NOT IN ('', 'null')", kind=f"{value}.1", text=f"{value}.2", number=f"{value}.3"
        )

    def _attribute(self, name: str) -> Reference:
        join, expression = EXPRESSIONS[name]
        self._columns.update(OF_RUN.findall(expression))
        if join:
            self._joins.add(join)
        kind = ATTRIBUTES[name][0]
        if kind == "tags":
            return Reference(present=f"notEmpty({expression})", text=expression)
        if kind in {"text", "state"}:
            return Reference(present=f"{expression} != ''", text=expression)
        return Reference(f"{expression} > 0" if name == "ended" else ALWAYS, number=expression, zero_if_absent=True)

    def _metric(self, subject: Subject) -> Reference:
        if subject.aggregate == "count":
            alias = self._counts.setdefault(subject.name, f"n{len(self._counts)}")
            return Reference(present=f"counts.{alias} > 0", number=f"toFloat64(counts.{alias})")
        alias, aggregates = self._metrics.setdefault(subject.name, (f"m{len(self._metrics)}", set()))
        aggregates.add(subject.aggregate)
        value, has = f"metrics.{alias}_{subject.aggregate}", f"metrics.{alias}_has > 0"
        if subject.aggregate in {"min", "max"}:
            return Reference(present=f"({has} AND NOT isNaN({value}))", number=value)
        return Reference(present=has, number=value, zero_if_absent=True)

    @property
    def metrics(self) -> set[str]:
        """The metrics that were asked for."""
        return {*self._metrics, *self._counts}

    def sources(self) -> str:
        """FROM with all joins, and WHERE without the filter."""
        projects = self.bind(list(self.projects), "Array(String)")
        columns = ", ".join(sorted(self._columns))  # each that a join carries along takes its planning
        where = f"project IN {projects}{self._unless_hidden(projects)}"
        parts = [f"FROM (SELECT {columns} FROM runs FINAL WHERE {where}) AS r"]
        if "s" in self._joins:
            parts.append(self._join(f"SELECT * FROM run_states WHERE project IN {projects}", "s"))
        if "e" in self._joins:
            parts.append(self._join(f"SELECT * FROM run_edits WHERE project IN {projects}", "e"))
        for kind, table in PARAM_TABLES.items():
            chosen = {names: alias for (of, names), alias in self._params.items() if of == kind}
            if chosen:
                parts.append(self._join(self._param_source(table, chosen, projects), kind))
        if self._metrics:
            parts.append(self._join(self._metric_source(projects), "metrics"))
        if self._counts:
            parts.append(self._join(self._count_source(projects), "counts"))
        edited = [f"e.{key} = 0" for key in self.hiding] if "e" in self._joins else []
        parts.append("WHERE " + (" AND ".join(edited) or ALWAYS))
        return "\n".join(parts)

    @property
    def _keys(self) -> str:
        """What rows of one run share. Within a project that is run_id, and one key is grouped and joined faster."""
        return "run_id" if len(self.projects) == 1 else "project, run_id"

    def _join(self, source: str, alias: str) -> str:
        on = " AND ".join(f"{alias}.{key} = r.{key}" for key in self._keys.split(", "))
        return f"LEFT JOIN ({source}) AS {alias} ON {on}"

    @property
    def hiding(self) -> list[str]:
        """The attributes that hide a run."""
        return ["deleted"] if self.archived else ["deleted", "archived"]

    def _unless_hidden(self, projects: str) -> str:
        """Asked of the runs alone, before any join; with run_edits joined, it tells."""
        if "e" in self._joins:
            return ""
        if self.hidden is not None:
            return f" AND run_id NOT IN {self.bind(list(self.hidden), 'Array(UUID)')}" if self.hidden else ""
        keys = ", ".join(f"'{key}'" for key in self.hiding)
        return (
            f" AND ({self._keys}) NOT IN (SELECT {self._keys} FROM run_attrs FINAL "
            f"WHERE project IN {projects} AND key IN ({keys}) AND is_deleted = 0)"
        )

    def _param_source(self, table: str, chosen: dict[tuple[str, ...], str], projects: str) -> str:
        columns = []
        for names, alias in chosen.items():
            if len(names) == 1:
                columns.append(f"anyIf((kind, text, number), name = {self.bind(names[0], 'String')}) AS {alias}")
            else:
                wanted = self.bind(list(names), "Array(String)")
                columns.append(f"argMinIf((kind, text, number), indexOf({wanted}, name), name IN {wanted}) AS {alias}")
        everything = self.bind(sorted({name for names in chosen for name in names}), "Array(String)")
        return (
            f"SELECT {self._keys}, {', '.join(columns)} FROM {table} FINAL "
            f"WHERE project IN {projects} AND name IN {everything} AND is_deleted = 0 GROUP BY {self._keys}"
        )

    def _metric_source(self, projects: str) -> str:
        columns, read = [], {}
        for metric, (alias, aggregates) in self._metrics.items():
            only = "" if len(self._metrics) == 1 else f"metric = {self.bind(metric, 'String')}"
            columns.append(f"countIf({only}) AS {alias}_has" if only else f"count() AS {alias}_has")
            for aggregate in sorted(aggregates):
                read[aggregate], form = METRIC[aggregate]
                value = form.format("If" if only else "", f", {only}" if only else "")
                columns.append(f"{value} AS {alias}_{aggregate}")
        source = self._rows(projects, self._metrics, ["metric", *read.values()])
        return f"SELECT {self._keys}, {', '.join(columns)} FROM ({source}) AS s GROUP BY {self._keys}"

    def _rows(self, projects: str, metrics: Iterable[str], columns: Sequence[str]) -> str:
        """The rows of metric_summary, and in place of those that are wrong as sums the exact ones, where there are."""
        everything = self.bind(sorted(metrics), "Array(String)")
        chosen = f"{self._keys}, {', '.join(columns)}"
        # One exact row a metric and run: no other is older than it.
        exact = chosen.replace("rank, writer", "toUInt32(0), toUInt64(0)").replace("last_order", "toUInt128(0)")
        where = f"WHERE project IN {projects} AND metric IN {everything}"
        if not self.exact:
            return f"SELECT {chosen} FROM metric_summary {where}"
        return (
            f"SELECT {chosen} FROM metric_summary {where} AND ({self._keys}, metric) NOT IN "
            f"(SELECT {self._keys}, metric FROM summary_exact {where}) UNION ALL "
            f"SELECT {exact} FROM summary_exact FINAL {where} AND n > 0"
        )

    def _count_source(self, projects: str) -> str:
        columns = []
        for metric, alias in self._counts.items():
            columns.append(f"sumIf(n, metric = {self.bind(metric, 'String')}) AS {alias}")
        source = self._rows(projects, self._counts, ["metric", "rank, writer", "n"])
        return (
            f"SELECT {self._keys}, {', '.join(columns)} FROM (SELECT {self._keys}, metric, max(s.n) AS n "
            f"FROM ({source}) AS s GROUP BY {self._keys}, metric, rank, writer) GROUP BY {self._keys}"
        )
