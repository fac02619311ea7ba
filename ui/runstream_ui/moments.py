"""A moment of a run that a link names: a console line, a place on a chart. Microseconds since 1970, in the URL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runstream_ui import urls

PARAM = "moment"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The year 9999, which is as far as dates go.
_LAST_US = 253_402_300_799_000_000


def chosen_us() -> int | None:
    """The moment in the URL; None without one, or when it is no time."""
    try:
        moment_us = int(urls.get(PARAM)[:20])
    except ValueError:
        return None
    return moment_us if 0 <= moment_us <= _LAST_US else None


def choose(moment_us: int | None) -> None:
    urls.put(PARAM, "" if moment_us is None else str(moment_us))


def at(moment_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=moment_us)
