"""The contract of a step."""

from __future__ import annotations

from typing import Protocol, TypeVar

from runstream_ingest.records import Carried

T = TypeVar("T")


class Step(Protocol[T]):
    """Takes values in order and hands what it makes of them to the next step.

    * Offsets travel with the value; nothing but the last step commits them, and never before all that came earlier from
      the same source.
    * `put` may wait: that is the back-pressure. Time comes in by `tick`; a step never sleeps.
    * What a step raises ends the row of steps: it is then dropped, and what was not committed is read again.
    * Calls never overlap.
    """

    async def put(self, item: Carried[T], /) -> None: ...

    async def tick(self, now: float, /) -> None:
        """`now` is monotonic seconds, never less than before; called about 20 times a second."""
        ...

    async def close(self) -> None:
        """Hands on what is held, then closes the next step; afterwards all that was put is durable and committed."""
        ...

    async def abandon(self) -> None:
        """Ends what is under way at once; what is not durable is read again. Nothing is called afterwards."""
        ...
