"""Numbers, times and names as people read them; the exact value goes into the tooltip."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

MINUS = "\u2212"
_UNITS_S = (("y", 31_536_000), ("mo", 2_592_000), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def number(value: float | None, digits: int = 4) -> str:
    """`digits` significant digits; integers up to 10^6 in full; "" for None; NaN and the infinities by name."""
    if value is None:
        return ""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value == int(value) and abs(value) < 1e6:
        text = str(int(value))
    elif 1e-4 <= abs(value) < 1e6:
        magnitude = int(f"{value:.{digits - 1}e}".split("e")[1])
        text = f"{value:.{max(0, digits - 1 - magnitude)}f}"
    else:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", MINUS, 1) if text.startswith("-") else text


def exact(value: float | None) -> str:
    """The shortest text that reads back as the very same double."""
    return "" if value is None else repr(value)


def count(value: int) -> str:
    """1234567 as 1,234,567."""
    return f"{value:,}"


def plural(value: int, noun: str) -> str:
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def duration(seconds: float | None) -> str:
    """Two units at most: 12 ms, 4.5s, 45s, 3m 20s, 2h 5m, 3d 4h."""
    if seconds is None or math.isnan(seconds):
        return ""
    if seconds < 0:
        return f"{MINUS}{duration(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    rest = round(seconds)
    parts: list[str] = []
    for unit, size in _UNITS_S:
        if rest >= size or (unit == "s" and not parts):
            parts.append(f"{rest // size}{unit}")
            rest %= size
            if len(parts) == 2:
                break
        elif parts:
            break
    return " ".join(parts)


def age(at: datetime | None, now: datetime) -> str:
    """How long ago, in words: just now, 3 min ago, 2 h ago, 5 days ago."""
    if at is None:
        return ""
    seconds = (now - at).total_seconds()
    if seconds < -5:
        return f"in {duration(-seconds)}"
    if seconds < 5:
        return "just now"
    for limit, size, word in ((60, 1, "s"), (3_600, 60, "min"), (86_400, 3_600, "h")):
        if seconds < limit:
            return f"{int(seconds // size)} {word} ago"
    days = int(seconds // 86_400)
    if days < 60:
        return f"{days} day{'' if days == 1 else 's'} ago"
    if days < 730:
        return f"{days // 30} months ago"
    return f"{days // 365} years ago"


def elapsed_s(duration_s: float, created_at: datetime, state: str, now: datetime) -> float:
    """How long a run has gone on: while it runs, until now, and not only until its last sign of life."""
    return max(duration_s, (now - created_at).total_seconds()) if state == "running" else duration_s


def utc(at: datetime | None) -> str:
    """2026-11-23 11:04:59 UTC, to the second."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def scalar(value: bool | int | float | str | None) -> str:
    """A param or metric value: booleans as in Python's JSON, integers in full, floats with four digits."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value).replace("-", MINUS)
    return number(value) if isinstance(value, float) else value


def written(value: bool | int | float | str | None) -> str:
    """A param as somebody wrote it, where that is no longer than four digits: 0.02, 1e-5."""
    shown = scalar(value)
    if isinstance(value, float) and math.isfinite(value) and len(repr(value)) <= len(shown):
        short = repr(value).replace("e-0", "e-").replace("e+", "e")
        return short.replace("-", MINUS, 1) if value < 0 else short
    return shown


def unique_labels(names: Mapping[str, str]) -> dict[str, str]:
    """Names by id, made different where two are the same by the end of the id."""
    counts = Counter(names.values())
    return {key: name if counts[name] == 1 else f"{name} · {key[-4:]}" for key, name in names.items()}


def size(count_bytes: int) -> str:
    """Binary units with three digits: 812 B, 4.31 MiB."""
    value = float(count_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{int(value)} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1024
    raise AssertionError


def middle_cut(text: str, limit: int = 32) -> str:
    """At most `limit` characters, cut in the middle: both the family and the number of a name stay readable."""
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    tail = limit - 1 - head
    return f"{text[:head]}…{text[len(text) - tail :]}"
