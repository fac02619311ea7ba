"""What the query functions return: dataclasses for what a page shows, numpy columns for curves.

Times are timezone-aware datetimes in UTC. A number that is missing is None; NaN is a value that was logged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from runstream.objects import object_key

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

State = Literal["running", "stale", "lost", "finished", "failed", "killed", "preempted"]
Kind = Literal["null", "bool", "int", "float", "string", "datetime", "json"]
Scalar = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Project:
    """A project and how busy it is; `last_at` is its newest sign of life."""

    name: str
    runs: int
    running: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Name:
    """A param, metric, tag or attribute value that exists, and in how many runs."""

    name: str
    runs: int


@dataclass(frozen=True, slots=True)
class Value:
    """A typed value of config or summary; `value` is what Python would call it (a JSON value: its parsed form)."""

    name: str
    kind: Kind
    text: str
    value: Any


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as one line of a table.

    `ended_at` is None while the run lives. `duration_s` runs from the first start to the end, or to `last_at`.
    `values` holds the columns that were asked for, by the text they were asked with; a missing value is None.
    """

    project: str
    run_id: str
    name: str
    state: State
    created_at: datetime
    ended_at: datetime | None
    last_at: datetime
    duration_s: float
    group: str
    job_type: str
    user: str
    host: str
    tags: tuple[str, ...]
    notes: str
    archived: bool
    values: dict[str, Scalar] = field(default_factory=dict)
    starred: bool = False


@dataclass(frozen=True, slots=True)
class RunsPage:
    """One page of the runs table: `matched` runs pass the filter, out of `total`."""

    rows: list[RunRow]
    matched: int
    total: int


@dataclass(frozen=True, slots=True)
class Best:
    """The run with the smallest or largest value of a column."""

    run_id: str
    run_name: str
    value: float


@dataclass(frozen=True, slots=True)
class Spread:
    """How one column is spread over the runs of a group; None where no run has a number.

    The 95 % confidence interval of the mean, by Student's t, is mean - ci to mean + ci; None for fewer than two runs.
    """

    n: int
    mean: float | None
    min: float | None
    max: float | None
    ci: float | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Runs with the same value of the column they were grouped by; `key` is None for runs without it."""

    key: Scalar
    runs: int
    values: dict[str, Spread]


@dataclass(frozen=True, slots=True)
class Writer:
    """One process that wrote to the run. `state` is empty until it ended; `rows` counts its log() calls, -1 unknown."""

    writer: int
    attempt: int
    rank: int
    started_at: datetime
    last_at: datetime
    state: str
    exit_code: int
    reason: str
    rows: int
    user: str
    host: str
    pid: int
    command: tuple[str, ...]
    cwd: str
    python: str
    platform: str
    client_version: str
    git: dict[str, str]
    environment: dict[str, str]
    machine: dict[str, str]
    packages: dict[str, str]
    job: dict[str, str] = field(default_factory=dict)
    determinism: dict[str, str] = field(default_factory=dict)
    """Seeds and flags as last seen; what was set after the start wins."""
    determinism_at_start: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunHeader:
    """All that stands above a run's charts. `git`, `machine` and so on are on `writers`, newest attempt and lowest rank
    first; `last_point_at` is None before the first point."""

    run: RunRow
    external_id: str
    parent_run: str
    attempts: int
    metrics: int
    points: int
    last_step: int | None
    last_point_at: datetime | None
    exit_code: int
    reason: str
    writers: list[Writer]


@dataclass(frozen=True, slots=True)
class Summary:
    """A metric of a run over all its points. `min` and `max` are None when no value is a number; `n` counts values
    logged, NaN and infinities included."""

    run_id: str
    metric: str
    last: float
    last_step: int
    first: float
    first_step: int
    min: float | None
    max: float | None
    n: int
    n_nan: int
    n_inf: int
    first_at: datetime
    last_at: datetime
    ranks: int


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric of one run as an envelope: in the stretch from x0[i] to x1[i] the values lie between lo[i] and hi[i].

    Arrays of the same length, in order of x. x is steps; microseconds since 1970 for x='time'; microseconds since the
    run's start for 'relative'. A stretch without finite values has NaN in lo and hi; n_nan, n_pos and n_neg count the
    NaN, +inf and -inf in each. `exact` says that each stretch is one x, so that lo and hi are the logged value itself.
    """

    run_id: str
    metric: str
    x0: np.ndarray[Any, np.dtype[np.int64]]
    x1: np.ndarray[Any, np.dtype[np.int64]]
    lo: np.ndarray[Any, np.dtype[np.float64]]
    hi: np.ndarray[Any, np.dtype[np.float64]]
    n_nan: np.ndarray[Any, np.dtype[np.uint64]]
    n_pos: np.ndarray[Any, np.dtype[np.uint64]]
    n_neg: np.ndarray[Any, np.dtype[np.uint64]]
    exact: bool

    def __len__(self) -> int:
        return len(self.x0)


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves by (run_id, metric); a pair without points is absent."""

    by_pair: dict[tuple[str, str], Curve]

    def get(self, run_id: str, metric: str) -> Curve | None:
        return self.by_pair.get((run_id, metric))

    def of_metric(self, metric: str) -> list[Curve]:
        """The curves of one chart, in the order of the run ids that were asked for."""
        return [curve for (_, name), curve in self.by_pair.items() if name == metric]

    def __iter__(self) -> Iterator[Curve]:
        return iter(self.by_pair.values())

    def __len__(self) -> int:
        return len(self.by_pair)


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file of an artifact; `key` is its name in the object store, `size` in bytes.

    `ref` is the address of a file that was not copied: it has no object, and `sha256` is of what is known of it.
    """

    path: str
    sha256: str
    size: int
    mime: str
    ref: str = ""

    @property
    def key(self) -> str:
        return object_key(self.sha256)


