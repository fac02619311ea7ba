"""User text inside pages.

Names, tags, notes and metric names are whatever somebody logged. Three places can turn text into something else, and
each has its own escape here: HTML, Streamlit's markdown (labels, captions, buttons), and the strings of chart options,
where `streamlit-echarts` evaluates what stands between two of its markers as JavaScript.
"""

from __future__ import annotations

import html
import re
from typing import Any

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:^=&])")
_IMAGE = re.compile(r"!\[")
_NUMBERS = frozenset((float, int, bool, type(None)))
_JS_MARKER = "--x_x--0_0--"


def in_html(text: object) -> str:
    """Safe inside an element and inside a double- or single-quoted attribute."""
    return html.escape(str(text), quote=True)


def in_markdown(text: object) -> str:
    """Shows as written: no emphasis, link, image, formula, colour directive, icon or emoji short code."""
    flat = " ".join(str(text).split())
    return _MARKDOWN.sub(r"\\\1", flat)


def user_markdown(text: str) -> str:
    """Markdown that somebody wrote, to be rendered: HTML in it is text anyway, and pictures become links, for a page
    that is looked at must not tell another server so."""
    return _IMAGE.sub("[image: ", text)


def chart_script(code: str) -> str:
    """Our own JavaScript as a chart option. Never of anything that a user wrote."""
    return f"{_JS_MARKER}{code}{_JS_MARKER}"


def in_chart(options: Any) -> Any:
    """Chart options with the marker of executable strings taken out of every text, keys included."""
    if isinstance(options, str):
        while _JS_MARKER in options:
            options = options.replace(_JS_MARKER, "")
        return options
    if isinstance(options, dict):
        return {in_chart(key): in_chart(value) for key, value in options.items()}
    if isinstance(options, list | tuple):
        # Most of a chart are points: lists of numbers, by the ten thousand.
        return options if _NUMBERS.issuperset(map(type, options)) else [in_chart(value) for value in options]
    return options
