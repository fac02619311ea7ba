"""The pages over a project that is really in ClickHouse."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runstream_ui import context
from runstream_ui.settings import UiSettings
from ui.ui_pages import Pages

if TYPE_CHECKING:
    from services.clickhouse import ClickHouse

_SERVE = """
import os
from runstream_ui.server import serve
from runstream_ui.settings import UiSettings
serve(UiSettings(), port=0, started=lambda url: print(url, flush=True))
"""


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Callable[[str], Pages]]:
    """Pages over the database at a URL, run by Streamlit's own test harness."""
    import streamlit as st

    def over(database: str) -> Pages:
        st.cache_data.clear()
        context.configure(UiSettings(clickhouse=database, s3=(tmp_path / "objects").as_uri()))
        return Pages()

    yield over
    st.cache_data.clear()


@pytest.fixture(scope="module")
def module_database(clickhouse: ClickHouse) -> Iterator[str]:
    """As `database`, shared by the tests of a module: browsers are slow to start, and these only read."""
    from runstream_storage.connection import connect
    from runstream_storage.migrate import migrate

    name = f"ui{uuid.uuid4().hex[:12]}"
    url = f"{clickhouse.url}/{name}"
    migrate(url)
    yield url
    client = connect(url, database="default")
    client.command(f"DROP DATABASE IF EXISTS {name} SYNC")
    client.close()


@pytest.fixture(scope="module")
def serve_ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts the UI in a process of its own and gives its URL; all of them end with the module."""
    started: list[subprocess.Popen[str]] = []

    def start(*, clickhouse: str = "", objects: Path | None = None, directory: Path | None = None) -> str:
        folder = directory or tmp_path_factory.mktemp("ui")
        env = {key: value for key, value in os.environ.items() if not key.startswith("RUNSTREAM_")}
        env["RUNSTREAM_DIR"] = str(folder)
        if clickhouse:
            env["RUNSTREAM_CLICKHOUSE"] = clickhouse
        if objects:
            env["RUNSTREAM_S3"] = objects.as_uri()
        with (folder / "ui.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _SERVE], env=env, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True
            )
        started.append(process)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, (folder / "ui.log").read_text()
        return url

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()
