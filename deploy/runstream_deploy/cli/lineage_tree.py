"""A lineage graph as two trees, or as a document."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.tree import Tree

    from runstream_storage.queries.lineage import Lineage, LineageKey, LineageNode


def as_document(graph: Lineage) -> dict[str, Any]:
    return {
        "root": graph.root._asdict(),
        "nodes": [{**dataclasses.asdict(node), "key": node.key._asdict()} for node in graph.nodes],
        "edges": [
            {"source": edge.source._asdict(), "target": edge.target._asdict(), "at": edge.at} for edge in graph.edges
        ],
        "truncated": graph.truncated,
    }


def print_tree(graph: Lineage) -> None:
    from rich.console import Console
    from rich.tree import Tree

    console = Console()
    nodes = {node.key: node for node in graph.nodes}
    console.print(_label(graph.root, nodes, graph.root.project), markup=False, highlight=False, style="bold")
    for title, towards_sources in (("made from", True), ("went into", False)):
        links: dict[LineageKey, list[LineageKey]] = defaultdict(list)
        for edge in graph.edges:
            here, there = (edge.target, edge.source) if towards_sources else (edge.source, edge.target)
            links[here].append(there)
        if links[graph.root]:
            tree = Tree(title)
            _grow(tree, graph.root, links, nodes, {graph.root}, graph.root.project)
            console.print(tree)
    if len(graph.nodes) < 2:
        console.print("Nothing is known of where it comes from or where it went.")
    if graph.truncated:
        console.print("There is more; raise --limit.", style="dim")


def _grow(
    tree: Tree,
    at: LineageKey,
    links: dict[LineageKey, list[LineageKey]],
    nodes: dict[LineageKey, LineageNode],
    seen: set[LineageKey],
    home: str,
) -> None:
    from rich.text import Text

    for key in dict.fromkeys(links[at]):
        again = key in seen
        branch = tree.add(Text(_label(key, nodes, home) + (" (as above)" if again and links[key] else "")))
        if not again:
            seen.add(key)
            _grow(branch, key, links, nodes, seen, home)


def _label(key: LineageKey, nodes: dict[LineageKey, LineageNode], home: str) -> str:
    """What of another project than `home` has that before its name."""
    node = nodes.get(key)
    of = "" if key.project == home else f"{key.project}/"
    if node is None:
        return f"{key.kind} {of}{key.name or key.id}"
    version = f":{node.version}" if node.version else ""
    kind = f"{node.kind} ({node.type})" if node.type else node.kind
    return f"{kind} {of}{node.name}{version}{' [deleted]' if node.deleted else ''}"
