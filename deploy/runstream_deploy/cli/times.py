"""Times and offsets on the command line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from runstream_deploy.errors import WrongOffsets, WrongPeriod, WrongTime

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def milliseconds(text: str | None) -> int | None:
    """`text` as ms since 1970: `2h` is two hours ago, a date without a zone is local. Raises WrongTime."""
    if text is None:
        return None
    try:
        if age := _AGE.fullmatch(text.strip().lower()):
            moment = datetime.now().astimezone() - timedelta(seconds=float(age[1]) * _SECONDS[age[2]])
        else:
            moment = datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise WrongTime(text) from None
    return int(moment.timestamp() * 1000)


def period(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """Both as ms since 1970. Raises WrongTime, or WrongPeriod when nothing can lie between them."""
    first, last = milliseconds(since), milliseconds(until)
    if first is not None and last is not None and first > last:
        raise WrongPeriod(str(since), str(until))
    return first, last


def offset_range(text: str | None) -> tuple[int, int] | None:
    """`A..B`, both included. Raises WrongOffsets."""
    if text is None:
        return None
    first, dots, last = text.partition("..")
    if not (dots and first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise WrongOffsets(text)
    return int(first), int(last)
