"""Registering, promoting, judging and describing models and their versions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import streamlit as st

from runstream_storage.queries import Model, ModelVersion
from runstream_storage.queries.results import ArtifactVersion
from runstream_ui import artifact_data, edits, model_edits
from runstream_ui.widgets.dialogs import Question, buttons, open_dialog

STAGES = ("staging", "production", "archived")
_NONE = "no stage"
_NEW = "A new model…"


@dataclass(frozen=True)
class RegisterForm:
    """Which model a version of an artifact is to be a version of."""

    artifact: ArtifactVersion

    @property
    def title(self) -> str:
        return f"Register {self.artifact.version} as a model"

    def draw(self) -> None:
        known = [model.name for model in artifact_data.models(self.artifact.project, "", False)]
        chosen = st.selectbox("Model", [*known, _NEW], key="register-model") if known else _NEW
        name = chosen
        if chosen == _NEW:
            name = st.text_input("Name", key="register-name", placeholder="digit-reader", max_chars=256)
        stage = st.selectbox("Stage", [_NONE, *STAGES], key="register-stage", accept_new_options=True)
        aliases = st.multiselect("Aliases", [], key="register-aliases", accept_new_options=True, placeholder="None")
        note = st.text_area("Note", key="register-note", height=90, placeholder="Why this one")
        save = partial(
            model_edits.register,
            self.artifact,
            (name or "").strip(),
            stage="" if stage in (None, _NONE) else str(stage),
            aliases=[alias.strip() for alias in aliases if alias.strip()],
            note=note or "",
        )
        buttons("Register", save, disabled=not (name or "").strip())


@dataclass(frozen=True)
class PromoteForm:
    """Another stage for a version."""

    version: ModelVersion

    @property
    def title(self) -> str:
        return f"Promote {self.version.version}"

    def draw(self) -> None:
        version = self.version
        used = {one.stage for one in artifact_data.model_versions(version.project, version.model) if one.stage}
        offered = list(dict.fromkeys([*STAGES, *sorted(used), _NONE]))
        now = offered.index(version.stage) if version.stage in offered else 0
        stage = st.selectbox("Stage", offered, index=now, key="promote-stage", accept_new_options=True)
        holders = [
            one.version
            for one in artifact_data.model_versions(version.project, version.model)
            if one.stage == stage and one.version != version.version and not one.deleted
        ]
        if holders:
            st.caption(f"{', '.join(holders)} is in {stage}, too, and stays there; the newest one counts.")
        note = st.text_area("Note", key="promote-note", height=100, placeholder="Why")
        chosen = "" if stage in (None, _NONE) else str(stage)
        buttons("Promote", partial(model_edits.promote, version, chosen, note or ""), disabled=chosen == version.stage)


@dataclass(frozen=True)
class JudgeForm:
    """Approval or rejection, with the reason."""

    version: ModelVersion
    approved: bool

    @property
    def title(self) -> str:
        return f"{'Approve' if self.approved else 'Reject'} {self.version.version}"

    def draw(self) -> None:
        note = st.text_area("Note", key="judge-note", height=130, placeholder="What was looked at, and what was found")
        word = "Approve" if self.approved else "Reject"
        save = partial(model_edits.judge, self.version, approved=self.approved, note=note or "")
        buttons(word, save, disabled=not self.approved and not (note or "").strip())


@dataclass(frozen=True)
class VersionForm:
    """Aliases, tags and description of a version of a model."""

    version: ModelVersion

    @property
    def title(self) -> str:
        return f"Edit {self.version.version}"

    def draw(self) -> None:
        version, key = self.version, f"{self.version.model}-{self.version.version}"
        aliases = st.multiselect(
            "Aliases",
            list(version.aliases),
            default=list(version.aliases),
            key=f"form-aliases-{key}",
            accept_new_options=True,
            placeholder="Type a name such as champion, then Enter",
            help="A name points at one version at a time: giving it here takes it from another",
        )
        tags = st.multiselect(
            "Tags",
            list(version.tags),
            default=list(version.tags),
            key=f"form-tags-{key}",
            accept_new_options=True,
            placeholder="Type a tag, then Enter",
        )
        description = st.text_area("Description (Markdown)", version.description, key=f"form-text-{key}", height=120)
        note = st.text_input("Note", key=f"form-note-{key}", placeholder="Why")
        save = partial(
            model_edits.edit_version,
            version,
            aliases=[alias.strip() for alias in aliases if alias.strip()],
            tags=[tag.strip() for tag in tags if tag.strip()],
            description=description or "",
            note=note or "",
        )
        buttons("Save", save)


@dataclass(frozen=True)
class ModelForm:
    """Description and tags of a model as a whole."""

    model: Model

    @property
    def title(self) -> str:
        return "Edit model"

    def draw(self) -> None:
        model = self.model
        description = st.text_area("Description (Markdown)", model.description, key="form-model-text", height=180)
        tags = st.multiselect(
            "Tags",
            list(model.tags),
            default=list(model.tags),
            key="form-model-tags",
            accept_new_options=True,
            placeholder="Type a tag, then Enter",
        )
        wanted = [tag.strip() for tag in tags if tag.strip()]
        buttons("Save", partial(model_edits.edit_model, model, description=description or "", tags=wanted))


def model_actions(model: Model) -> None:
    """Edit, delete or restore a model; nothing where pages are read-only."""
    if not edits.allowed():
        return
    if model.deleted:
        st.button(
            "Restore",
            key="restore-model",
            icon=":material/restore_from_trash:",
            on_click=model_edits.restore_model,
            args=(model,),
        )
        return
    st.button("Edit", key="edit-model", icon=":material/edit:", on_click=open_dialog, args=(ModelForm(model),))
    st.menu_button("More", ["Delete…"], key="more-of-model", on_click=_ask_to_delete, args=(model,))


def version_actions(version: ModelVersion) -> None:
    """What can be done with one version of a model."""
    if not edits.allowed():
        return
    if version.deleted:
        st.button("Restore", key="restore-model-version", on_click=model_edits.restore, args=(version,))
        return
    for label in ("Promote…", "Approve…", "Reject…"):
        st.button(label, key=f"model-{label}", on_click=_act, args=(label, version))
    st.menu_button(
        "More", ["Aliases, tags, description…", "Delete…"], key="more-of-model-version", on_click=_more, args=(version,)
    )


def _act(label: str, version: ModelVersion) -> None:
    if label == "Promote…":
        open_dialog(PromoteForm(version))
    elif label in ("Approve…", "Reject…"):
        open_dialog(JudgeForm(version, approved=label == "Approve…"))
    else:
        open_dialog(VersionForm(version))


def _more(version: ModelVersion) -> None:
    label = str(st.session_state.get("more-of-model-version"))
    if label != "Delete…":
        _act(label, version)
    open_dialog(
        Question(
            title=f"Delete {version.version}?",
            names=[f"{version.model} {version.version}: {version.artifact}:{version.artifact_version}"],
            consequence="It is no version of the model any more; the artifact stays. It can be restored here.",
            yes="Delete",
            then=partial(model_edits.delete, version),
        )
    )


def _ask_to_delete(model: Model) -> None:
    open_dialog(
        Question(
            title="Delete this model?",
            names=[model.name],
            consequence="All its versions, stages and aliases are hidden; the artifacts stay. It can be restored here.",
            yes="Delete",
            then=partial(model_edits.delete_model, model),
        )
    )
