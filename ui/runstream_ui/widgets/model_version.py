"""One version of a model: what can be done with it, what is said of it, and the run that made it with its metrics."""

from __future__ import annotations

import streamlit as st

from runstream_storage.queries import MetricDefinitions, ModelVersion
from runstream_storage.queries.results import Summary
from runstream_ui import columns, data, formats, urls
from runstream_ui.markup import in_html, user_markdown
from runstream_ui.palette import run_colour
from runstream_ui.widgets.model_forms import version_actions

_METRICS = 12


def model_version(version: ModelVersion) -> None:
    """Actions at the right, then description, note, and metrics of the run."""
    marks = [f'<span class="rs-stage">{in_html(version.stage)}</span>'] if version.stage else []
    marks += [f'<span class="rs-chip">{in_html(alias)}</span>' for alias in version.aliases]
    marks += [f'<span class="rs-chip" title="tag">{in_html(tag)}</span>' for tag in version.tags]
    marks += ['<span class="rs-stage">deleted</span>'] if version.deleted else []
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="model-version-top"):
        st.html(
            f'<div class="rs-head"><b>{in_html(version.version)}</b>{"".join(marks)}'
            f'<span class="rs-line">{in_html(version.verdict)}</span></div>',
            width="stretch",
        )
        with st.popover("Use", icon=":material/code:", key="use-model"):
            _usage(version)
        version_actions(version)
    left, right = st.columns([1, 1], gap="large")
    with left:
        if version.note:
            st.html(f'<ul class="rs-events"><li>Newest note<blockquote>{in_html(version.note)}</blockquote></li></ul>')
        if version.description:
            st.markdown(user_markdown(version.description))
        if not version.note and not version.description:
            st.html('<div class="rs-line">Nobody has described this version or noted anything.</div>')
    with right:
        _run(version)


def _usage(version: ModelVersion) -> None:
    reference = f"{version.model}:{version.aliases[0] if version.aliases else version.version}"
    quoted = reference.replace("\\", "\\\\").replace('"', '\\"')
    st.code(f'from runstream import models\n\nfolder = models.get("{quoted}").download()', language="python")
    of = f"{version.artifact_project}/" if version.artifact_project != version.project else ""
    artifact = f"{of}{version.artifact}:{version.artifact_version}".replace('"', '\\"')
    st.markdown("In a run, which keeps the lineage:")
    st.code(f'folder = run.use_artifact("{artifact}").download()', language="python")


def _run(version: ModelVersion) -> None:
    """The run that made it, with the metrics that decide first."""
    if not version.run_id or not version.run_name:
        st.html('<div class="rs-line">The run that made it is not known here.</div>')
        return
    link = urls.run_link(version.artifact_project, version.run_id)
    st.html(
        f'<div class="rs-head"><span class="rs-swatch" style="background:{run_colour(version.run_id)}"></span>'
        f'<span>Made by <a href="{in_html(link)}" target="_self" title="{in_html(version.run_name)}">'
        f"{in_html(formats.middle_cut(version.run_name, 48))}</a></span></div>"
    )
    found = {entry.metric: entry for entry in data.summaries(version.artifact_project, (version.run_id,))}
    if not found:
        st.html('<div class="rs-line">It logged no metrics.</div>')
        return
    definitions = data.definitions(version.artifact_project, (version.run_id,))
    names = columns.decisive_first(list(found))
    names.sort(key=lambda name: not definitions.of(name).goal)
    rows = "".join(_metric(found[name], definitions) for name in names[:_METRICS])
    more = f"and {len(names) - _METRICS} more on the page of the run" if len(names) > _METRICS else ""
    st.html(f'<table class="rs-kv">{rows}</table><div class="rs-line">{more}</div>')


def _metric(entry: Summary, definitions: MetricDefinitions) -> str:
    """The last value, and the best one where the run said which end is better."""
    best = {"minimize": entry.min, "maximize": entry.max}.get(definitions.of(entry.metric).goal)
    said = f"{formats.number(entry.last)}{f' · best {formats.number(best)}' if best is not None else ''}"
    return (
        f'<tr><th title="{in_html(entry.metric)}">{in_html(formats.middle_cut(entry.metric, 40))}</th>'
        f'<td title="{in_html(repr(entry.last))}">{said}</td></tr>'
    )
