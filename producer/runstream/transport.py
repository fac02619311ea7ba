"""The way out of the agent: Kafka (`runstream.kafka`) or ingest in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from runstream.messages import Message, Place

Sent = asyncio.Future[Place | None] | asyncio.Future[None]
"""Resolves when a message is durable, to where it lies; to None where durable is queryable too."""


class Transport(Protocol):
    """Takes messages and says when each is durable.

    Contract:
    * Messages of one key and topic become durable in the order of their `send()` calls. A message may be delivered more
      than once, but never before an earlier one of its key and topic was delivered at least once.
    * Infrastructure errors are the transport's business: it retries for ever and the future stays pending meanwhile.
    * A future fails only when this one message can never be delivered; the transport has then logged it and kept a copy
      (`MessageRefused`). Later messages go on.
    * All calls come from one event loop. `send()` never blocks; who calls it bounds the bytes in flight.
    """

    async def start(self) -> None:
        """Prepares sending. Returns at once when the other side is down: that is retried in the background."""

    def send(self, message: Message) -> Sent:
        """Queues one message; the future resolves when it is durable on the other side."""

    async def flush(self) -> None:
        """Waits until all that was sent is durable or refused: for ever, when the other side stays down."""

    async def close(self) -> None:
        """Ends at once; what is not durable yet stays pending for ever (the spool still has it)."""


@runtime_checkable
class TellsQueryable(Protocol):
    """A transport on whose other side a message is durable before it is queryable."""

    async def queryable(self) -> Mapping[tuple[str, int], int]:
        """Topic and partition to the offset before which every message is in the database.

        What nobody has read yet is missing. Raises whatever kept it from finding out; then it may be asked again.
        """
