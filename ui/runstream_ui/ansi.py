"""Console lines as HTML: text with the colours that a program gave it, without what it could do to a page.

The text is escaped first and always. Colours are classes and not styles, so that light and dark each have their own;
those beyond the sixteen with a name are a number that is ours.
"""

from __future__ import annotations

import re
from itertools import pairwise

from runstream import sgr
from runstream_ui.markup import in_html

_MARK_OPEN, _MARK_CLOSE = "<mark>", "</mark>"


def as_html(text: str, styles: str = "", marks: tuple[tuple[int, int], ...] = ()) -> str:
    """One line as HTML. `styles`: its colours, as `sgr.to_text` writes them. `marks` are stretches of `text`, rising
    and apart, that are highlighted."""
    runs = [(0, ""), *sgr.clipped(sgr.from_text(styles), len(text)), (len(text), "")]
    return "".join(_styled(text[at:end], codes, at, marks) for (at, codes), (end, _) in pairwise(runs))


def found(text: str, pattern: re.Pattern[str], limit: int = 200) -> tuple[tuple[int, int], ...]:
    """Where `pattern` is found in `text`: at most `limit` stretches, none of them empty."""
    stretches = []
    for match in pattern.finditer(text):
        if match.start() < match.end():
            stretches.append(match.span())
        if len(stretches) == limit:
            break
    return tuple(stretches)


def _styled(text: str, codes: str, place: int, marks: tuple[tuple[int, int], ...]) -> str:
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
    classes, colours = _looks(sgr.style(codes))
    if not classes and not colours:
        return body
    attributes = f' class="{" ".join(classes)}"' if classes else ""
    attributes += f' style="{";".join(colours)}"' if colours else ""
    return f"<span{attributes}>{body}</span>"


def _looks(style: sgr.Style) -> tuple[list[str], list[str]]:
    """(class names, CSS declarations); both of our own making."""
    colour, ground = (style.ground, style.colour) if style.inverse else (style.colour, style.ground)
    classes = [f"a-{name}" for name in ("bold", "faint", "italic", "underline") if getattr(style, name)]
    if style.inverse and not (colour or ground):
        classes.append("a-inverse")
    declarations = []
    for value, prefix, name in ((colour, "a-", "color"), (ground, "a-on-", "background")):
        if value.startswith("#"):
            declarations.append(f"{name}:{value}")
        elif value:
            classes.append(f"{prefix}{value}")
    return classes, declarations
