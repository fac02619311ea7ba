"""Which paths the files of an artifact may have.

What would lead out of its directory is refused everywhere. What only some systems cannot write (devices of Windows,
names that differ in case only) is kept, and refused where it is fetched on such a system.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable

MAX_PATH_BYTES = 1024
MAX_PART_BYTES = 255
"""Of one name in a path: what file systems take."""
RESERVED = {
    *("CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$"),
    *(f"{device}{number}" for device in ("COM", "LPT") for number in (*range(10), "¹", "²", "³")),
}
"""Devices of Windows, whatever follows a dot."""
TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Turn the direction of writing: with them `exe.png` is shown for a file that ends in `.exe`."""
FOLDS_CASE = os.name == "nt" or sys.platform == "darwin"
"""Whether file systems here usually take two names that differ only in case for one."""
_DRIVE = re.compile(r"[A-Za-z]:")


def refusal(path: str) -> str:
    """Why no file of an artifact can have this path; empty: it can."""
    if not path:
        return "it is empty"
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "it is no text"
    if size > MAX_PATH_BYTES:
        return f"it has {size} bytes, the limit is {MAX_PATH_BYTES}"
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") or letter in TURNS for letter in path):
        return "it has a control character"
    if path.startswith("/") or _DRIVE.match(path):
        return "it is absolute"
    if "\\" in path:
        return "it has a backslash"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "it leaves its directory" if part == ".." else "it has an empty part"
        if len(part.encode()) > MAX_PART_BYTES:
            return f"a part of it has more than {MAX_PART_BYTES} bytes"
    return ""


def refusal_of_windows(path: str) -> str:
    """Why Windows cannot write `path`, or would write another one; empty: it can."""
    for part in path.split("/"):
        if part.endswith((".", " ")):
            return "a part of it ends in a dot or a space"
        if part.partition(".")[0].rstrip().upper() in RESERVED:
            return f"{part} is a device on Windows"
    return ""


def refusal_here(path: str) -> str:
    """Why a file cannot be written at `path` on this system; empty: it can."""
    return refusal(path) or (refusal_of_windows(path) if os.name == "nt" else "")


def clashes(paths: Iterable[str], *, folds_case: bool) -> list[tuple[str, str]]:
    """Paths that cannot lie beside an earlier one, each with that one: equal (where case is folded, but for case or the
    form of accents), or one a file and the other a directory."""
    files: dict[str, str] = {}
    directories: dict[str, str] = {}
    found = []
    for path in paths:
        folded = _folded(path) if folds_case else path
        parents = [folded[:at] for at, letter in enumerate(folded) if letter == "/"]
        other = next((files[one] for one in (folded, *parents) if one in files), directories.get(folded))
        if other is not None:
            found.append((path, other))
            continue
        files[folded] = path
        for parent in parents:
            directories.setdefault(parent, path)
    return found


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", path).casefold())
