"""Waiting for the database without waiting for ever."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from runstream_deploy.errors import NotWritten

if TYPE_CHECKING:
    from runstream_ingest.health import Health

T = TypeVar("T")
PATIENCE_S = 20.0
LOOK_EVERY_S = 0.5


async def written(
    work: Awaitable[T], health: Health, *, patience_s: float = PATIENCE_S, within_s: float = math.inf
) -> T:
    """What `work` returns. Ingest tries an insert for ever, which is wrong for a person who looks on: when `health` has
    a problem for `patience_s`, or `within_s` are over, raises NotWritten, and `work` is cancelled."""
    task = asyncio.ensure_future(work)
    troubled_since: float | None = None
    ends_at = time.monotonic() + within_s
    try:
        while not (await asyncio.wait((task,), timeout=LOOK_EVERY_S))[0]:
            problems = {name: text for name, text in health.problems.items() if name != "start"}
            now = time.monotonic()
            troubled_since = (troubled_since or now) if problems else None
            if troubled_since is not None and now - troubled_since >= patience_s:
                raise NotWritten(reason="; ".join(problems.values()))
            if now >= ends_at:
                raise NotWritten(reason=f"nothing was durable within {within_s:.0f} s.")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
