"""What the heading of a captured patch names: changes that are not in it, and where submodules stood."""

from __future__ import annotations

import re
from typing import NamedTuple

_MODULE = re.compile(r"(?P<path>.+): [0-9a-f]{40,64} -> (?P<commit>[0-9a-f]{40,64})(?P<dirty>-dirty)?")
_HEADING = re.compile(r"(?:#.*\n)*")


class Submodule(NamedTuple):
    """A submodule that was not as the commit has it."""

    path: str
    commit: str
    dirty: bool
    """It had changes of its own that were not committed."""


def binary_files(patch: bytes) -> list[str]:
    """Paths of binary files that were changed."""
    return _named(patch, "Binary files that differ")


def submodules(patch: bytes) -> list[Submodule]:
    found = map(_MODULE.fullmatch, _named(patch, "Submodules at"))
    return [Submodule(one["path"], one["commit"], bool(one["dirty"])) for one in found if one is not None]


def unknown_files(patch: bytes) -> int:
    """How many files git did not know."""
    match = re.search(r"^# Files that git does not know \((\d+)\)", _heading(patch), re.MULTILINE)
    return int(match[1]) if match else 0


def _named(patch: bytes, title: str) -> list[str]:
    lines = _heading(patch).splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith(f"# {title}")]
    named: list[str] = []
    for line in lines[starts[0] + 1 :] if starts else []:
        if not line.startswith("#   "):
            break
        named.append(line[4:])
    return named


def _heading(patch: bytes) -> str:
    match = _HEADING.match(patch.decode("utf-8", "replace"))
    return match[0] if match else ""
