"""Terminal colours as HTML: what a program wrote to its console, without what it could do to a page.

The text is escaped first and always; of the escape sequences (ECMA-48) only those that set colours and emphasis mean
something here (SGR, `ESC [ … m`), all others are taken out. Colours are classes and not styles, so that light and dark
each have their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from runstream_ui.markup import in_html

# SGR; any other CSI; OSC up to its end (window titles, links); two-character escapes; control characters but tab.
_SEQUENCE = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f]",
    re.DOTALL,
)
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_MARK_OPEN, _MARK_CLOSE = "<mark>", "</mark>"


@dataclass(frozen=True)
class _Style:
    """`colour` and `ground` are a class name or a hex colour."""

    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False
    colour: str = ""
    ground: str = ""


_PLAIN = _Style()


def plain(text: str) -> str:
    """`text` as a terminal without colours would show it."""
    return _SEQUENCE.sub("", text)


def as_html(text: str, marks: tuple[tuple[int, int], ...] = ()) -> str:
    """One line as HTML. `marks` are stretches of `plain(text)`, rising and apart, that are highlighted."""
    parts: list[str] = []
    style, at, place = _PLAIN, 0, 0
    for match in _SEQUENCE.finditer(text):
        parts.append(_styled(text[at : match.start()], style, place, marks))
        place += match.start() - at
        at = match.end()
        if (codes := match.group("sgr")) is not None:
            style = _changed(style, codes)
    parts.append(_styled(text[at:], style, place, marks))
    return "".join(parts)


def found(text: str, pattern: re.Pattern[str], limit: int = 200) -> tuple[tuple[int, int], ...]:
    """Where `pattern` is found in `plain(text)`: at most `limit` stretches, none of them empty."""
    stretches = []
    for match in pattern.finditer(plain(text)):
        if match.start() < match.end():
            stretches.append(match.span())
        if len(stretches) == limit:
            break
    return tuple(stretches)


def _styled(text: str, style: _Style, place: int, marks: tuple[tuple[int, int], ...]) -> str:
    if not text:
        return ""
    body, at = "", 0
    for start, end in marks:
        low, high = max(start - place, at), min(end - place, len(text))
        if low >= high:
            continue
        body += f"{in_html(text[at:low])}{_MARK_OPEN}{in_html(text[low:high])}{_MARK_CLOSE}"
        at = high
    body += in_html(text[at:])
    classes, colours = _looks(style)
    if not classes and not colours:
        return body
    attributes = f' class="{" ".join(classes)}"' if classes else ""
    attributes += f' style="{";".join(colours)}"' if colours else ""
    return f"<span{attributes}>{body}</span>"


def _looks(style: _Style) -> tuple[list[str], list[str]]:
    """(class names, CSS declarations); both of our own making."""
    colour, ground = (style.ground, style.colour) if style.inverse else (style.colour, style.ground)
    classes = [name for name in ("bold", "faint", "italic", "underline") if getattr(style, name)]
    classes = [f"a-{name}" for name in classes]
    if style.inverse and not (colour or ground):
        classes.append("a-inverse")
    declarations = []
    for value, prefix, name in ((colour, "a-", "color"), (ground, "a-on-", "background")):
        if value.startswith("#"):
            declarations.append(f"{name}:{value}")
        elif value:
            classes.append(f"{prefix}{value}")
    return classes, declarations


def _changed(style: _Style, codes: str) -> _Style:
    numbers = [int(code) if code.isdigit() and len(code) < 4 else 0 for code in re.split("[;:]", codes)]
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            style = _PLAIN
        elif code in _SWITCHES:
            style = replace(style, **_SWITCHES[code])  # type: ignore[arg-type]  # names and values belong together
        elif code in {38, 48}:
            colour = _extended(numbers)
            style = replace(style, colour=colour) if code == 38 else replace(style, ground=colour)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = replace(style, colour=("bright-" if code >= 90 else "") + _NAMES[code % 10])
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = replace(style, ground=("bright-" if code >= 100 else "") + _NAMES[code % 10])
    return style


_SWITCHES: dict[int, dict[str, bool | str]] = {
    1: {"bold": True},
    2: {"faint": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"inverse": True},
    22: {"bold": False, "faint": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"inverse": False},
    39: {"colour": ""},
    49: {"ground": ""},
}


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
        return ("bright-" if number >= 8 else "") + _NAMES[number % 8]
    if number >= 232:
        return "#" + f"{8 + 10 * (number - 232):02x}" * 3
    steps = (0, 95, 135, 175, 215, 255)
    number -= 16
    return "#" + "".join(f"{steps[part]:02x}" for part in (number // 36, number // 6 % 6, number % 6))
