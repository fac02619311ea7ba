"""The JavaScript of the charts: one function a file, so that editors and linters see it as what it is."""

from __future__ import annotations

from functools import cache
from pathlib import Path


def script(name: str, **parts: str) -> str:
    """The function in `<name>.js`, with `__PART__` replaced by other functions. Never by anything that a user wrote."""
    text = _read(name)
    for part, code in parts.items():
        text = text.replace(f"__{part}__", code)
    return text


@cache
def _read(name: str) -> str:
    lines = Path(__file__).with_name(f"{name}.js").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("//"))
