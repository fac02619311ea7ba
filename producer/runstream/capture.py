"""Where a run comes from: code, command, machine, packages, environment. Everything is masked and optional."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from runstream.determinism import determinism
from runstream.identity import host_name, user_name
from runstream.job import job
from runstream.machine import container, machine
from runstream.masking import mask_command, mask_text, mask_value
from runstream.packages import distributions, interpreter, lock_files, sources
from runstream.repository import Repository, code_directories, find_root, working_directory
from runstream.settings import Settings
from runstream.values import cut

MAX_COMMAND_BYTES = 16 * 1024
MAX_VARIABLE_BYTES = 4 * 1024


@dataclasses.dataclass(slots=True)
class Captured:
    """What is known at the start of a run, and what is still asked for."""

    fields: dict[str, Any]
    """Those of RunStarted that say where the run comes from, as far as the settings want them."""
    code: bool = False
    """Whether this process records the code."""
    repository: Repository | None = None
    """Answers later what differs from the commit; None where nobody wants to know, or there is no repository."""


def captured(settings: Settings, env: Mapping[str, str], *, code: bool = True) -> Captured:
    """What the settings want to know; `code`: also what the code differs in from the commit (one rank asks)."""
    found: dict[str, Any] = {"user": user_name(), "host": host_name(), "pid": os.getpid()}
    found["python"] = sys.version.split()[0]
    if not settings.capture:
        return Captured({**found, "client_version": client_version()}, code=code)
    # First, because git works while this process looks at the rest.
    directories = code_directories()
    repository = ask_repository(settings, env, directories, diff=code) if settings.capture_git else None
    installed = distributions()
    found["client_version"] = next((version for name, version, _ in installed if name == "runstream"), "unknown")
    system = os.uname()
    found["platform"] = f"{system.sysname} {system.release} {system.machine}"
    found["cwd"] = working_directory()
    if settings.capture_command:
        found["command"] = command()
    if settings.capture_env:
        found["environment"] = environment(env, settings.capture_env)
    if settings.capture_machine:
        found["machine"] = machine(env)
    if settings.capture_container:
        found["container"] = container(env)
    if settings.capture_job:
        found["job"] = job(env)
    if settings.capture_determinism:
        found["determinism"] = determinism(env)
    if settings.capture_packages:
        found["packages"] = {name: version for name, version, _ in installed}
    if settings.capture_sources:
        root = [repository.root] if repository is not None else []
        found["sources"] = {
            **entry_point(repository.root if repository is not None else ""),
            **interpreter(env),
            **lock_files([*directories, *root]),
            **sources(installed),
        }
    if settings.capture_git:
        found["git"] = repository.facts(settings.capture_wait_s) if repository is not None else {}
    return Captured(found, code, repository)


def ask_repository(
    settings: Settings, env: Mapping[str, str], directories: list[str], *, diff: bool
) -> Repository | None:
    """Start to ask git about the repository of the first of `directories` that lies in one; None without git."""
    root = find_root(directories, env)
    if root is None:
        return None
    try:
        return Repository(
            root, env, diff=diff and settings.capture_diff, max_diff_bytes=settings.capture_diff_max_bytes
        )
    except OSError:
        return None


def client_version() -> str:
    """The installed version of this package."""
    return next((version for name, version, _ in distributions() if name == "runstream"), "unknown")


def command() -> list[str]:
    """The command line of this process, secrets masked, at most MAX_COMMAND_BYTES in all."""
    kept: list[str] = []
    room = MAX_COMMAND_BYTES
    given = [cut(argument, MAX_COMMAND_BYTES)[0] for argument in getattr(sys, "orig_argv", None) or sys.argv]
    for argument in mask_command(given):
        text, was_cut = cut(argument, max(room, 4))
        kept.append(text)
        room -= len(text.encode())
        if was_cut or room <= 0:
            break
    return kept


def environment(env: Mapping[str, str], allowed: tuple[str, ...]) -> dict[str, str]:
    """The allowed variables of `env`, masked by name and shape."""
    return {
        name: mask_value(name, cut(text, MAX_VARIABLE_BYTES)[0])
        for name, text in sorted(env.items())
        if any(fnmatchcase(name, pattern) for pattern in allowed)
    }


def entry_point(root: str) -> dict[str, str]:
    """`entry:script` (below the repository where it lies there), `entry:module` or `entry:notebook`."""
    main = sys.modules.get("__main__")
    found: dict[str, str] = {}
    spec = getattr(main, "__spec__", None)
    if name := getattr(spec, "name", ""):
        found["entry:module"] = str(name)
    if script := getattr(main, "__file__", None):
        path = str(Path(script).absolute())
        found["entry:script"] = path.removeprefix(f"{root}/") if root else path
    notebook = os.environ.get("JPY_SESSION_NAME") or getattr(main, "__vsc_ipynb_file__", None)
    if "ipykernel" in sys.modules and notebook:
        found["entry:notebook"] = str(notebook)
    return {key: mask_text(cut(text, MAX_VARIABLE_BYTES)[0]) for key, text in found.items()}
