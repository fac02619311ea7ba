"""Description and metadata of a version of an artifact."""

from __future__ import annotations

import streamlit as st

from runstream_storage.queries.results import ArtifactVersion
from runstream_ui.differences import flat
from runstream_ui.formats import middle_cut
from runstream_ui.markup import user_markdown
from runstream_ui.widgets.table import Cell, Column, Row, table

_EXAMPLE = 'run.log_artifact("model.pt", name="classifier", type="model", metadata={"val/acc": 0.98})'


def artifact_metadata(version: ArtifactVersion) -> None:
    """The description as Markdown, and each leaf of the metadata under its dotted name."""
    if version.description:
        st.markdown(user_markdown(version.description))
    leaves = flat(version.metadata)
    if not leaves:
        st.markdown("No metadata. Give it when the artifact is logged, or with **Edit**:")
        st.code(_EXAMPLE, language="python")
        return
    table(
        [Column("name", "Name", pin=True), Column("value", "Value", kind="wrap")],
        [Row(name, (Cell(middle_cut(name, 60), name), Cell(text))) for name, text in sorted(leaves.items())],
        key="artifact-metadata",
        label="Metadata",
        max_height="60vh",
    )
    with st.expander("As JSON", key="metadata-json"):
        st.json(version.metadata, expanded=2)
