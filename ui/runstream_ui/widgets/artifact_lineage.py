"""What a version was made from and what was made of it, as a graph and as a list."""

from __future__ import annotations

import streamlit as st

from runstream_storage.queries import Lineage, LineageKey, LineageNode
from runstream_ui import artifact_data, formats, frame, lineage_graph, urls
from runstream_ui.palette import run_colour
from runstream_ui.widgets.echart import echart
from runstream_ui.widgets.table import Cell, Column, Row, table

_DEPTHS = (1, 2, 4, 8, 16)
_LIMIT = 300


@st.fragment(key="lineage")
def artifact_lineage(project: str, root: LineageKey) -> None:
    """Depth and folding are in the address: `depth` and `unfold`."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="lineage-row"):
        depth = urls.get_int("depth", 4, 1, _DEPTHS[-1])
        st.session_state["lineage-depth"] = depth if depth in _DEPTHS else 4
        st.segmented_control(
            "Steps away", _DEPTHS, key="lineage-depth", required=True, on_change=_deeper, help="Links in each direction"
        )
        whole = st.toggle("Show all of a kind", key="unfold", bind="query-params", help="Do not fold what is alike")
        status = st.empty()
    with st.spinner("Following the links…", show_time=True):
        found = artifact_data.lineage(project, root, depth, _LIMIT)
    if len(found.nodes) < 2:
        st.markdown("Nothing is known that this was made from, and nothing that was made of it.")
        st.code('run.use_artifact("name:version")   # in the run that reads it', language="python")
        return
    drawn = _drawing(found)
    more = f" · only the nearest {_LIMIT} are shown" if found.truncated else ""
    links = formats.plural(len(found.edges), "link")
    status.html(f'<div class="rs-line" role="status">{_counts(found)}, {links}{more} · click a node to go there</div>')
    shown = drawn if whole else lineage_graph.folded(drawn)
    order = lineage_graph.columns(shown)
    _legend()
    echart(
        lineage_graph.options(shown, order),
        key="lineage-graph",
        height_px=lineage_graph.height_px(order),
        events={"click": "function(p){return p.dataType === 'node' ? [p.data.id, Date.now()] : null;}"},
        on_change=_clicked,
    )
    with st.expander("As a list", key="lineage-list"):
        _list(found)
    st.session_state["lineage-targets"] = {_id(node.key): _target(node) for node in found.nodes}


def _deeper() -> None:
    urls.put("depth", str(st.session_state["lineage-depth"]))


def _clicked() -> None:
    """Go to what was clicked; a folded node shows all of its kind."""
    state = st.session_state.get("lineage-graph")
    event = getattr(state, "chart_event", None) or (state.get("chart_event") if isinstance(state, dict) else None)
    if not isinstance(event, list) or not event:
        return
    if str(event[0]).startswith("folded:"):
        st.session_state["unfold"] = True
        return
    page, params = st.session_state.get("lineage-targets", {}).get(str(event[0]), ("", {}))
    if page:
        frame.go(page, **params)


def _target(node: LineageNode) -> tuple[str, dict[str, str]]:
    """(page, its state) of a node; ("", {}) where there is none."""
    project = node.key.project
    match node.kind:
        case "run":
            return "run", {"project": project, "run": node.key.id}
        case "artifact":
            known = {"project": project, "artifact": node.key.name, "version": node.key.id or node.version}
            return "artifacts", known | {"tab": "Lineage"}
        case "model":
            return "models", {"project": project, "model": node.key.name, "version": node.key.id}
        case _:
            return "", {}


def _id(key: LineageKey) -> str:
    return "\x1f".join(key)


def _drawing(found: Lineage) -> lineage_graph.Lineage:
    nodes = []
    for node in found.nodes:
        label, note = node.name, node.type
        if node.kind in ("artifact", "model"):
            label = f"{formats.middle_cut(node.name, 18)}:{node.version}"
        if node.kind == "artifact":
            note = " · ".join(filter(None, (node.type, ", ".join(node.aliases), "deleted" if node.deleted else "")))
        if node.key.project != found.root.project:
            note = " · ".join(filter(None, (f"in {formats.middle_cut(node.key.project, 18)}", note)))
        hover = f"{node.name}{f' {node.version}' if node.version else ''}{f' ({note})' if note else ''}"
        nodes.append(lineage_graph.Node(_id(node.key), node.kind, label, note or node.kind, hover))
    edges = tuple((_id(edge.source), _id(edge.target)) for edge in found.edges)
    return lineage_graph.Lineage(tuple(nodes), edges, _id(found.root))


def _counts(found: Lineage) -> str:
    kinds: dict[str, int] = {}
    for node in found.nodes:
        kinds[node.kind] = kinds.get(node.kind, 0) + 1
    return ", ".join(formats.plural(count, kind) for kind, count in kinds.items())


def _legend() -> None:
    marks = "".join(
        f'<span><span class="rs-shape rs-shape-{kind}" aria-hidden="true"></span>{kind}</span>'
        for kind in ("artifact", "dataset", "run", "model")
    )
    st.html(f'<div class="rs-legend">{marks}</div>')


def _named(found: Lineage, node: LineageNode) -> str:
    of = "" if node.key.project == found.root.project else f"{node.key.project}/"
    return f"{of}{node.name}:{node.version}" if node.version else f"{of}{node.name}"


def _list(found: Lineage) -> None:
    """The same for keyboards and screen readers: what each node was made from."""
    names = {node.key: _named(found, node) for node in found.nodes}
    before: dict[LineageKey, list[str]] = {}
    for edge in found.edges:
        before.setdefault(edge.target, []).append(names.get(edge.source, edge.source.name))
    rows = []
    for node in found.nodes:
        page, params = _target(node)
        sources = ", ".join(before.get(node.key, []))
        rows.append(
            Row(
                _id(node.key),
                (
                    Cell(
                        formats.middle_cut(names[node.key], 60),
                        names[node.key],
                        href=urls.page_link(page, **params) if page else "",
                        swatch=run_colour(node.key.id) if node.kind == "run" else "",
                    ),
                    Cell(node.kind),
                    Cell(formats.middle_cut(sources, 120), sources),
                ),
            )
        )
    table(
        [Column("name", "Name", pin=True), Column("kind", "Kind"), Column("from", "Made from or read")],
        rows,
        key="lineage-table",
        label="Nodes of the lineage graph",
        on_open=_opened,
        max_height="22rem",
    )


def _opened(row: str, _column: str) -> None:
    page, params = st.session_state.get("lineage-targets", {}).get(row, ("", {}))
    if page:
        frame.go(page, **params)
