"""Where a run comes from: code, command, machine, packages, environment. Everything is masked and optional."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from runstream.identity import host_name, user_name
from runstream.masking import mask_command, mask_text, mask_value
from runstream.settings import Settings
from runstream.values import cut

GIT_TIMEOUT_S = 2.0
MAX_COMMAND_BYTES = 16 * 1024
MAX_VARIABLE_BYTES = 4 * 1024
_DIST_INFO = re.compile(r"(.+?)-([^-]+)\.(?:dist|egg)-info")


def captured(settings: Settings, env: Mapping[str, str]) -> dict[str, Any]:
    """The fields of RunStarted that say where the run comes from, as far as the settings want them."""
    found: dict[str, Any] = {
        "user": user_name(),
        "host": host_name(),
        "pid": os.getpid(),
        "python": sys.version.split()[0],
        "client_version": client_version(),
    }
    if not settings.capture:
        return found
    system = os.uname()
    found["platform"] = f"{system.sysname} {system.release} {system.machine}"
    found["cwd"] = _working_directory()
    if settings.capture_command:
        found["command"] = command()
    if settings.capture_git:
        found["git"] = git()
    if settings.capture_env:
        found["environment"] = environment(env, settings.capture_env)
    if settings.capture_machine:
        found["machine"] = machine()
    if settings.capture_packages:
        found["packages"] = packages()
    return found


def client_version() -> str:
    """The installed version of this package."""
    return packages().get("runstream", "unknown")


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


def packages() -> dict[str, str]:
    """Name to version of each installed distribution, from the names of their metadata directories.

    (Reading the metadata of a few hundred packages through importlib.metadata takes longer than the whole of `init()`.)
    """
    found: dict[str, str] = {}
    for directory in dict.fromkeys(sys.path):
        for name in _names(directory or "."):
            match = _DIST_INFO.fullmatch(name)
            if match is not None:
                found.setdefault(match[1].replace("_", "-").lower(), match[2])
    return dict(sorted(found.items()))


def _names(directory: str) -> Iterator[str]:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                yield entry.name
    except OSError:
        return


def machine() -> dict[str, str]:
    """Processor, memory and graphics cards as text, from what the system tells without a tool."""
    found = {"cpu_count": str(os.cpu_count() or 0), "architecture": os.uname().machine}
    if hasattr(os, "sched_getaffinity"):
        found["cpu_usable"] = str(len(os.sched_getaffinity(0)))
    with contextlib.suppress(OSError, ValueError):
        found["memory_bytes"] = str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    if model := _field(Path("/proc/cpuinfo"), "model name"):
        found["cpu"] = model
    cards = [
        model
        for card in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        if (model := _field(card, "Model"))
    ]
    if cards:
        found["gpu"] = ", ".join(sorted(set(cards)))
        found["gpu_count"] = str(len(cards))
        if match := re.search(r"Kernel Module\s+(?:for \S+\s+)?([\d.]+)", _text(Path("/proc/driver/nvidia/version"))):
            found["gpu_driver"] = match[1]
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _field(path: Path, name: str) -> str:
    match = re.search(rf"^{re.escape(name)}\s*:\s*(.*)$", _text(path), re.MULTILINE)
    return match[1].strip() if match else ""


def git() -> dict[str, str]:
    """commit, branch, remote without credentials, dirty (tracked files only), root; empty outside a repository.

    Looks at the working directory, then at the script's. Gives up after GIT_TIMEOUT_S for each question.
    """
    for directory in _code_directories():
        head = _git(directory, "rev-parse", "--show-toplevel", "HEAD", "--abbrev-ref", "HEAD")
        if head is None:
            continue
        root, commit, branch = (*head.splitlines(), "", "", "")[:3]
        found = {"root": root, "commit": commit, "branch": branch}
        if remote := _git(directory, "config", "--get", "remote.origin.url"):
            found["remote"] = mask_text(remote).replace("***@", "")
        status = _git(directory, "status", "--porcelain", "--untracked-files=no")
        if status is not None:
            found["dirty"] = "true" if status else "false"
        return found
    return {}


def _git(directory: str, *arguments: str) -> str | None:
    """What git says, stripped; None when it fails, is not there or takes too long."""
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", directory, *arguments],  # noqa: S607 - the user's git
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def _working_directory() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # removed under us
        return ""


def _code_directories() -> list[str]:
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    found = [_working_directory(), str(Path(script).absolute().parent) if script else ""]
    return [directory for directory in dict.fromkeys(found) if directory]
