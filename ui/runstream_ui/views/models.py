"""Models: which version is in production, who approved it and why, and where it came from."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from runstream_storage.queries import LineageKey, Model, ModelVersion
from runstream_ui import artifact_data, formats, frame, urls
from runstream_ui.markup import in_html, in_markdown, user_markdown
from runstream_ui.palette import run_colour
from runstream_ui.widgets import empty
from runstream_ui.widgets.artifact_lineage import artifact_lineage
from runstream_ui.widgets.model_forms import model_actions
from runstream_ui.widgets.model_history import model_history
from runstream_ui.widgets.model_version import model_version
from runstream_ui.widgets.table import Cell, Chip, Column, Row, table

_TABS = ("Versions", "History", "Lineage")
_EXAMPLE = """artifact = run.log_artifact("model.pt", name="classifier", type="model")
run.register_model(artifact, "digit-reader", stage="staging", note="first try")"""
_MANY = 60


def page() -> None:
    project = frame.project()
    if project is None:
        empty.no_runs("")
        return
    name = urls.get("model")
    if name:
        _model(project, name)
    else:
        _list(project)


def _list(project: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="models-row"):
        search = st.text_input(
            "Search models",
            key="find",
            type="search",
            placeholder="Search models by name, description or tag",
            icon=":material/search:",
            live="250ms",
            label_visibility="collapsed",
            width=360,
            bind="query-params",
        )
        deleted = st.toggle("Deleted, too", key="gone", bind="query-params")
    found = artifact_data.models(project, (search or "").strip(), deleted)
    if not found and (search or deleted):
        st.markdown(
            f"No model has **{in_markdown(search)}** in its name, description or tags." if search else "No model."
        )
        return
    if not found:
        st.markdown("#### No models yet\n\nRegister a version of an artifact, on its page or from a run:")
        st.code(_EXAMPLE, language="python")
        return
    now = datetime.now(UTC)
    table(
        [
            Column("name", "Model", pin=True),
            Column("production", "Production"),
            Column("stages", "Other stages"),
            Column("aliases", "Aliases"),
            Column("latest", "Newest"),
            Column("versions", "Versions", kind="number"),
            Column("tags", "Tags"),
            Column("changed", "Changed"),
            Column("by", "By"),
        ],
        [_row(model, now) for model in found],
        key="models",
        label=f"Models of {project}",
        on_open=lambda name, _column: frame.go("models", project=project, model=name),
        max_height="66vh",
    )


def _row(model: Model, now: datetime) -> Row:
    stages = dict(model.stages)
    production = stages.pop("production", "")
    shown = f"{model.name}{' (deleted)' if model.deleted else ''}"
    return Row(
        model.name,
        (
            Cell(
                formats.middle_cut(shown, 50),
                model.description or model.name,
                href=urls.page_link("models", project=model.project, model=model.name),
            ),
            Cell(chips=(Chip(production, "in production"),)) if production else Cell("–", mark="absent"),
            Cell(chips=tuple(Chip(f"{stage} {version}") for stage, version in stages.items())),
            Cell(chips=tuple(Chip(f"{alias} {version}") for alias, version in model.aliases)),
            Cell(model.latest),
            Cell(formats.count(model.versions)),
            Cell(chips=tuple(Chip(formats.middle_cut(tag, 20), tag) for tag in model.tags)),
            Cell(formats.age(model.changed_at, now), formats.utc(model.changed_at)),
            Cell(formats.middle_cut(model.changed_by, 28), model.changed_by),
        ),
    )


def _model(project: str, name: str) -> None:
    known = {model.name: model for model in artifact_data.models(project, name, True)}
    everything = urls.page_link("models", project=project)
    st.html(
        f'<div class="rs-crumbs"><a href="{in_html(everything)}" target="_self">Models</a> / '
        f'<span title="{in_html(name)}">{in_html(formats.middle_cut(name, 80))}</span></div>'
    )
    model = known.get(name)
    if model is None:
        st.markdown(f"#### No such model\n\n**{in_markdown(name)}** is not registered in this project, or not yet.")
        return
    with st.container(horizontal=True, vertical_alignment="top", gap="small", key="model-top"):
        with st.container(width="stretch"):
            _head(model)
        model_actions(model)
    tabs = dict(zip(_TABS, st.tabs(_TABS, key="tab", on_change="rerun", bind="query-params"), strict=True))
    with tabs["Versions"] as tab:
        if tab.open:
            _versions(model)
    with tabs["History"] as tab:
        if tab.open:
            model_history(project, name)
    with tabs["Lineage"] as tab:
        if tab.open:
            version = _chosen(artifact_data.model_versions(project, name))
            if version is None:
                st.markdown("This model has no version.")
            else:
                artifact_lineage(project, LineageKey("model", name, version.version))


def _head(model: Model) -> None:
    stages = "".join(
        f'<span class="rs-stage">{in_html(stage)} <b>{in_html(version)}</b></span>' for stage, version in model.stages
    )
    aliases = "".join(f'<span class="rs-chip">{in_html(alias)} → {in_html(v)}</span>' for alias, v in model.aliases)
    tags = "".join(f'<span class="rs-chip" title="tag">{in_html(tag)}</span>' for tag in model.tags)
    gone = '<span class="rs-stage">deleted</span>' if model.deleted else ""
    said = (
        f"{formats.plural(model.versions, 'version')} · changed {formats.age(model.changed_at, datetime.now(UTC))} by "
        f"{in_html(model.changed_by)}"
    )
    st.html(
        f'<div class="rs-head"><h1>{in_html(model.name)}</h1>{gone}{stages}{aliases}{tags}</div>'
        f'<div class="rs-line">{said}</div>'
    )
    if model.description:
        st.markdown(user_markdown(model.description))


def _chosen(versions: list[ModelVersion]) -> ModelVersion | None:
    """The one that the address names, else the newest that is not deleted."""
    asked = urls.get("version")
    named = next((one for one in versions if one.version == asked), None)
    return named or next((one for one in versions if not one.deleted), None)


def _versions(model: Model) -> None:
    versions = artifact_data.model_versions(model.project, model.name)
    shown = [one for one in versions if not one.deleted]
    if any(one.deleted for one in versions) and st.toggle("Deleted, too", key="gone", bind="query-params"):
        shown = versions
    chosen = _chosen(versions)
    if not shown or chosen is None:
        st.markdown("This model has no version that is not deleted.")
        return
    now = datetime.now(UTC)
    table(
        [
            Column("version", "Version", pin=True),
            Column("stage", "Stage"),
            Column("verdict", "Verdict"),
            Column("aliases", "Aliases"),
            Column("artifact", "Artifact"),
            Column("run", "Made by"),
            Column("note", "Newest note"),
            Column("registered", "Registered"),
            Column("by", "By"),
        ],
        [_version_row(one, chosen, now) for one in shown],
        key="model-versions",
        label=f"Versions of {model.name}",
        on_open=lambda row, column: _open(versions, row, column),
        max_height="20rem",
    )
    model_version(chosen)


def _version_row(one: ModelVersion, chosen: ModelVersion, now: datetime) -> Row:
    link = urls.page_link("models", project=one.project, model=one.model, version=one.version)
    of = f"{one.artifact_project}/" if one.artifact_project != one.project else ""
    artifact = f"{of}{one.artifact}:{one.artifact_version or one.digest[:12]}"
    verdict = {"approved": "✓ approved", "rejected": "✗ rejected"}.get(one.verdict, "")
    run = Cell("")
    if one.run_name:
        run = Cell(
            formats.middle_cut(one.run_name, 28),
            one.run_name,
            href=urls.run_link(one.artifact_project, one.run_id),
            swatch=run_colour(one.run_id),
        )
    return Row(
        one.version,
        (
            Cell(f"{one.version}{' ◂' if one.version == chosen.version else ''}", href=link),
            Cell("deleted", mark="absent") if one.deleted else Cell(one.stage),
            Cell(verdict),
            Cell(chips=tuple(Chip(formats.middle_cut(alias, 20), alias) for alias in one.aliases)),
            Cell(
                formats.middle_cut(artifact, 36),
                artifact,
                href=urls.page_link(
                    "artifacts", project=one.artifact_project, artifact=one.artifact, version=one.digest
                ),
            ),
            run,
            Cell(formats.middle_cut(" ".join(one.note.split()), _MANY), one.note),
            Cell(formats.age(one.registered_at, now), formats.utc(one.registered_at)),
            Cell(formats.middle_cut(one.registered_by, 24), one.registered_by),
        ),
        label=one.version,
    )


def _open(versions: list[ModelVersion], row: str, column: str) -> None:
    one = next((known for known in versions if known.version == row), None)
    if one is None:
        return
    if column == "run":
        frame.go("run", project=one.artifact_project, run=one.run_id)
    if column == "artifact":
        frame.go("artifacts", project=one.artifact_project, artifact=one.artifact, version=one.digest)
    urls.put("version", row)
