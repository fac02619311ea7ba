"""What is captured of code, command, machine and environment, and how to switch it off."""

from __future__ import annotations

import os
from typing import Any

import pytest

from runstream import capture
from runstream.machine import machine
from runstream.packages import packages
from runstream.settings import Settings


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

    found = packages()
    expected = {d.metadata["Name"].replace("_", "-").lower(): d.version for d in distributions()}
    assert {name: found.get(name) for name in ("pytest", "hypothesis", "fastavro")} == {
        name: expected[name] for name in ("pytest", "hypothesis", "fastavro")
    }
    assert len(set(expected) - set(found)) <= len(expected) // 20


def test_the_client_knows_its_own_version() -> None:
    from importlib.metadata import version

    assert capture.client_version() == version("runstream")


def test_the_machine_is_described_in_text() -> None:
    found = machine(os.environ)
    assert int(found["cpu_count"]) >= 1
    assert int(found["memory_bytes"]) > 1 << 20
    assert all(isinstance(text, str) for text in found.values())


PARTS = {
    *("git", "command", "packages", "machine", "environment", "cwd", "platform"),
    *("container", "job", "determinism", "sources"),
}


@pytest.mark.parametrize(
    ("variable", "missing"),
    [
        ("RUNSTREAM_CAPTURE_GIT", {"git"}),
        ("RUNSTREAM_CAPTURE_COMMAND", {"command"}),
        ("RUNSTREAM_CAPTURE_PACKAGES", {"packages"}),
        ("RUNSTREAM_CAPTURE_MACHINE", {"machine"}),
        ("RUNSTREAM_CAPTURE_ENV", {"environment"}),
        ("RUNSTREAM_CAPTURE_CONTAINER", {"container"}),
        ("RUNSTREAM_CAPTURE_JOB", {"job"}),
        ("RUNSTREAM_CAPTURE_DETERMINISM", {"determinism"}),
        ("RUNSTREAM_CAPTURE_SOURCES", {"sources"}),
        ("RUNSTREAM_CAPTURE", PARTS),
    ],
)
def test_each_part_can_be_switched_off(variable: str, missing: set[str]) -> None:
    everything = set(capture.captured(Settings.from_env({}), os.environ, code=False).fields)
    without = set(capture.captured(Settings.from_env({variable: "0"}), os.environ, code=False).fields)
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
