"""What was made from what: artifacts and datasets that runs read, artifacts that they made, models made of those."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple
from uuid import UUID

from runstream_storage.execution import moment, rows
from runstream_storage.queries.artifacts import known_versions

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

LineageKind = Literal["artifact", "dataset", "run", "model"]


class LinkRow(NamedTuple):
    """A row of lineage_of_runs.sql."""

    run_id: str
    role: str
    kind: str
    name: str
    digest: str
    asked: str
    ts_us: int


class LineageKey(NamedTuple):
    """One thing: an artifact version by `name` and digest, a dataset by its digest (`name` empty), a run by its run id
    (`name` empty), a model version by the model's `name` and its version."""

    kind: LineageKind
    name: str
    id: str


@dataclass(frozen=True, slots=True)
class LineageNode:
    """`name` is what people call it. Of an artifact, `version` (v3; as it was asked for where it is not known here),
    `type`, `aliases` and whether it is deleted; of a model, `version` and in `type` its stage."""

    key: LineageKey
    name: str
    version: str = ""
    type: str = ""
    aliases: tuple[str, ...] = ()
    deleted: bool = False

    @property
    def kind(self) -> LineageKind:
        return self.key.kind


@dataclass(frozen=True, slots=True)
class LineageEdge:
    """`target` was made from `source`, or read it, at that time."""

    source: LineageKey
    target: LineageKey
    at: datetime


@dataclass(frozen=True, slots=True)
class Lineage:
    """A graph around `root`, which is its first node unless nothing is known of it. `truncated`: there is more than the
    limit of nodes."""

    root: LineageKey
    nodes: list[LineageNode]
    edges: list[LineageEdge]
    truncated: bool


def lineage(
    client: Client,
    project: str,
    root: LineageKey,
    *,
    upstream: int = 4,
    downstream: int = 4,
    limit: int = 200,
) -> Lineage:
    """What `root` was made from, up to `upstream` links away, and what was made of it, up to `downstream` links.

    From an artifact to the run that made it is one link, to what that run read another. Deleted runs are left out; at
    most `limit` nodes, the nearest first.
    """
    root = LineageKey("run", "", str(UUID(root.id))) if root.kind == "run" else root
    walk = _Walk(client, project, limit)
    if root.kind == "model":
        starts, upstream, downstream = walk.of_model(root), upstream - 1, 0
    else:
        starts = walk.begin(root)
    for links, towards_sources in ((upstream, True), (downstream, False)):
        frontier = starts
        for _ in range(links):
            frontier = walk.next(frontier, towards_sources=towards_sources)
            if not frontier:
                break
    if downstream > 0:
        walk.add_models()
    return walk.graph(root)


