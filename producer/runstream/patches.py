"""Patches as git writes them: cut into files, and without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from runstream.masking import MASK, LineMasker

_FILE = re.compile(r"^diff --git ", re.MULTILINE)
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_MODULE = re.compile(r"^(?:index \S+ 160000|(?:new|deleted|old) (?:file )?mode 160000)", re.MULTILINE)
_BASE64 = re.compile(r"[ \t]*[A-Za-z0-9+/]{40,76}={0,2}[ \t]*\r?")


def text_parts(diff: str) -> tuple[str, list[str]]:
    """The patch of text files, and notes that name binary files and submodules, which are left out."""
    starts = [match.start() for match in _FILE.finditer(diff)]
    texts: list[str] = []
    binary: list[str] = []
    modules: list[str] = []
    for start, end in pairwise([*starts, len(diff)]):
        part = diff[start:end]
        head = part.split("\n@@ ", 1)[0]
        name = part.split("\n", 1)[0].rsplit(" b/", 1)[-1]
        if "\nBinary files " in head or "\nGIT binary patch" in head:
            binary.append(name)
        elif _MODULE.search(head) or ("\nindex " not in head and "\n+Subproject commit " in part):  # with changes only
            commits = re.findall(r"^[+-]Subproject commit (\S+)", part, re.MULTILINE)
            modules.append(f"{name}: {' -> '.join(commits)}")
        else:
            texts.append(part)
    notes = []
    if binary:
        notes += ["Binary files that differ, not in this patch:", *map("  {}".format, binary)]
    if modules:
        notes += [
            "Submodules at another commit or with changes of their own, not in this patch:",
            *map("  {}".format, modules),
        ]
    return "".join(texts), notes


def mask_patch(patch: str) -> str:
    """The patch without secrets in its lines, and with as many lines of each kind: it stays a patch."""
    return "\n".join(_masked(patch.split("\n")))


def _masked(lines: list[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        hunk = _HUNK.match(lines[at])
        if hunk is None:
            yield _masked_heading(lines[at])
            at += 1
            continue
        yield _masked_heading(lines[at])
        at += 1
        end = _end_of_hunk(lines, at, int(hunk[1] or 1), int(hunk[2] or 1))
        yield from _masked_hunk(lines[at:end])
        at = end


def _masked_heading(line: str) -> str:
    return LineMasker().mask(line)


def _end_of_hunk(lines: list[str], at: int, old: int, new: int) -> int:
    while at < len(lines) and (old > 0 or new > 0 or lines[at].startswith("\\")):
        kind = lines[at][:1]
        old -= kind in ("-", " ", "")
        new -= kind in ("+", " ", "")
        at += 1
    return at


def _masked_hunk(lines: list[str]) -> Iterator[str]:
    # The old and the new text are each a text of its own, in which a private key may begin and end.
    before, after = LineMasker(), LineMasker()
    has_key = any("PRIVATE KEY" in line for line in lines)
    for line in lines:
        kind, body = line[:1], line[1:]
        if kind == "\\":
            yield line
            continue
        masked = body
        if kind in ("-", " "):
            masked = before.mask(body)
        if kind in ("+", " "):
            masked = later if (later := after.mask(body)) != body else masked
        if has_key and _BASE64.fullmatch(body):  # of a key whose beginning is not in the hunk
            masked = MASK
        yield kind + masked
