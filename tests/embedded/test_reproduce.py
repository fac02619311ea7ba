"""`runstream reproduce`: a run of a changed working tree is done again somewhere else and gives the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runstream.settings import VARIABLES
from runstream_storage.connection import connect

SCRIPT = """
import argparse, random, sys
from pathlib import Path
import runstream
from library import scale

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--api-key")
given = parser.parse_args()
random.seed(7)
run = runstream.init(project="again", name="first", config=vars(given))
run.log_dataset(Path("data/numbers.txt"), context="training")
key = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz12"
total = sum(map(float, Path("data/numbers.txt").read_text().split()))
for step in range(5):
    run.log({"loss": scale(total) * given.lr * random.random()})
print(scale(total) * given.lr * random.random())
run.finish()
"""
SECRETS = ("hf_AbCdEfGhIjKlMnOpQrStUvWxYz12", "k3yThatNobodySees9")


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    ours = {name for name, _ in VARIABLES.values()}
    kept = {key: value for key, value in os.environ.items() if key not in ours}
    bin_directory = str(Path(sys.executable).parent)
    return {
        **kept,
        "PATH": f"{bin_directory}:{kept['PATH']}",
        "RUNSTREAM_DIR": str(tmp_path / "data"),
        "RUNSTREAM_CAPTURE_WAIT_S": "60",
        "RUNSTREAM_CONSOLE": "0",
        "RUNSTREAM_SYSTEM": "0",
        "OMP_NUM_THREADS": "3",
    }


@pytest.fixture
def up(environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "runstream_deploy.cli", "up", "--ui-port", "0", "--sql-port", "0", "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone with a commit that its remote has, and changes that nobody has: staged, unstaged, and untracked."""
    origin, here = tmp_path / "origin.git", tmp_path / "here"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(origin))
    git(tmp_path, "clone", "-q", str(origin), str(here))
    (here / "library.py").write_text("def scale(x):\n    return x\n")
    old = SCRIPT.replace('project="again", ', "").replace("random.random()", "0.5")
    (here / "train.py").write_text(old)
    (here / "data").mkdir()
    (here / "data" / "numbers.txt").write_text("1 2 3\n")
    git(here, "checkout", "-q", "-b", "main")
    git(here, "add", ".")
    git(here, "commit", "-q", "-m", "first")
    git(here, "push", "-q", "origin", "main")
    (here / "library.py").write_text("def scale(x):\n    return 2 * x + 1\n")
    git(here, "add", "library.py")
    (here / "train.py").write_text(SCRIPT)
    (here / "notes.txt").write_text("not a part of it")
    return here


def wait_until(there: Callable[[], bool]) -> None:
    """The test's own timeout ends a wait in vain."""
    while not there():
        time.sleep(0.1)


