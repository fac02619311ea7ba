"""What a process ran in: its command, code, machine, job, determinism, packages, data; and how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import streamlit as st

from runstream_storage.errors import StorageError
from runstream_storage.queries.results import RunHeader, Writer
from runstream_ui import artifact_data, data, formats, frame, urls
from runstream_ui.errors import UiError
from runstream_ui.markup import in_html
from runstream_ui.widgets.table import Cell, Column, Row, table

_OFFERED = 200


def environment(project: str, header: RunHeader) -> None:
    """The Environment tab of a run."""
    if not header.writers:
        st.markdown("Nothing is known about the process yet.")
        return
    run_id = header.run.run_id
    _again(project, run_id)
    writers = {_writer_label(writer): writer for writer in header.writers}
    writer = header.writers[0]
    if len(writers) > 1:
        writer = writers[st.selectbox("Process", list(writers), key="process", width=460)]
    left, right = st.columns(2, gap="large")
    with left:
        _pairs("Command", [("command", shlex.join(writer.command)), ("in", writer.cwd), ("process", str(writer.pid))])
        _pairs("Code", sorted(writer.git.items()))
        about = [("host", writer.host), ("platform", writer.platform), ("python", writer.python)]
        _pairs("Machine", [*about, ("runstream", writer.client_version), *sorted(writer.machine.items())])
        _pairs("Job", sorted(writer.job.items()))
        _pairs("Determinism", sorted(writer.determinism.items()))
        _pairs("Container", sorted(writer.container.items()))
        _pairs("Environment variables", sorted(writer.environment.items()))
    with right:
        _datasets(project, run_id)
        _packages(writer)
    _patch(project, run_id)


def _again(project: str, run_id: str) -> None:
    """The command that prints the steps to do it again, and a way to the same of another run."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="again"):
        with st.container(width="stretch"):
            st.html('<div class="rs-line">How to do it again, step by step: code, environment, command, data</div>')
            st.code(f"runstream reproduce {run_id}", language="shell")
        newest, _ = data.runs(project, "", (), "created", True, _OFFERED, 0)
        others = {run.run_id: run.name for run in newest.rows if run.run_id != run_id}
        labels = formats.unique_labels(others)
        st.selectbox(
            "Compare with",
            list(others),
            index=None,
            key="environment-other",
            format_func=lambda other: formats.middle_cut(labels.get(str(other), ""), 40),
            placeholder="Choose another run",
            width=300,
            on_change=_compare,
            args=(project, run_id),
        )


def _compare(project: str, run_id: str) -> None:
    other = st.session_state.pop("environment-other", None)
    if other:
        frame.go("compare", project=project, runs=urls.join_list([run_id, other]), tab="Environment")


def _datasets(project: str, run_id: str) -> None:
    found = artifact_data.datasets(project, (run_id,))
    if not found:
        return
    st.markdown(f"**Datasets** · {len(found)}")
    rows = []
    for entry in found:
        size = f"{formats.size(entry.size)}" if entry.size is not None else ""
        count = formats.count(entry.rows) if entry.rows is not None else ""
        cells = (
            Cell(formats.middle_cut(entry.name, 36), f"{entry.name}: {entry.source}"),
            Cell(entry.context),
            Cell(entry.kind),
            Cell(count),
            Cell(size),
            Cell(entry.digest[:12], entry.digest),
        )
        rows.append(Row(f"{entry.name} {entry.context}", cells))
    table(
        [
            Column("name", "Dataset", pin=True),
            Column("context", "For"),
            Column("kind", "Kind"),
            Column("rows", "Rows", kind="number"),
            Column("size", "Size", kind="number"),
            Column("digest", "Digest", kind="code"),
        ],
        rows,
        key="run-datasets",
        label="Datasets of the run",
        max_height="18rem",
    )


def _packages(writer: Writer) -> None:
    st.markdown(f"**Packages** · {len(writer.packages)}")
    if not writer.packages:
        return
    search = st.text_input(
        "Search packages",
        key="package",
        type="search",
        placeholder="Search packages",
        icon=":material/search:",
        live="250ms",
        label_visibility="collapsed",
        bind="query-params",
    )
    wanted = (search or "").strip().lower()
    heads = [Column("package", "Package"), Column("version", "Version", kind="code")]
    if writer.sources:
        heads.append(Column("source", "From", kind="muted"))
    rows = []
    for name, version in sorted(writer.packages.items(), key=lambda pair: pair[0].lower()):
        source = writer.sources.get(name, "")
        if wanted in f"{name} {version} {source}".lower():
            cells = [Cell(name), Cell(version)]
            cells += [Cell(formats.middle_cut(source, 44), source)] if writer.sources else []
            rows.append(Row(name, tuple(cells)))
    table(heads, rows, key="run-packages", label="Packages", max_height="34rem")


def _patch(project: str, run_id: str) -> None:
    try:
        text = artifact_data.patch(project, run_id)
    except (StorageError, UiError) as error:
        st.html(f'<div class="rs-wrong" role="alert"><p>Uncommitted changes: {in_html(error)}</p></div>')
        return
    if text:
        with st.expander(f"Uncommitted changes · {formats.plural(text.count(chr(10)), 'line')}", key="run-patch"):
            st.code(text, language="diff", height=460)


def _writer_label(writer: Writer) -> str:
    return f"rank {writer.rank}, start {writer.attempt + 1}, {writer.host} pid {writer.pid} ({writer.writer:016x})"


def _pairs(title: str, facts: Sequence[tuple[str, str]]) -> None:
    rows = "".join(f"<tr><th>{in_html(name)}</th><td>{_fact(name, value)}</td></tr>" for name, value in facts if value)
    if rows:
        st.markdown(f"**{title}**")
        st.html(f'<table class="rs-kv">{rows}</table>')


def _fact(name: str, value: str) -> str:
    if name.endswith("_bytes") and value.isdigit():
        return f'<span title="{in_html(value)} bytes">{formats.size(int(value))}</span>'
    return in_html(value)
