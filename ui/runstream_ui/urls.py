"""State that a link carries, beyond what widgets bind themselves.

Lists are one parameter with commas; `%` and `,` inside an item are percent-encoded once more.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, urlencode

import streamlit as st


def get(name: str, default: str = "") -> str:
    value = st.query_params.get(name, default)
    return value if isinstance(value, str) else default


def get_int(name: str, default: int, low: int, high: int) -> int:
    return bounded(get(name), default, low, high)


def bounded(text: str, default: int, low: int, high: int) -> int:
    """The number that a text says, held between `low` and `high`; `default` when it says none."""
    try:
        return max(low, min(high, int(text)))
    except ValueError:
        return default


def get_list(name: str) -> list[str]:
    return split_list(get(name))


def put(name: str, value: str) -> None:
    """Set, or take out of the URL when empty."""
    if value:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def put_list(name: str, items: Iterable[str]) -> None:
    put(name, join_list(items))


def join_list(items: Iterable[str]) -> str:
    return ",".join(item.replace("%", "%25").replace(",", "%2C") for item in items)


def split_list(text: str) -> list[str]:
    """The items without repetitions; what is not a list of ours comes back as one item or as it is split."""
    items = (item.replace("%2C", ",").replace("%25", "%") for item in text.split(","))
    return [item for item in dict.fromkeys(items) if item]


def page_link(page: str, **params: str) -> str:
    return f"{page}?{urlencode(params)}"


def run_link(project: str, run_id: str) -> str:
    return page_link("run", project=project, run=run_id)


def file_link(sha256: str, name: str) -> str:
    return f"files/{quote(sha256, safe='')}/{quote(name, safe='')}"


def image_link(sha256: str, name: str) -> str:
    return f"images/{quote(sha256, safe='')}/{quote(name, safe='')}"


def media_link(sha256: str, name: str) -> str:
    return f"recordings/{quote(sha256, safe='')}/{quote(name, safe='')}"


def html_link(sha256: str, name: str) -> str:
    return f"html/{quote(sha256, safe='')}/{quote(name, safe='')}"


def drawing_link(sha256: str, name: str) -> str:
    """Of an SVG."""
    return f"drawings/{quote(sha256, safe='')}/{quote(name, safe='')}"
