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

    from runstream_storage.queries.results import ArtifactVersion

LineageKind = Literal["artifact", "dataset", "run", "model"]


class LinkRow(NamedTuple):
    """A row of lineage_of_runs.sql: a run of `project`, and what it read or made, which `holder` has."""

    project: str
    run_id: str
    role: str
    kind: str
    holder: str
    name: str
    digest: str
    asked: str
    ts_us: int


class LineageKey(NamedTuple):
    """One thing: an artifact version by `name` and digest, a dataset by its digest (`name` empty), a run by its run id
    (`name` empty), a model version by the model's `name` and its version. `project`: which has it; empty, in what is
    asked for: the project that is asked."""

    kind: LineageKind
    name: str
    id: str
    project: str = ""


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

    From an artifact to the run that made it is one link, to what that run read another. It leads into other projects
    where a run reads an artifact of another one, or a model is made of one. Deleted runs are left out; at
    most `limit` nodes, the nearest first.
    """
    root = root._replace(project=root.project or project)
    root = root._replace(name="", id=str(UUID(root.id))) if root.kind == "run" else root
    walk = _Walk(client, limit)
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

    def __init__(self, client: Client, limit: int) -> None:
        self._client = client
        self._limit = limit
        self._nodes: dict[LineageKey, LineageNode] = {}
        self._edges: dict[tuple[LineageKey, LineageKey], datetime] = {}
        self._truncated = False

    def next(self, frontier: Iterable[LineageKey], *, towards_sources: bool) -> list[LineageKey]:
        """Follow the links of `frontier` one further; the nodes that are new."""
        frontier = set(frontier)
        runs = [key for key in frontier if key.kind == "run"]
        artifacts = [key for key in frontier if key.kind == "artifact" and key.id]
        datasets = [key for key in frontier if key.kind == "dataset"]
        links = [(link, True) for link in self._links_of_runs(runs, "in" if towards_sources else "out")]
        links += [(link, False) for link in self._links_of(artifacts, datasets, "out" if towards_sources else "in")]
        reached: dict[LineageKey, LineageNode] = {}
        edges: dict[tuple[LineageKey, LineageKey], datetime] = {}
        for link, from_run in links:
            run, content = LineageKey("run", "", link.run_id, link.project), _content(link)
            if (run if from_run else content) not in frontier:
                continue  # The same content under another name is another artifact.
            far = content if from_run else run
            reached.setdefault(far, LineageNode(far, link.name if from_run else "", version=link.asked))
            if content in self._nodes and not self._nodes[content].name:
                self._nodes[content] = replace(self._nodes[content], name=link.name)
            edges.setdefault((run, content) if link.role == "out" else (content, run), moment(link.ts_us))
        return self._take(reached, edges)

    def of_model(self, root: LineageKey) -> list[LineageKey]:
        """Begin at a version of a model: the artifact that it is."""
        found = rows(self._client, "lineage_model", project=root.project, model=root.name, version=root.id)
        if not found:
            return []
        holder, artifact, digest, stage, registered_us = found[0]
        key = LineageKey("artifact", artifact, digest, holder)
        self._nodes[root] = LineageNode(root, root.name, version=root.id, type=stage)
        return self._take({key: LineageNode(key, artifact)}, {(key, root): moment(registered_us)})

    def add_models(self) -> None:
        """The model versions that the artifacts became."""
        known = [key for key in self._nodes if key.kind == "artifact" and key.id]
        reached: dict[LineageKey, LineageNode] = {}
        edges: dict[tuple[LineageKey, LineageKey], datetime] = {}
        of = {"projects": _projects(known), "digests": [key.id for key in known]}
        for project, model, version, holder, artifact, digest, stage, registered_us in (
            rows(self._client, "lineage_models", **of) if known else []
        ):
            source, key = (
                LineageKey("artifact", artifact, digest, holder),
                LineageKey("model", model, version, project),
            )
            if source in self._nodes:
                reached[key] = LineageNode(key, model, version=version, type=stage)
                edges[source, key] = moment(registered_us)
        self._take(reached, edges)

    def begin(self, root: LineageKey) -> list[LineageKey]:
        """Begin at anything else."""
        return self._take({root: LineageNode(root, root.name)}, {})

    def graph(self, root: LineageKey) -> Lineage:
        known: dict[LineageKey, ArtifactVersion] = {}
        artifacts = [key for key in self._nodes if key.kind == "artifact" and key.id]
        for project in _projects(artifacts):
            names = sorted({key.name for key in artifacts if key.project == project})
            digests = sorted({key.id for key in artifacts if key.project == project})
            for (name, digest), version in known_versions(self._client, project, names, digests).items():
                known[LineageKey("artifact", name, digest, project)] = version
        nodes = []
        for key, node in self._nodes.items():
            if (found := known.get(key)) is not None:
                node = replace(
                    node, version=found.version, type=found.type, aliases=found.aliases, deleted=found.deleted
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
        runs = [key for key in fresh if key.kind == "run"]
        of = {"projects": _projects(runs), "run_ids": [key.id for key in runs]}
        for project, run_id, name, deleted in rows(self._client, "lineage_runs", **of) if runs else []:
            key = LineageKey("run", "", run_id, project)
            if deleted:
                fresh.pop(key, None)
            elif key in fresh:
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

    def _links_of_runs(self, runs: list[LineageKey], role: str) -> list[LinkRow]:
        if not runs:
            return []
        scope = {"projects": _projects(runs), "roles": [role], "limit": self._limit * 10}
        run_ids = [key.id for key in runs]
        return [LinkRow(*row) for row in rows(self._client, "lineage_of_runs", run_ids=run_ids, **scope)]

    def _links_of(self, artifacts: list[LineageKey], datasets: list[LineageKey], role: str) -> list[LinkRow]:
        if not artifacts and not datasets:
            return []
        scope = {"projects": _projects([*artifacts, *datasets]), "roles": [role], "limit": self._limit * 10}
        of = {"digests": [key.id for key in artifacts], "datasets": [key.id for key in datasets]}
        return [LinkRow(*row) for row in rows(self._client, "lineage_of_contents", **of, **scope)]


def _projects(keys: Iterable[LineageKey]) -> list[str]:
    return sorted({key.project for key in keys})


def _content(link: LinkRow) -> LineageKey:
    if link.kind == "dataset":
        return LineageKey("dataset", "", link.digest, link.holder)
    # What was read without its digest being known stands for itself, under the name it was asked by.
    return LineageKey("artifact", link.name if link.digest else f"{link.name}:{link.asked}", link.digest, link.holder)
