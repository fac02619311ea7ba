"""What Python this is and what is installed in it: versions, where each package came from, lock files."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from runstream.masking import mask_text

SOURCES_WITHIN_S = 0.06
"""Looking into each package takes long on a network disk; what is not seen by then is left out."""
MAX_LOCK_BYTES = 4 << 20
LOCK_FILES = re.compile(
    r"uv\.lock|poetry\.lock|pdm\.lock|pixi\.lock|Pipfile\.lock|pylock(\..{1,40})?\.toml|conda-lock\.ya?ml|environment\.ya?ml"
    r"|requirements[\w.-]{0,40}\.txt|pyproject\.toml|\.python-version"
)
_DIST_INFO = re.compile(r"(.+?)-([^-]+)\.(?:dist|egg)-info")


def packages() -> dict[str, str]:
    """Name to version of each installed distribution, from the names of their metadata directories.

    (Reading the metadata of a few hundred packages through importlib.metadata takes longer than the whole of `init()`.)
    """
    return {name: version for name, version, _ in distributions()}


def distributions() -> list[tuple[str, str, str]]:
    """(name, version, metadata directory) of each installed distribution, in order of name."""
    found: dict[str, tuple[str, str, str]] = {}
    for directory in dict.fromkeys(sys.path):
        for entry in _names(directory or "."):
            match = _DIST_INFO.fullmatch(entry)
            if match is not None:
                name = match[1].replace("_", "-").lower()
                found.setdefault(name, (name, match[2], os.path.join(directory, entry)))  # noqa: PTH118 - quick
    return sorted(found.values())


def sources(installed: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Where those packages came from that are from no index, in the form that pip and uv take.

    `editable:/path` (with `@<commit>` when it lies in a git repository), `git+https://host/x@<commit>`, an address of
    an archive, or `file:///path`. Credentials in addresses are left out.
    """
    found: dict[str, str] = {}
    deadline = time.monotonic() + SOURCES_WITHIN_S
    for name, _, directory in installed:
        text = _read(f"{directory}/direct_url.json")
        if text and (address := _address(text)):
            found[name] = address
        if time.monotonic() > deadline:
            found["incomplete:packages"] = f"the disk is slow: only packages up to {name} were looked into"
            break
    return found


def interpreter(env: Mapping[str, str]) -> dict[str, str]:
    """`python:` facts: executable, implementation, version, and the environment that it belongs to."""
    name = sys.implementation.name
    found = {
        "python:executable": sys.executable or "",
        "python:implementation": {"cpython": "CPython", "pypy": "PyPy"}.get(name, name),
        "python:build": " ".join(sys.version.split()),
        "python:prefix": sys.prefix,
    }
    if sys.prefix != sys.base_prefix:
        found["python:virtual_env"] = sys.prefix
        found["python:base_prefix"] = sys.base_prefix
    if os.path.isdir(f"{sys.prefix}/conda-meta"):  # noqa: PTH112 - quick
        found["python:conda_env"] = env.get("CONDA_DEFAULT_ENV") or Path(sys.prefix).name
    return found


def lock_files(directories: Iterable[str]) -> dict[str, str]:
    """`lock:<file name>` to `sha256:<hex>` of each lock file in `directories`; the first of a name counts."""
    found: dict[str, str] = {}
    for directory in dict.fromkeys(directories):
        for name in sorted(_names(directory)):
            if LOCK_FILES.fullmatch(name) and f"lock:{name}" not in found:
                try:
                    path = Path(directory, name)
                    if path.is_file() and path.stat().st_size <= MAX_LOCK_BYTES:
                        found[f"lock:{name}"] = "sha256:" + sha256_hex(path.read_bytes())
                except OSError:
                    continue
    return found


def sha256_hex(data: bytes) -> str:
    """Of something small, without loading OpenSSL."""
    try:
        from _sha2 import sha256  # type: ignore[import-not-found]  # Python 3.12 and later
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found]
        except ImportError:
            from hashlib import sha256
    return str(sha256(data).hexdigest())


def commit_of(directory: str) -> str:
    """The commit that is checked out around `directory`, read from the files of git; empty when that is not plain."""
    for path in (Path(directory), *Path(directory).parents):
        git = path / ".git"
        if git.is_file():
            git = path / (_read(str(git)) or "gitdir: ").removeprefix("gitdir: ").strip()
        head = _read(str(git / "HEAD"))
        if head is None:
            continue
        head = head.strip()
        if not head.startswith("ref: "):
            return head if re.fullmatch(r"[0-9a-f]{40,64}", head) else ""
        common = git / (_read(str(git / "commondir")) or ".").strip()
        loose = (_read(str(common / head[5:])) or "").strip()
        if loose:
            return loose
        packed = re.search(
            rf"^([0-9a-f]{{40,64}}) {re.escape(head[5:])}$", _read(str(common / "packed-refs")) or "", re.M
        )
        return packed[1] if packed else ""
    return ""


def _address(text: str) -> str:
    try:
        told: dict[str, Any] = json.loads(text)
        url = mask_text(str(told["url"])).replace("***@", "")
        if "dir_info" in told:
            if told["dir_info"].get("editable"):
                path = url.removeprefix("file://")
                commit = commit_of(path)
                return f"editable:{path}" + (f"@{commit}" if commit else "")
            return url
        if "vcs_info" in told:
            vcs = told["vcs_info"]
            address = f"{vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', '')}"
        else:
            hashes = told.get("archive_info", {}).get("hashes") or {}
            sha256 = hashes.get("sha256", "")
            address = url + (f"#sha256={sha256}" if sha256 else "")
        inside = told.get("subdirectory")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return f"{address}#subdirectory={inside}" if inside else address


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - quick
            return file.read(1 << 20)
    except OSError:
        return None


def _names(directory: str) -> Iterator[str]:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                yield entry.name
    except OSError:
        return
