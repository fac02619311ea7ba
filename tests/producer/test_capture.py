"""What is captured of code, command, machine and environment, and how to switch it off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runstream import capture
from runstream.settings import Settings


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, "-C", str(directory), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "repository"
    directory.mkdir()
    git(directory, "init", "-q", "-b", "topic")
    (directory / "train.py").write_text("1")
    git(directory, "add", ".")
    git(directory, "commit", "-q", "-m", "first")
    git(directory, "remote", "add", "origin", "https://me:secret@example.org/x.git")
    monkeypatch.chdir(directory)
    return directory


def test_git_says_commit_branch_remote_and_whether_files_were_changed(repository: Path) -> None:
    assert capture.git() == {
        "root": str(repository),
        "commit": git(repository, "rev-parse", "HEAD"),
        "branch": "topic",
        "remote": "https://example.org/x.git",
        "dirty": "false",
    }
    (repository / "new").write_text("untracked files do not count")
    assert capture.git()["dirty"] == "false"
    (repository / "train.py").write_text("2")
    assert capture.git()["dirty"] == "true"


def test_outside_a_repository_and_without_git_there_is_nothing_to_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.modules", {name: module for name, module in sys.modules.items() if name != "__main__"})
    assert capture.git() == {}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert capture.git() == {}


def test_a_repository_without_commits_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q")
    monkeypatch.chdir(tmp_path)
    assert "commit" not in capture.git() or capture.git()["commit"]


def test_the_command_is_masked_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.orig_argv", ["python", "train.py", "--api-key", "abc", "x" * 100_000, "end"])
    command = capture.command()
    assert command[:4] == ["python", "train.py", "--api-key", "***"]
    assert sum(len(argument.encode()) for argument in command) <= capture.MAX_COMMAND_BYTES
    assert "end" not in command


def test_only_allowed_variables_are_kept_and_masked() -> None:
    env = {
        "SLURM_JOB_ID": "7",
        "SLURM_JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc",
        "NCCL_TOKEN": "abc",
        "HOME": "/root",
        "RANK": "0",
    }
    found = capture.environment(env, Settings.from_env({}).capture_env)
    assert found == {"SLURM_JOB_ID": "7", "SLURM_JWT": "***", "NCCL_TOKEN": "***", "RANK": "0"}


def test_packages_are_those_that_importlib_finds() -> None:
    from importlib.metadata import distributions

    found = capture.packages()
    expected = {d.metadata["Name"].replace("_", "-").lower(): d.version for d in distributions()}
    assert {name: found.get(name) for name in ("pytest", "hypothesis", "fastavro")} == {
        name: expected[name] for name in ("pytest", "hypothesis", "fastavro")
    }
    assert len(set(expected) - set(found)) <= len(expected) // 20


def test_the_client_knows_its_own_version() -> None:
    from importlib.metadata import version

    assert capture.client_version() == version("runstream")


def test_the_machine_is_described_in_text() -> None:
    found = capture.machine()
    assert int(found["cpu_count"]) >= 1
    assert int(found["memory_bytes"]) > 1 << 20
    assert all(isinstance(text, str) for text in found.values())


@pytest.mark.parametrize(
    ("variable", "missing"),
    [
        ("RUNSTREAM_CAPTURE_GIT", {"git"}),
        ("RUNSTREAM_CAPTURE_COMMAND", {"command"}),
        ("RUNSTREAM_CAPTURE_PACKAGES", {"packages"}),
        ("RUNSTREAM_CAPTURE_MACHINE", {"machine"}),
        ("RUNSTREAM_CAPTURE_ENV", {"environment"}),
        ("RUNSTREAM_CAPTURE", {"git", "command", "packages", "machine", "environment", "cwd", "platform"}),
    ],
)
def test_each_part_can_be_switched_off(variable: str, missing: set[str]) -> None:
    everything = set(capture.captured(Settings.from_env({}), os.environ))
    without = set(capture.captured(Settings.from_env({variable: "0"}), os.environ))
    assert everything - without == missing


def test_a_removed_working_directory_is_no_trouble(python: Any) -> None:
    done = python(
        """
        import shutil, tempfile
        directory = tempfile.mkdtemp()
        os.chdir(directory)
        shutil.rmtree(directory)
        run = runstream.init(settings={"capture": True})
        run.log({"a": 1})
        run.finish()
        print(run.dropped)
        """
    )
    assert done.stdout == "0\n", done.stderr
