"""Editing a version of an artifact, and registering it as a model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

import streamlit as st

from runstream_storage.queries.results import ArtifactVersion
from runstream_ui import artifact_data, artifact_edits, edits
from runstream_ui.markup import in_markdown
from runstream_ui.widgets.dialogs import Question, buttons, open_dialog
from runstream_ui.widgets.model_forms import RegisterForm


@dataclass(frozen=True)
class VersionForm:
    """Aliases, tags, description, metadata and expiry of one version."""

    version: ArtifactVersion

    @property
    def title(self) -> str:
        return f"Edit {self.version.version}"

    def draw(self) -> None:
        version, key = self.version, self.version.digest[:16]
        own = [alias for alias in version.aliases if alias != "latest"]
        aliases = st.multiselect(
            "Aliases",
            own,
            default=own,
            key=f"form-aliases-{key}",
            accept_new_options=True,
            placeholder="Type a name such as best, then Enter",
            help="A name points at one version at a time: giving it here takes it from another",
        )
        known = [tag.name for tag in artifact_data.artifact_tags(version.project)]
        tags = st.multiselect(
            "Tags",
            list(dict.fromkeys([*version.tags, *known])),
            default=list(version.tags),
            key=f"form-tags-{key}",
            accept_new_options=True,
            placeholder="Choose or type a tag, then Enter",
        )
        description = st.text_area("Description (Markdown)", version.description, key=f"form-text-{key}", height=110)
        text = st.text_area("Metadata (JSON)", _pretty(version.metadata), key=f"form-metadata-{key}", height=150)
        ends = version.expires_at.date() if version.expires_at else None
        day = st.date_input(
            "Expires",
            ends,
            key=f"form-expires-{key}",
            min_value=min(filter(None, (ends, datetime.now(UTC).date() + timedelta(days=1)))),
            help="From this day on it may be removed (UTC); empty: never",
        )
        metadata, wrong = _parsed(text or "")
        if wrong:
            st.error(in_markdown(wrong))
        save = partial(
            artifact_edits.edit_version,
            version,
            aliases=[alias.strip() for alias in aliases if alias.strip()],
            tags=[tag.strip() for tag in tags if tag.strip()],
            description=description or "",
            metadata=metadata,
            expires_us=_expires_us(version, day if isinstance(day, date) else None),
        )
        buttons("Save", save, disabled=bool(wrong))


def version_actions(version: ArtifactVersion) -> None:
    """Edit, register, delete or restore; nothing where pages are read-only."""
    if not edits.allowed():
        return
    if version.deleted:
        st.button(
            "Restore", key="restore-version", icon=":material/restore_from_trash:", on_click=_restore, args=(version,)
        )
        return
    st.button("Edit", key="edit-version", icon=":material/edit:", on_click=open_dialog, args=(VersionForm(version),))
    st.menu_button(
        "More",
        ["Register as a model…", "Delete…"],
        key="more-of-version",
        on_click=_chosen,
        args=(version,),
    )


def _chosen(version: ArtifactVersion) -> None:
    if st.session_state.get("more-of-version") == "Delete…":
        held = [alias for alias in version.aliases if alias != "latest"]
        aliases = (
            f" It has the {'alias' if len(held) == 1 else 'aliases'} {in_markdown(', '.join(held))}." if held else ""
        )
        open_dialog(
            Question(
                title=f"Delete {version.version}?",
                names=[f"{version.name}:{version.version}"],
                consequence=f"It is hidden at once.{aliases} Its files are removed by the next `runstream gc`, unless "
                "you restore it before: deleted versions are listed under **Versions**.",
                yes="Delete",
                then=partial(artifact_edits.delete, version),
            )
        )
    else:
        open_dialog(RegisterForm(version))


def _restore(version: ArtifactVersion) -> None:
    artifact_edits.restore(version)


def _pretty(metadata: dict[str, Any]) -> str:
    return json.dumps(metadata, indent=2, ensure_ascii=False) if metadata else ""


def _parsed(text: str) -> tuple[dict[str, Any], str]:
    """(the metadata, what is wrong with the text)."""
    try:
        value = json.loads(text) if text.strip() else {}
    except ValueError as error:
        return {}, f"Metadata is not JSON: {error}"
    return (value, "") if isinstance(value, dict) else ({}, "Metadata is a JSON object: {…}")


def _expires_us(version: ArtifactVersion, day: date | None) -> int:
    """The beginning of the day; the very moment that was set before where the day is the same."""
    if day is None:
        return 0
    if version.expires_at is not None and version.expires_at.date() == day:
        return int(version.expires_at.timestamp() * 1e6)
    return int(datetime.combine(day, time(), UTC).timestamp() * 1e6)
