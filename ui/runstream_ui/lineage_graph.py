"""The lineage of an artifact as a drawing: what it was made from at the left, what was made of it at the right.

Nodes stand in columns by how far from the sources they are, ordered within a column so that edges cross little. Many
nodes that differ in nothing but their name are folded into one, so that two hundred runs of one dataset stay readable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from runstream_ui.formats import middle_cut
from runstream_ui.markup import chart_script, in_chart
from runstream_ui.scripts import script

Kind = Literal["artifact", "dataset", "run", "model"]

_SHAPES = {"artifact": "roundRect", "dataset": "diamond", "run": "circle", "model": "triangle", "folded": "emptyCircle"}
_COLOURS = {"artifact": "#2b86d9", "dataset": "#c77c02", "run": "#15917a", "model": "#8a6fe0", "folded": "#7b8794"}
_TEXT = "#7c8793"
_EDGE, _FAINT_EDGE = "rgba(124, 135, 147, 0.55)", "rgba(124, 135, 147, 0.28)"
_ROW_PX, _MARGIN_PX, _MIN_PX, _MAX_PX = 58, 40, 260, 8_000
_TALL = 14
"""With more rows, columns begin at the top, where people look first, and labels stand in one line beside the node."""
_TALL_ROW_PX = 26
_COLUMNS_IN_VIEW = 6
_SWEEPS = 6
_KEPT = 8
_ROUNDS = 3
_LABEL = 24


@dataclass(frozen=True, slots=True)
class Node:
    """`id` is what a click gives back, `note` stands small below the label, `hover` is the whole."""

    id: str
    kind: Kind | Literal["folded"]
    label: str
    note: str = ""
    hover: str = ""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Edges lead from what came first to what was made of it, as pairs of ids; `focus` is the node that is asked
    about."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]
    focus: str = ""


def folded(lineage: Lineage, *, keep: int = _KEPT) -> Lineage:
    """Nodes of a kind that stand alike, more than `keep` + 1 of them: the first `keep`, and one that says how many more
    there are. Alike are runs of one dataset, and the models that each of them made. The focus is never folded."""
    alike: dict[tuple[str, int], list[Node]] = defaultdict(list)
    shapes = _shapes(lineage, keep)
    for node in lineage.nodes:
        if node.id != lineage.focus:
            alike[node.kind, shapes[node.id]].append(node)
    gone: dict[str, str] = {}
    extra: list[Node] = []
    for (kind, _), nodes in alike.items():
        if len(nodes) <= keep + 1:
            continue
        rest = nodes[keep:]
        more = Node(f"folded:{rest[0].id}", "folded", f"{len(rest):,} more {kind}s", "click to show all")
        gone |= {node.id: more.id for node in rest}
        extra.append(more)
    if not gone:
        return lineage
    edges = dict.fromkeys((gone.get(start, start), gone.get(end, end)) for start, end in lineage.edges)
    kept = tuple(node for node in lineage.nodes if node.id not in gone)
    return replace(lineage, nodes=kept + tuple(extra), edges=tuple(edges))


def _shapes(lineage: Lineage, keep: int) -> dict[str, int]:
    """A number for each node, the same for nodes with the same surroundings a few links far: the very same neighbours
    where these have many, else neighbours that stand alike in their turn."""
    before, after = _neighbours(lineage)
    kinds = {node.id: node.kind for node in lineage.nodes}
    own = {name for name in kinds if name == lineage.focus or len(before[name]) + len(after[name]) > keep}
    numbers: dict[object, int] = {}
    shapes = {name: numbers.setdefault(name if name in own else kind, len(numbers)) for name, kind in kinds.items()}
    for _ in range(_ROUNDS):
        seen = {
            name: (
                shapes[name],
                tuple(sorted(shapes.get(other, -1) for other in before[name])),
                tuple(sorted(shapes.get(other, -1) for other in after[name])),
            )
            for name in kinds
            if name not in own
        }
        shapes |= {name: numbers.setdefault(shape, len(numbers)) for name, shape in seen.items()}
    return shapes


def columns(lineage: Lineage) -> list[list[str]]:
    """The ids of each column, sources first, top to bottom. An edge that would close a circle counts for nothing."""
    depth = _depths(lineage)
    order: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in lineage.nodes:
        order[depth[node.id]].append(node.id)
    before, after = _neighbours(lineage)
    for sweep in range(_SWEEPS):
        places = {name: place / max(1, len(column)) for column in order for place, name in enumerate(column)}
        near = before if sweep % 2 == 0 else after
        for column in order if sweep % 2 == 0 else reversed(order):
            middles = {name: _middle([places[other] for other in near[name]], places[name]) for name in column}
            column.sort(key=lambda name: middles[name])
            places |= {name: place / max(1, len(column)) for place, name in enumerate(column)}
    return order


def height_px(order: Sequence[Sequence[str]]) -> int:
    """How tall the drawing has to be for its labels not to meet."""
    tallest = max((len(column) for column in order), default=0)
    row_px = _TALL_ROW_PX if tallest > _TALL else _ROW_PX
    return min(_MAX_PX, max(_MIN_PX, tallest * row_px + 2 * _MARGIN_PX))


def options(lineage: Lineage, order: Sequence[Sequence[str]]) -> dict[str, Any]:
    """ECharts options; the data of a node has its id under `id`."""
    tallest = max((len(column) for column in order), default=1)
    tall = tallest > _TALL
    rows = {
        name: row + (0 if tall else (tallest - len(column)) / 2) for column in order for row, name in enumerate(column)
    }
    place = {name: (column, rows[name]) for column, names in enumerate(order) for name in names}
    nodes = [_drawn(node, place[node.id], focus=node.id == lineage.focus, tall=tall) for node in lineage.nodes]
    last, start = len(order) - 1, place.get(lineage.focus, (0, 0.0))[0]
    first_shown = max(0, min(start - _COLUMNS_IN_VIEW // 2, last - _COLUMNS_IN_VIEW + 1))
    zoom = {"type": "inside", "xAxisIndex": 0, "filterMode": "none", "zoomOnMouseWheel": "ctrl", "minValueSpan": 1}
    if last >= _COLUMNS_IN_VIEW:
        zoom |= {"startValue": first_shown - 0.5, "endValue": first_shown + _COLUMNS_IN_VIEW - 0.5}
    counts: dict[str, int] = defaultdict(int)
    for node in lineage.nodes:
        counts[node.kind] += 1
    summary = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    return in_chart_with_scripts(
        {
            "animation": False,
            "aria": {"enabled": True, "label": {"description": f"Lineage graph of {summary}; listed below it"}},
            "grid": {"left": 16, "right": 16, "top": 12, "bottom": 26},
            "xAxis": {"type": "value", "show": False, "min": -0.5, "max": last + 0.5},
            "yAxis": {"type": "value", "show": False, "inverse": True, "min": -0.5, "max": tallest - 0.5},
            "dataZoom": [zoom],
            "tooltip": {"trigger": "item", "appendTo": "body", "confine": False},
            "series": [
                {
                    "type": "graph",
                    "coordinateSystem": "cartesian2d",
                    "data": nodes,
                    "links": [{"source": start, "target": end} for start, end in lineage.edges],
                    "edgeSymbol": ["none", "arrow"],
                    "edgeSymbolSize": 7,
                    "lineStyle": {"color": _FAINT_EDGE if tall else _EDGE, "width": 1.4, "curveness": 0.06},
                    "emphasis": {"focus": "adjacency", "lineStyle": {"width": 2.4}},
                    "blur": {"itemStyle": {"opacity": 0.25}, "lineStyle": {"opacity": 0.15}},
                }
            ],
        }
    )


def in_chart_with_scripts(chart: dict[str, Any]) -> dict[str, Any]:
    """User text cleaned first, then our own scripts."""
    cleaned: dict[str, Any] = in_chart(chart)
    cleaned["tooltip"]["formatter"] = chart_script(script("tooltip_node"))
    cleaned["tooltip"]["position"] = chart_script(script("place_tooltip"))
    return cleaned


def _drawn(node: Node, place: tuple[int, float], *, focus: bool, tall: bool) -> dict[str, Any]:
    colour = _COLOURS[node.kind]
    lines = f"{{name|{_plain(middle_cut(node.label, _LABEL))}}}"
    separator = " " if tall else "\n"
    if node.note and (not tall or node.kind == "folded"):
        lines += f"{separator}{{note|{_plain(middle_cut(node.note, _LABEL + 4))}}}"
    return {
        "id": node.id,
        "name": node.id,
        "kind": node.kind,
        "hover": node.hover or node.label,
        "value": [place[0], place[1]],
        "symbol": _SHAPES[node.kind],
        "symbolSize": 22 if focus else 12 if tall else 16,
        "cursor": "pointer",
        "itemStyle": {"color": colour, "borderColor": colour}
        | ({"shadowBlur": 0, "borderWidth": 6, "borderColor": f"{colour}66"} if focus else {}),
        "label": {
            "show": True,
            "position": "right" if tall else "bottom",
            "distance": 5,
            "formatter": lines,
            "rich": {
                "name": {"color": "inherit" if focus else _TEXT, "fontSize": 12, "fontWeight": 600, "lineHeight": 15},
                "note": {"color": _TEXT, "fontSize": 10, "lineHeight": 12},
            },
        },
    }


def _plain(text: str) -> str:
    """Without what ECharts' rich text would take for markup."""
    return text.translate({ord("{"): "(", ord("}"): ")", ord("|"): "¦", ord("\n"): " "})