class _Walk:
    """The nodes and edges that were found, in order of distance from the root."""

    def __init__(self, client: Client, project: str, limit: int) -> None:
        self._client = client
        self._project = project
        self._limit = limit
        self._nodes: dict[LineageKey, LineageNode] = {}
        self._edges: dict[tuple[LineageKey, LineageKey], datetime] = {}
        self._truncated = False

    def next(self, frontier: Iterable[LineageKey], *, towards_sources: bool) -> list[LineageKey]:
        """Follow the links of `frontier` one further; the nodes that are new."""
        frontier = set(frontier)
        run_ids = [key.id for key in frontier if key.kind == "run"]
        digests = [key.id for key in frontier if key.kind == "artifact" and len(key.id) > 0]
        datasets = [key.id for key in frontier if key.kind == "dataset"]
        links = [(link, True) for link in self._links_of_runs(run_ids, "in" if towards_sources else "out")]
        links += [(link, False) for link in self._links_of(digests, datasets, "out" if towards_sources else "in")]
        reached: dict[LineageKey, LineageNode] = {}
        edges: dict[tuple[LineageKey, LineageKey], datetime] = {}
        for (run_id, role, kind, name, digest, asked, ts_us), from_run in links:
            run, content = LineageKey("run", "", run_id), _content(kind, name, digest, asked)
            if (run if from_run else content) not in frontier:
                continue  # The same content under another name is another artifact.
            far = content if from_run else run
            reached.setdefault(far, LineageNode(far, name if from_run else "", version=asked))
            if content in self._nodes and not self._nodes[content].name:
                self._nodes[content] = replace(self._nodes[content], name=name)
            edges.setdefault((run, content) if role == "out" else (content, run), moment(ts_us))
        return self._take(reached, edges)

    def of_model(self, root: LineageKey) -> list[LineageKey]:
        """Begin at a version of a model: the artifact that it is."""
        found = rows(self._client, "lineage_model", project=self._project, model=root.name, version=root.id)
        if not found:
            return []
        artifact, digest, stage, registered_us = found[0]
        key = LineageKey("artifact", artifact, digest)
        self._nodes[root] = LineageNode(root, root.name, version=root.id, type=stage)
        return self._take({key: LineageNode(key, artifact)}, {(key, root): moment(registered_us)})

    def add_models(self) -> None:
        """The model versions that the artifacts became."""
        digests = [key.id for key in self._nodes if key.kind == "artifact" and key.id]
        reached: dict[LineageKey, LineageNode] = {}
        edges: dict[tuple[LineageKey, LineageKey], datetime] = {}
        for model, version, artifact, digest, stage, registered_us in (
            rows(self._client, "lineage_models", project=self._project, digests=digests) if digests else []
        ):
            source, key = LineageKey("artifact", artifact, digest), LineageKey("model", model, version)
            if source in self._nodes:
                reached[key] = LineageNode(key, model, version=version, type=stage)
                edges[source, key] = moment(registered_us)
        self._take(reached, edges)

    def begin(self, root: LineageKey) -> list[LineageKey]:
        """Begin at anything else."""
        return self._take({root: LineageNode(root, root.name)}, {})

    def graph(self, root: LineageKey) -> Lineage:
        names = sorted({key.name for key in self._nodes if key.kind == "artifact"})
        digests = sorted({key.id for key in self._nodes if key.kind == "artifact" and key.id})
        known = known_versions(self._client, self._project, names, digests) if digests else {}
        nodes = []
        for key, node in self._nodes.items():
            version = known.get((key.name, key.id)) if key.kind == "artifact" else None
            if version is not None:
                node = replace(
                    node,
                    version=version.version,
                    type=version.type,
                    aliases=version.aliases,
                    deleted=version.deleted,
                )
            nodes.append(node)
        edges = [LineageEdge(source, target, at) for (source, target), at in self._edges.items()]
        return Lineage(root, nodes, edges, self._truncated)

    def _take(
        self,
        reached: dict[LineageKey, LineageNode],
        edges: dict[tuple[LineageKey, LineageKey], datetime],
    ) -> list[LineageKey]:
        """Add nodes, up to the limit and without deleted runs, and the edges between what is there; the new nodes."""
        fresh = {key: node for key, node in reached.items() if key not in self._nodes}
        run_ids = [key.id for key in fresh if key.kind == "run"]
        named = rows(self._client, "lineage_runs", project=self._project, run_ids=run_ids) if run_ids else []
        for run_id, name, deleted in named:
            key = LineageKey("run", "", run_id)
            if deleted:
                del fresh[key]
            else:
                fresh[key] = replace(fresh[key], name=name, version="")
        room = max(self._limit - len(self._nodes), 0)
        self._truncated |= len(fresh) > room
        taken = dict(list(fresh.items())[:room])
        self._nodes |= taken
        self._edges |= {
            ends: at
            for ends, at in edges.items()
            if all(end in self._nodes for end in ends) and ends not in self._edges
        }
        return list(taken)

    def _links_of_runs(self, run_ids: list[str], role: str) -> list[LinkRow]:
        if not run_ids:
            return []
        scope = {"project": self._project, "roles": [role], "limit": self._limit * 10}
        return [LinkRow(*row) for row in rows(self._client, "lineage_of_runs", run_ids=run_ids, **scope)]

    def _links_of(self, digests: list[str], datasets: list[str], role: str) -> list[LinkRow]:
        if not digests and not datasets:
            return []
        scope = {"project": self._project, "roles": [role], "limit": self._limit * 10}
        found = rows(self._client, "lineage_of_contents", digests=digests, datasets=datasets, **scope)
        return [LinkRow(*row) for row in found]


def _content(kind: str, name: str, digest: str, asked: str) -> LineageKey:
    if kind == "dataset":
        return LineageKey("dataset", "", digest)
    # What was read without its digest being known stands for itself, under the name it was asked by.
    return LineageKey("artifact", name if digest else f"{name}:{asked}", digest)
