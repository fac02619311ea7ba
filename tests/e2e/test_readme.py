"""The README keeps its word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_the_first_python_block_of_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block is not None
    environment = {**os.environ, "RUNSTREAM_DIR": str(tmp_path / "data")}
    done = subprocess.run(
        [sys.executable, "-c", block[1]], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert list((tmp_path / "data" / "spool").glob("*/*/*.seg")), "the run left nothing in the spool"


def test_every_file_that_the_readme_links_is_there() -> None:
    links = re.findall(r"\]\(((?!https?:)[^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_names_the_commands_that_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    for command in ("make check", "make test"):
        assert command in ci
    assert "    make demo" in README
    assert "    make test" in README
