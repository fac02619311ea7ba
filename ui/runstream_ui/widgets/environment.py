"""What a process ran in: its command, code, machine, job, determinism, packages; and how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import streamlit as st

from runstream_storage.queries.results import RunHeader, Writer
from runstream_ui import formats
from runstream_ui.markup import in_html
from runstream_ui.widgets.table import Cell, Column, Row, table


def environment(header: RunHeader) -> None:
    """The Environment tab of a run."""
    if not header.writers:
        st.markdown("Nothing is known about the process yet.")
        return
    writers = {_writer_label(writer): writer for writer in header.writers}
    writer = header.writers[0]
    if len(writers) > 1:
        writer = writers[st.selectbox("Process", list(writers), key="process", width=360)]
    left, right = st.columns(2, gap="large")
    with left:
        _pairs("Command", [("command", shlex.join(writer.command)), ("in", writer.cwd), ("process", str(writer.pid))])
        _pairs("Code", sorted(writer.git.items()))
        about = [("host", writer.host), ("platform", writer.platform), ("python", writer.python)]
        _pairs("Machine", [*about, ("runstream", writer.client_version), *sorted(writer.machine.items())])
        _pairs("Environment", sorted(writer.environment.items()))
    with right:
        st.markdown(f"**Packages** · {len(writer.packages)}")
        if writer.packages:
            table(
                [Column("package", "Package"), Column("version", "Version", kind="code")],
                [Row(name, (Cell(name), Cell(version))) for name, version in sorted(writer.packages.items())],
                key="run-packages",
                label="Packages",
                max_height="38rem",
            )


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
