"""The command line without a server: help, versions, wrong words, and what it says when nothing answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runstream_deploy.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "up", "sql", "runs", "agent", "ingest", "ui", "migrate", "sync", "verify", "dlq", "replay", "rebuild", "lag",
    "doctor", "dev", "artifacts", "models", "gc",
)  # fmt: skip
NOWHERE = "http://reader@127.0.0.1:9/runstream"


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    for name in ("RUNSTREAM_KAFKA", "RUNSTREAM_CLICKHOUSE", "RUNSTREAM_S3", "RUNSTREAM_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNSTREAM_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    return CliRunner()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(runner: CliRunner, command: str) -> None:
    done = runner.invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output


@pytest.mark.parametrize(
    "command", [name for name in COMMANDS if name not in ("runs", "dev", "dlq", "artifacts", "models")]
)
def test_help_shows_an_example(runner: CliRunner, command: str) -> None:
    assert f"runstream {command}" in runner.invoke(app, [command, "--help"]).output


def test_the_documentation_names_every_command() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert [name for name in COMMANDS if f"`runstream {name}" not in page] == []


@pytest.mark.parametrize("command", ["ls", "show", "replay", "drop"])
def test_each_part_of_dlq_shows_an_example(runner: CliRunner, command: str) -> None:
    assert f"runstream dlq {command}" in runner.invoke(app, ["dlq", command, "--help"]).output


@pytest.mark.parametrize(
    "words",
    [
        *(f"artifacts {word}" for word in ("ls", "show", "get", "put", "lineage", "tag", "alias", "rm", "restore")),
        *(f"models {word}" for word in ("ls", "show", "history", "register", "promote", "alias", "approve", "reject")),
    ],
)
def test_each_part_of_artifacts_and_models_shows_an_example(runner: CliRunner, words: str) -> None:
    assert f"runstream {words} " in runner.invoke(app, [*words.split(), "--help"]).output


def test_sync_of_a_directory_without_a_spool_says_so(runner: CliRunner, tmp_path: Path) -> None:
    done = runner.invoke(app, ["sync", str(tmp_path)])
    assert done.exit_code == 1
    assert "no spool/" in done.output


def test_version_is_printed(runner: CliRunner) -> None:
    done = runner.invoke(app, ["--version"])
    assert re.fullmatch(r"runstream \d+\.\d+\.\d+\n", done.output)


def test_an_unknown_option_is_a_usage_error(runner: CliRunner) -> None:
    assert runner.invoke(app, ["runs", "ls", "--nonsense"]).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["sql", "SELECT 1"],
        ["runs", "ls"],
        ["runs", "show", "x"],
        ["migrate"],
        ["verify"],
        ["dlq", "ls"],
        ["rebuild", "--all"],
        ["artifacts", "ls"],
        ["artifacts", "show", "x", "-p", "p"],
        ["models", "ls"],
        ["models", "promote", "m", "staging"],
        ["gc"],
    ],
)
def test_without_a_database_the_message_says_how_to_get_one(runner: CliRunner, arguments: list[str]) -> None:
    done = runner.invoke(app, arguments)
    assert done.exit_code == 3
    assert "runstream up" in done.output
    assert "RUNSTREAM_CLICKHOUSE" in done.output


@pytest.mark.parametrize("arguments", [["sql", "SELECT 1"], ["runs", "ls"], ["migrate"]])
def test_a_database_that_does_not_answer_is_named_without_its_password(runner: CliRunner, arguments: list[str]) -> None:
    done = runner.invoke(app, [*arguments, "--clickhouse", "http://owner:hunter2@127.0.0.1:9/runstream"])
    assert done.exit_code == 3
    assert "127.0.0.1:9" in done.output
    assert "hunter2" not in done.output


@pytest.mark.parametrize("command", ["agent", "sync", "replay", "lag"])
def test_sending_without_a_broker_is_a_usage_error(runner: CliRunner, command: str, tmp_path: Path) -> None:
    (tmp_path / "data" / "spool").mkdir(parents=True)
    done = runner.invoke(app, [command])
    assert done.exit_code == 2
    assert "RUNSTREAM_KAFKA" in done.output


def test_a_wrong_setting_is_told_with_its_name(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTREAM_MODE", "sometimes")
    done = runner.invoke(app, ["doctor"])
    assert done.exit_code == 2
    assert "RUNSTREAM_MODE" in done.output
    assert "sometimes" in done.output


def test_the_doctor_finds_a_database_that_does_not_answer_and_names_the_remedy(runner: CliRunner) -> None:
    done = runner.invoke(app, ["doctor", "--json", "--clickhouse", NOWHERE])
    assert done.exit_code == 1
    report = json.loads(done.output)
    assert not report["ok"]
    broken = [one for one in report["findings"] if not one["ok"]]
    assert any("127.0.0.1:9" in one["found"] for one in broken)
    assert all(one["remedy"] for one in broken)


def test_the_doctor_finds_a_broker_that_does_not_answer(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTREAM_KAFKA", "127.0.0.1:9")
    findings = json.loads(runner.invoke(app, ["doctor", "--json"]).output)["findings"]
    (broker,) = [one for one in findings if one["subject"] == "Kafka"]
    assert not broker["ok"]
    assert "RUNSTREAM_KAFKA" in broker["remedy"]


IMPORTING = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "runstream_deploy.cli.app":
            raise {error}

sys.meta_path.insert(0, Finder())
from runstream_deploy.cli import main
main()
"""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        ("KeyboardInterrupt", 130, ""),
        ("ModuleNotFoundError('no typer', name='typer')", 1, "pip install 'runstream[storage]'"),
    ],
)
def test_a_command_that_is_stopped_or_cannot_begin_leaves_no_trace(error: str, code: int, said: str) -> None:
    program = IMPORTING.replace("{error}", error)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