@dataclass(frozen=True, slots=True)
class ArtifactVersion:
    """One version of an artifact; `version` is v0, v1, ... in the order of logging, `size` in bytes of all files.

    The newest version that is not deleted has the alias 'latest' besides those people set. `files` is empty where only
    the list was asked. `expires_at` is from when on it may be removed, None: never. `score` is what keep-best ranks by.
    """

    project: str
    name: str
    version: str
    digest: str
    type: str
    aliases: tuple[str, ...]
    run_id: str
    run_name: str
    created_at: datetime
    size: int
    n_files: int
    metadata: dict[str, Any]
    description: str
    files: tuple[ArtifactFile, ...] = ()
    tags: tuple[str, ...] = ()
    expires_at: datetime | None = None
    score: float | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class ArtifactLink:
    """A run made ('out') or read ('in') an artifact of `project`; `asked` is how a reader named the version.

    `artifact` is None when what was read is not known here."""

    role: Literal["out", "in"]
    name: str
    asked: str
    at: datetime
    artifact: ArtifactVersion | None
    project: str


@dataclass(frozen=True, slots=True)
class AwaitedArtifact:
    """An artifact that a run logged and that is no version yet: its files are on their way (`pending`) or `lost`."""

    name: str
    type: str
    n_files: int
    size: int
    """Bytes of its files."""
    state: Literal["pending", "lost"]
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ArtifactName:
    """An artifact and its newest version, whose size is `size`; `total_size` is that of all versions, in bytes."""

    project: str
    name: str
    type: str
    versions: int
    latest: str
    size: int
    created_at: datetime
    total_size: int


@dataclass(frozen=True, slots=True)
class SqlResult:
    """The answer to a query of a person. `truncated`: there are more rows than `table` holds.

    `read_rows` and `read_bytes` are what the server read for it, as it says.
    """

    table: pa.Table
    truncated: bool
    seconds: float
    read_rows: int
    read_bytes: int


@dataclass(frozen=True, slots=True)
class ViewColumn:
    name: str
    type: str
    comment: str


@dataclass(frozen=True, slots=True)
class View:
    """A documented view for analysts, as the database describes it."""

    name: str
    comment: str
    columns: tuple[ViewColumn, ...]
