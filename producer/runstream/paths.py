"""Which paths the files of an artifact may have: the same files must be there wherever the version is fetched."""

from __future__ import annotations

import re
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
_DRIVE = re.compile(r"[A-Za-z]:")


def refusal(path: str) -> str:
    """Why a file of an artifact cannot have this path; empty: it can."""
    if not path:
        return "it is empty"
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "it is no text"
    if size > MAX_PATH_BYTES:
        return f"it has {size} bytes, the limit is {MAX_PATH_BYTES}"
    if any(unicodedata.category(letter) == "Cc" for letter in path):
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
        if part[-1] in ". ":
            return "a part of it ends in a dot or a space"
        if part.partition(".")[0].rstrip().upper() in RESERVED:
            return f"{part} is a device on Windows"
    return ""


def clashes(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Paths that cannot lie beside an earlier one, each with that one: equal but for case or the form of accents, or
    one a file and the other a directory."""
    files: dict[str, str] = {}
    directories: dict[str, str] = {}
    found = []
    for path in paths:
        folded = _folded(path)
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