def _neighbours(lineage: Lineage) -> tuple[Mapping[str, set[str]], Mapping[str, set[str]]]:
    """(what lies before each node, what lies behind it)."""
    before: dict[str, set[str]] = defaultdict(set)
    after: dict[str, set[str]] = defaultdict(set)
    for start, end in lineage.edges:
        before[end].add(start)
        after[start].add(end)
    return before, after


def _depths(lineage: Lineage) -> dict[str, int]:
    """How many edges the longest way from a source has; without recursion, for lineages of thousands of steps."""
    _, after = _neighbours(lineage)
    ids = [node.id for node in lineage.nodes]
    known = set(ids)
    order: list[str] = []
    state: dict[str, int] = {}
    forward: dict[str, list[str]] = {name: [] for name in ids}
    for root in ids:
        if root in state:
            continue
        state[root] = 1
        stack = [(root, iter(sorted(after[root] & known)))]
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                state[name] = 2
                order.append(name)
            elif state.get(following) != 1:  # an edge to a node on the way here would close a circle
                forward[name].append(following)
                if following not in state:
                    state[following] = 1
                    stack.append((following, iter(sorted(after[following] & known))))
    depth = dict.fromkeys(ids, 0)
    for name in reversed(order):
        for following in forward[name]:
            depth[following] = max(depth[following], depth[name] + 1)
    return depth


def _middle(places: Sequence[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise
