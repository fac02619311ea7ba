"""Where and how runs ran, side by side."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runstream_storage.queries.artifacts import run_artifacts
from runstream_storage.queries.datasets import datasets
from runstream_storage.queries.deletion import kept
from runstream_storage.queries.results import Writer
from runstream_storage.queries.run import params, writers

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Section = Literal[
    "git",
    "command",
    "packages",
    "sources",
    "determinism",
    "machine",
    "job",
    "container",
    "environment",
    "data",
    "params",
]
SECTIONS: tuple[Section, ...] = (
    *("git", "command", "packages", "sources", "determinism", "machine", "job", "container", "environment", "data"),
    "params",
)


@dataclass(frozen=True, slots=True)
class Environment:
    """What one process of a run captured: a dict of texts for each section, empty where nothing was captured."""

    run_id: str
    sections: dict[Section, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was captured of two runs; None where a run has nothing of it."""

    section: Section
    name: str
    left: str | None
    right: str | None

    @property
    def same(self) -> bool:
        return self.left == self.right


def environments(
    client: Client, project: str, run_ids: Sequence[str], *, include_deleted: bool = False
) -> dict[str, Environment]:
    """The environment of each run: of its newest attempt and lowest rank; runs that never started are absent."""
    wanted = kept(client, project, run_ids, include_deleted=include_deleted)
    data: dict[str, dict[str, str]] = {}
    for one in datasets(client, project, wanted, include_deleted=True):
        name = f"{one.name} ({one.context})" if one.context else one.name
        data.setdefault(one.run_id, {})[name] = one.digest
    for run_id in wanted:
        for link in run_artifacts(client, project, run_id):
            if link.role == "in":
                version = f"{link.artifact.version} {link.artifact.digest}" if link.artifact else link.asked
                name = link.name if link.project == project else f"{link.project}/{link.name}"
                data.setdefault(run_id, {})[name] = version
    config = params(client, project, wanted) if wanted else {}
    found = {}
    for run_id in wanted:
        of_run = writers(client, project, run_id)
        if of_run:
            texts = {name: value.text for name, value in config[run_id].items()}
            found[run_id] = Environment(run_id, _sections(of_run[0], data.get(run_id, {}), texts))
    return found


def side_by_side(left: Environment, right: Environment) -> list[Fact]:
    """Every fact of either, by section and name, those that are the same included."""
    return [
        Fact(section, name, left.sections[section].get(name), right.sections[section].get(name))
        for section in SECTIONS
        for name in sorted({*left.sections[section], *right.sections[section]})
    ]


def _sections(writer: Writer, data: dict[str, str], config: dict[str, str]) -> dict[Section, dict[str, str]]:
    command = {
        "command": shlex.join(writer.command),
        "directory": writer.cwd,
        "python": writer.python,
        "platform": writer.platform,
        "host": writer.host,
        "user": writer.user,
        "runstream": writer.client_version,
    }
    return {
        "git": writer.git,
        "command": {name: text for name, text in command.items() if text},
        "packages": writer.packages,
        "sources": writer.sources,
        "determinism": writer.determinism,
        "machine": writer.machine,
        "job": writer.job,
        "container": writer.container,
        "environment": writer.environment,
        "data": data,
        "params": config,
    }
