"""Console lines as HTML: text with the colours that a program gave it, without what it could do to a page.

The text is escaped first and always. Colours are classes and not styles, so that light and dark each have their own;
those beyond the sixteen with a name are a number that is ours.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from runstream import sgr
from runstream_ui.markup import in_html

_MARK_OPEN, _MARK_CLOSE = "<mark>", "</mark>"
_BLACK, _WHITE = "#000000", "#ffffff"
_LIGHT_PAPER, _DARK_PAPER = "#f5f7f9", "#161c23"  # codeBackgroundColor of the themes
_READABLE = 4.5  # WCAG AA


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
            declarations.append(f"{name}:{value if ground or name == 'background' else _on_both_papers(value)}")
        elif value:
            classes.append(f"{prefix}{value}")
    if ground.startswith("#") and not colour.startswith("#"):
        # A colour with a name, or none, follows the theme; this ground does not.
        classes = [name for name in classes if name != f"a-{colour}"]
        declarations.insert(0, f"color:{_BLACK if _contrast(_BLACK, ground) > _contrast(_WHITE, ground) else _WHITE}")
    return classes, declarations


@lru_cache(maxsize=4096)
def _on_both_papers(colour: str) -> str:
    """`colour` (#rrggbb) where it can be read on a light and on a dark page, else its nearest tones that can."""
    light, dark = _readable(colour, _BLACK, _LIGHT_PAPER), _readable(colour, _WHITE, _DARK_PAPER)
    return colour if light == dark == colour else f"light-dark({light},{dark})"


def _readable(colour: str, towards: str, paper: str) -> str:
    channels = zip(_channels(colour), _channels(towards), strict=True)
    mixes = [[round(a + (b - a) * part / 20) for part in range(21)] for a, b in channels]
    tones = (f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in zip(*mixes, strict=True))
    return next(tone for tone in tones if _contrast(tone, paper) >= _READABLE)


def _contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.1, 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in _channels(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