def test_a_run_of_changed_files_is_done_again_from_a_second_clone(
    repository: Path, up: dict[str, Any], environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "train.py", "--lr", "0.25", "--api-key", SECRETS[1]]
    first = subprocess.run(command, cwd=repository, env=environment, check=True, capture_output=True, text=True)
    client = connect(up["sql_url"])
    asked = "SELECT count() FROM v_artifacts WHERE name = 'source-code'"
    wait_until(lambda: client.query(asked).result_rows[0][0] == 1)
    wait_until(lambda: client.query("SELECT state FROM v_runs").result_rows == [("finished",)])

    def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
        whole = [sys.executable, "-m", "runstream_deploy.cli", *arguments]
        return subprocess.run(whole, env=environment, check=False, capture_output=True, text=True)

    done = cli("reproduce", "first", "--write", str(tmp_path / "again"))
    assert done.returncode == 0, done.stderr
    files = {path.name: path.read_text() for path in (tmp_path / "again").iterdir()}
    assert set(files) == {"reproduce.sh", "requirements.txt", "diff.patch", "apply_patch.py"}
    assert not any(secret in text for secret in SECRETS for text in files.values())
    assert "notes.txt" in files["diff.patch"]
    assert "# 1 files that git did not know" in files["reproduce.sh"]
    assert "export OMP_NUM_THREADS=3" in files["reproduce.sh"]

    settings = {**environment, "RUNSTREAM_DIR": str(tmp_path / "elsewhere"), "PYTHON": sys.executable}
    again = ["bash", str(tmp_path / "again" / "reproduce.sh"), str(tmp_path / "work")]
    without = subprocess.run(again, env=settings, check=False, capture_output=True, text=True)
    assert "API_KEY: it was a secret, and has to be given" in without.stderr
    assert not (tmp_path / "work").exists()
    again[-1] = str(tmp_path / "second")
    settings["API_KEY"] = "given"
    second = subprocess.run(again, env=settings, check=False, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert second.stdout == first.stdout
    assert "is not what the run read" not in second.stderr
    changed = (tmp_path / "second" / "train.py").read_text()
    assert changed == SCRIPT  # the masked line was the same in the commit, and is taken from there

    (tmp_path / "printed").mkdir()
    printed = tmp_path / "printed" / "reproduce.sh"
    printed.write_text(cli("reproduce", "first").stdout)
    settings["RUNSTREAM_CLICKHOUSE"] = up["sql_url"]
    settings["RUNSTREAM_S3"] = f"file://{tmp_path}/data/objects"
    third = subprocess.run(["bash", str(printed)], env=settings, check=False, capture_output=True, text=True)
    assert third.returncode == 0, third.stderr
    assert third.stdout.endswith(first.stdout)
    assert "runstream artifacts get source-code:v0" in printed.read_text()
    assert "numpy==" in printed.read_text()
    assert cli("reproduce", "nobody").returncode == 1
    assert cli("reproduce", "first", "--write", str(tmp_path / "again")).returncode == 2
    one = cli("fingerprint", str(repository / "data" / "numbers.txt")).stdout.strip()
    assert one in files["reproduce.sh"]


def test_submodules_stand_where_they_stood_and_what_is_lost_is_said(
    up: dict[str, Any], environment: dict[str, str], tmp_path: Path
) -> None:
    module, project = tmp_path / "module", tmp_path / "project"
    for place in (module, project):
        git(tmp_path, "init", "-q", str(place))
    for number in range(2):
        (module / "x").write_text(f"commit {number}")
        git(module, "add", ".")
        git(module, "commit", "-q", "-m", str(number))
    (project / "table.bin").write_bytes(b"\x00\x01")
    lines = ["import runstream", "with runstream.init(project='p', name='modular'):", "    print(open('lib/x').read())"]
    (project / "train.py").write_text("\n".join([*lines, ""]))
    git(project, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(module), "lib")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "all")
    git(project, "checkout", "-q", "--detach")
    (project / "table.bin").write_bytes(b"\x00\x02")
    git(project / "lib", "checkout", "-q", "HEAD~1")
    (project / "lib" / "x").write_text("changed")
    subprocess.run([sys.executable, "train.py"], cwd=project, env=environment, check=True, capture_output=True)
    client = connect(up["sql_url"])
    asked = "SELECT count() FROM v_artifacts WHERE name = 'source-code'"
    wait_until(lambda: client.query(asked).result_rows[0][0] == 1)

    whole = [sys.executable, "-m", "runstream_deploy.cli", "reproduce", "modular", "--write", str(tmp_path / "again")]
    done = subprocess.run(whole, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    script = (tmp_path / "again" / "reproduce.sh").read_text()
    assert "# NOT REPRODUCIBLE: binary files were changed, which is not kept: table.bin" in script
    assert "# NOT REPRODUCIBLE: submodules had changes that were not committed, which is not kept: lib" in script
    allowed = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
    settings = {**environment, **allowed, "RUNSTREAM_DIR": str(tmp_path / "elsewhere"), "PYTHON": sys.executable}
    settings["REPOSITORY"] = str(project)
    again = ["bash", str(tmp_path / "again" / "reproduce.sh"), str(tmp_path / "work")]
    second = subprocess.run(again, env=settings, check=False, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert second.stdout == "commit 0\n"
