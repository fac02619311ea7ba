"""What stands above a version of an artifact: what it is, who made it, who read it, and how to get it."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from runstream_storage.queries import LineageNode
from runstream_storage.queries.results import ArtifactVersion
from runstream_ui import artifact_data, formats, urls
from runstream_ui.markup import in_html
from runstream_ui.palette import run_colour
from runstream_ui.widgets.artifact_forms import version_actions

_OFFERED = 200
_USERS = 6
_PER_VERSION = ("in", "find", "file", "files-page", "against")


def crumbs(project: str, name: str) -> None:
    everything = urls.page_link("artifacts", project=project)
    st.html(
        f'<div class="rs-crumbs"><a href="{in_html(everything)}" target="_self">Artifacts</a> / '
        f'<span title="{in_html(name)}">{in_html(formats.middle_cut(name, 80))}</span></div>'
    )


def artifact_header(version: ArtifactVersion) -> None:
    """Name, version, aliases, tags, facts, makers and readers, actions."""
    crumbs(version.project, version.name)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="artifact-top"):
        _version_select(version)
        st.html(_marks(version), width="stretch")
        with st.popover("Use", icon=":material/code:", key="use-artifact"):
            _usage(version)
        version_actions(version)
    st.html(f'<dl class="rs-facts">{_facts(version)}</dl>')


def _version_select(version: ArtifactVersion) -> None:
    newest = artifact_data.versions(version.project, version.name, limit=_OFFERED)
    labels = {known.version: _label(known) for known in newest}
    labels.setdefault(version.version, _label(version))
    st.session_state["artifact-version"] = version.version
    st.selectbox(
        "Version",
        list(labels),
        key="artifact-version",
        format_func=lambda number: labels.get(str(number), str(number)),
        label_visibility="collapsed",
        width=210,
        on_change=_choose_version,
    )


def _label(version: ArtifactVersion) -> str:
    aliases = f" · {', '.join(version.aliases)}" if version.aliases else ""
    return formats.middle_cut(f"{version.version}{aliases}", 34)


def _choose_version() -> None:
    urls.put("version", st.session_state["artifact-version"])
    for name in _PER_VERSION:
        urls.put(name, "")


def _marks(version: ArtifactVersion) -> str:
    chips = [f'<span class="rs-stage" title="alias">{in_html(alias)}</span>' for alias in version.aliases]
    chips += [f'<span class="rs-chip" title="tag">{in_html(tag)}</span>' for tag in version.tags]
    chips += ['<span class="rs-stage">deleted</span>'] if version.deleted else []
    return f'<div class="rs-head">{"".join(chips)}</div>'


def _facts(version: ArtifactVersion) -> str:
    now = datetime.now(UTC)
    runs = artifact_data.uses(version.project, version.name, version.digest)
    makers = [node for node, made in runs if made]
    readers = [node for node, made in runs if not made]
    expiry = formats.age(version.expires_at, now) if version.expires_at else ""
    facts = [
        ("Type", in_html(version.type), ""),
        ("Size", formats.size(version.size), f"{formats.count(version.size)} bytes"),
        ("Files", formats.count(version.n_files), ""),
        ("Logged", formats.age(version.created_at, now), formats.utc(version.created_at)),
        ("Score", formats.number(version.score), formats.exact(version.score)),
        ("Expires", expiry, formats.utc(version.expires_at)),
        ("Made by", _runs(version.project, makers), ""),
        (f"Read by ({len(readers)})" if readers else "", _runs(version.project, readers), ""),
        ("Digest", in_html(version.digest[:12]), version.digest),
    ]
    return "".join(
        f'<div title="{in_html(hover)}"><dt>{name}</dt><dd>{text}</dd></div>'
        for name, text, hover in facts
        if name and text
    )


def _runs(project: str, nodes: list[LineageNode]) -> str:
    links = []
    for node in nodes[:_USERS]:
        of = "" if node.key.project == project else f"{node.key.project}/"
        link = urls.run_link(node.key.project, node.key.id)
        links.append(
            f'<a href="{in_html(link)}" target="_self" title="{in_html(of + node.name)}">'
            f'<span class="rs-swatch" style="background:{run_colour(node.key.id)}"></span> '
            f"{in_html(formats.middle_cut(of + node.name, 26))}</a>"
        )
    more = f" and {len(nodes) - _USERS} more" if len(nodes) > _USERS else ""
    return f'<span class="rs-forks">{", ".join(links)}{more}</span>' if links else ""


def _usage(version: ArtifactVersion) -> None:
    """How a run and a shell get this version."""
    reference = f"{version.name}:{version.version}"
    quoted = reference.replace("\\", "\\\\").replace('"', '\\"')
    st.markdown("In a run, which keeps the lineage:")
    st.code(f'folder = run.use_artifact("{quoted}").download()', language="python")
    st.markdown("In a shell:")
    shell = "'" + reference.replace("'", "'\\''") + "'"
    st.code(f"runstream artifacts get {shell} --project '{version.project}'", language="shell")
