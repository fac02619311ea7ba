"""Colours and emphasis of console text: what SGR sequences (`ESC [ … m`, ECMA-48 §8.3.117) say, apart from the text.

A line is plain text, and *runs* beside it: from which character on it looks how, as SGR parameters that need nothing
before them. `0:1;31 5:` is bold red up to the fifth character, and plain from there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

Runs = list[tuple[int, str]]
"""(first character, SGR parameters; empty: plain), rising; plain before the first."""
MAX_RUNS = 256
"""Of a line; what follows is plain."""
NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_SHADES = (0, 95, 135, 175, 215, 255)
_TEXT = re.compile(r"(?:\d{1,6}:[\d;]{0,60}(?: |\Z))*+")


class Style(NamedTuple):
    """`colour` and `ground` are one of NAMES, `bright-` one of them, or `#rrggbb`; empty: the default."""

    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False
    colour: str = ""
    ground: str = ""


PLAIN = Style()
_SWITCHES: dict[int, dict[str, bool]] = {
    1: {"bold": True},
    2: {"faint": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"inverse": True},
    22: {"bold": False, "faint": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"inverse": False},
}
_ON = {"bold": "1", "faint": "2", "italic": "3", "underline": "4", "inverse": "7"}


@lru_cache(maxsize=1024)
def after(codes: str, more: str) -> str:
    """The parameters that say at once what `codes` and then `more` say; what is not known here is left out."""
    return _parameters(_changed(style(codes), more))


@lru_cache(maxsize=1024)
def style(codes: str) -> Style:
    """What SGR parameters such as `1;31` mean by themselves."""
    return _changed(PLAIN, codes) if codes else PLAIN


def painted(runs: Runs, start: int, end: int, codes: str) -> Runs:
    """The runs after the characters from `start` to `end` were written with `codes`."""
    new = [run for run in runs if run[0] < start]
    _add(new, start, codes)
    _add(new, end, _at(runs, end))
    for place, there in runs:
        if place > end:
            _add(new, place, there)
    if len(new) > MAX_RUNS:
        del new[MAX_RUNS:]
        new[-1] = (new[-1][0], "")
    return new


def clipped(runs: Runs, length: int) -> Runs:
    """The runs of a line of so many characters."""
    return [run for run in runs if run[0] < length]


def moved(runs: Runs, text: str, masked: str, mask: str) -> Runs:
    """The runs of `masked`, which is `text` with `mask` in the place of secrets, or its beginning."""
    if not runs or text == masked:
        return clipped(runs, len(masked))
    # What is between two masks stands in the text as it is; a run that begins inside a secret begins behind its mask.
    new: Runs = []
    read = written = 0
    left = ""
    for piece in masked.split(mask):
        found = text.find(piece, read)
        if found < 0:
            break
        for place, codes in runs:
            if read <= place < found:
                left = codes
        if read or written:
            _add(new, written, left)
        for place, codes in runs:
            if found <= place < found + len(piece):
                _add(new, written + place - found, codes)
                left = codes
        read, written = found + len(piece), written + len(piece) + len(mask)
    return clipped(new, len(masked))


def to_text(runs: Runs) -> str:
    """As one text, such as `0:1;31 5:`."""
    return " ".join(f"{place}:{codes}" for place, codes in runs)


def from_text(text: str) -> Runs:
    """What `to_text` made; nothing of any other text."""
    if not text or _TEXT.fullmatch(text) is None:
        return []
    pairs = [part.split(":") for part in text.split()]
    return sorted((int(place), codes) for place, codes in pairs)


def _at(runs: Runs, place: int) -> str:
    behind = bisect_right(runs, place, key=lambda run: run[0])
    return runs[behind - 1][1] if behind else ""


def _add(runs: Runs, place: int, codes: str) -> None:
    if runs and runs[-1][0] == place:
        runs.pop()
    if codes != (runs[-1][1] if runs else ""):
        runs.append((place, codes))


def _changed(now: Style, codes: str) -> Style:
    numbers = [int(code) if code.isdecimal() and len(code) < 4 else 0 for code in re.split("[;:]", codes)]
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            now = PLAIN
        elif code in _SWITCHES:
            now = now._replace(**_SWITCHES[code])  # type: ignore[arg-type]  # names and values belong together
        elif code in {38, 48}:
            colour = _extended(numbers)
            now = now._replace(colour=colour) if code == 38 else now._replace(ground=colour)
        elif code == 39 or 30 <= code <= 37 or 90 <= code <= 97:
            now = now._replace(colour=_named(code))
        elif code == 49 or 40 <= code <= 47 or 100 <= code <= 107:
            now = now._replace(ground=_named(code))
    return now


def _named(code: int) -> str:
    return "" if code in {39, 49} else ("bright-" if code >= 90 else "") + NAMES[code % 10]


def _extended(numbers: list[int]) -> str:
    """The colour that follows 38 or 48, taken off `numbers`: `5;n` of the palette of 256, or `2;r;g;b`."""
    kind = numbers.pop(0) if numbers else 0
    if kind == 2:
        rgb = [min(255, number) for number in numbers[:3]]
        del numbers[:3]
        return "#" + "".join(f"{part:02x}" for part in rgb) if len(rgb) == 3 else ""
    if kind != 5 or not numbers:
        return ""
    number = min(255, numbers.pop(0))
    if number < 16:
        return ("bright-" if number >= 8 else "") + NAMES[number % 8]
    if number >= 232:
        return "#" + f"{8 + 10 * (number - 232):02x}" * 3
    number -= 16
    return "#" + "".join(f"{_SHADES[part]:02x}" for part in (number // 36, number // 6 % 6, number % 6))


def _parameters(of: Style) -> str:
    codes = [code for name, code in _ON.items() if getattr(of, name)]
    for colour, base in ((of.colour, 30), (of.ground, 40)):
        if colour.startswith("#"):
            codes += [str(base + 8), "2", *(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))]
        elif colour:
            name = colour.removeprefix("bright-")
            codes.append(str(base + (60 if name != colour else 0) + NAMES.index(name)))
    return ";".join(codes)
