"""What a measurement has to reach, and whether it does."""

from __future__ import annotations


def at_least(value: float, bar: float, text: str) -> str:
    return _said(f"at least {text}", reached=value >= bar)


def at_most(value: float, bar: float, text: str) -> str:
    return _said(f"at most {text}", reached=value <= bar)


def _said(bar: str, *, reached: bool) -> str:
    return f"bar: {bar}: {'met' if reached else 'NOT met'}"
