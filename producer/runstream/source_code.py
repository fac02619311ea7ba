"""The code of a run as files: what git does not have of it, and snapshots."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from runstream.masking import mask_lines

NAME, TYPE = "source-code", "code"
SNAPSHOT = "code-snapshot"
PATCH, NOTEBOOK, SCRIPTS = "diff.patch", "notebook.py", "script"
MAX_SCRIPT_BYTES = 1 << 20
MAX_NOTEBOOK_BYTES = 10 << 20
MAX_SNAPSHOT_FILES = 20_000
MAX_SNAPSHOT_FILE_BYTES = 10 << 20
GIT_TIMEOUT_S = 60.0
SUFFIXES = (
    *(
        ".py",
        ".pyi",
        ".pyx",
        ".ipynb",
        ".cu",
        ".cuh",
        ".cpp",
        ".cc",
        ".c",
        ".h",
        ".hpp",
        ".rs",
        ".sh",
        ".sql",
        ".r",
        ".jl",
    ),
    *(".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".txt", ".md", ".gin", ".jinja", ".j2"),
)
NAMES = ("Makefile", "Dockerfile", "Snakefile", "requirements*.txt", ".python-version")
IGNORED = (
    *(".git", ".hg", ".svn", "__pycache__", ".venv", "venv", "env", ".env", "node_modules", ".ipynb_checkpoints"),
    *(
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
        ".nox",
        "build",
        "dist",
        "wandb",
        "mlruns",
        "site-packages",
    ),
)


def script_without_git(root: str, env: Mapping[str, str]) -> dict[str, str]:
    """The script that was started, as `script/<name>`, when no commit of the repository at `root` (empty: there is
    none) has it: else it would be lost. Masked. Nothing for interactive use and installed programs."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if not main:
        return {}
    path = Path(main).absolute()
    try:
        installed = any(path.is_relative_to(prefix) for prefix in {sys.prefix, sys.base_prefix})
        if installed and not (root and Path(root).is_relative_to(sys.prefix)):
            return {}
        if path.suffix != ".py" or path.stat().st_size > MAX_SCRIPT_BYTES:
            return {}
        if root and path.is_relative_to(root) and _is_tracked(root, str(path), env):
            return {}
        return {f"{SCRIPTS}/{path.name}": mask_lines(path.read_bytes().decode("utf-8", "surrogateescape"))}
    except OSError:
        return {}


def notebook_history() -> dict[str, str]:
    """What was run in the cells of this notebook or IPython so far, as `notebook.py`, masked; nothing elsewhere."""
    cells = _cells()
    if not any(cell.strip() for cell in cells):
        return {}
    parts = [f"# %% [{number}]\n{cell.rstrip()}\n" for number, cell in enumerate(cells) if cell.strip()]
    text = "\n".join(parts)
    if len(text) > MAX_NOTEBOOK_BYTES:
        text = "# The first cells are left out: the history is too large.\n" + text[-MAX_NOTEBOOK_BYTES:]
    return {NOTEBOOK: mask_lines(text)}


def _cells() -> list[str]:
    ipython: Any = sys.modules.get("IPython")
    if ipython is None:
        return []
    try:
        shell = ipython.get_ipython()
        return [str(cell) for cell in shell.user_ns.get("In", [])] if shell is not None else []
    except Exception:  # noqa: BLE001 - any version of IPython, in any state
        return []


def write(directory: Path, files: Mapping[str, str]) -> None:
    """Make `directory` with these files. Raises OSError."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))


def snapshot(root: Path, include: Iterable[str], exclude: Iterable[str]) -> dict[str, str]:
    """The text files of the code below `root`, masked, by path relative to it.

    In a git repository what git knows or would not ignore; elsewhere sources and common configuration files, without
    hidden directories, virtual environments and caches. `include`, `exclude`: globs of relative paths or of file names;
    `include` replaces the choice by suffix. Files with NUL bytes, and of more than 10 MiB, are left out. Raises OSError
    or ValueError when `root` is no directory, or has no such file, or too many.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is no directory")
    wanted, unwanted = tuple(include), tuple(exclude)
    found: dict[str, str] = {}
    for relative in _listed(root, any_suffix=bool(wanted)):
        name = relative.rpartition("/")[2]
        if wanted and not _matches(relative, name, wanted):
            continue
        if _matches(relative, name, unwanted):
            continue
        path = root / relative
        try:
            if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_SNAPSHOT_FILE_BYTES:
                continue
            data = path.read_bytes()
        except OSError:
            continue
        if b"\0" in data[:8192]:
            continue
        found[relative] = mask_lines(data.decode("utf-8", "surrogateescape"))
        if len(found) > MAX_SNAPSHOT_FILES:
            raise ValueError(f"more than {MAX_SNAPSHOT_FILES} files; choose with include= and exclude=")
    if not found:
        raise FileNotFoundError(f"no code was found in {root}")
    return found


def _listed(root: Path, *, any_suffix: bool) -> Iterator[str]:
    known = _git_files(root)
    names = _walk(root) if known is None else known
    for relative in names:
        name = relative.rpartition("/")[2]
        if any_suffix or name.lower().endswith(SUFFIXES) or _matches(name, name, NAMES):
            yield relative


def _git_files(root: Path) -> list[str] | None:
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return sorted(os.fsdecode(name) for name in set(done.stdout.split(b"\0")) if name)


def _walk(root: Path) -> Iterator[str]:
    for here, directories, names in os.walk(root):
        directories[:] = sorted(name for name in directories if name not in IGNORED and not name.startswith("."))
        directories[:] = [name for name in directories if not Path(here, name, "pyvenv.cfg").exists()]
        for name in sorted(names):
            yield Path(here, name).relative_to(root).as_posix()


def _matches(relative: str, name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(relative, pattern) or fnmatchcase(name, pattern) for pattern in patterns)


def _is_tracked(root: str, path: str, env: Mapping[str, str]) -> bool:
    import time

    from runstream.git_commands import GitCommand

    asked = GitCommand(root, "ls-files", "--error-unmatch", "--", path, env=env)
    known = not asked.wait(time.monotonic() + 2.0) or not asked.failed
    asked.kill()
    return known
