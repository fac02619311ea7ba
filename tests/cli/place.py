"""A project in a running Runstream, embedded or on real services, and the command line over it."""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import runstream
from runstream.settings import VARIABLES, Settings
from runstream_deploy.cli.app import app

WAIT_S = 60.0
QUIET = {"RUNSTREAM_CAPTURE": "0", "RUNSTREAM_CONSOLE": "0", "RUNSTREAM_SYSTEM": "0", "RUNSTREAM_QUIET": "1"}


class Place:
    """A project of its own in a running Runstream."""

    def __init__(self, environment: dict[str, str], project: str) -> None:
        self.environment = environment
        self.project = project
        self.settings = Settings.from_env(environment)

    def command(self, *arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, list(arguments), env={"RUNSTREAM_PROJECT": self.project, "COLUMNS": "250"})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, (done.output, done.stderr)
        return done.output if code else done.stdout

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.command(*arguments, "--json", code=code))

    @contextlib.contextmanager
    def run(self, name: str) -> Iterator[runstream.Run]:
        with runstream.init(project=self.project, name=name) as run:
            yield run
            assert run.wait("clickhouse", timeout=WAIT_S)

    def versions(self, name: str, *options: str) -> list[tuple[str, list[str]]]:
        return [(one["version"], one["aliases"]) for one in self.json("artifacts", "ls", name, *options)]


def configure(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> Place:
    for name, _ in VARIABLES.values():
        monkeypatch.delenv(name, raising=False)
    for name, value in {**QUIET, **values}.items():
        monkeypatch.setenv(name, value)
    return Place(values, f"p{uuid.uuid4().hex[:8]}")


def objects_of(place: Place) -> dict[str, Path]:
    return {path.name: path for path in (place.settings.dir / "objects" / "sha256").rglob("*") if path.is_file()}


def age(place: Place) -> None:
    for path in objects_of(place).values():
        os.utime(path, (time.time() - 3 * 86_400,) * 2)
