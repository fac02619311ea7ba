"""Whether the service lives and whether it is ready, as its probes tell."""

from __future__ import annotations

import time

STALL_S = 30.0


class Health:
    """`problem` makes the service unready until `solved`; a loop that does not turn for 30 s makes it unhealthy."""

    def __init__(self) -> None:
        self._turned = self._progressed = time.monotonic()
        self._problems: dict[str, str] = {"start": "starting"}

    def turned(self) -> None:
        self._turned = time.monotonic()

    def progressed(self) -> None:
        """Messages became durable, or none wait."""
        self._progressed = time.monotonic()

    @property
    def waiting_s(self) -> float:
        """Seconds since messages became durable or none waited."""
        return time.monotonic() - self._progressed

    def problem(self, what: str, text: str) -> None:
        self._problems[what] = text

    def solved(self, what: str) -> None:
        self._problems.pop(what, None)

    @property
    def problems(self) -> dict[str, str]:
        return dict(self._problems)

    @property
    def idle_s(self) -> float:
        """Seconds since the loop turned."""
        return time.monotonic() - self._turned

    @property
    def is_alive(self) -> bool:
        return self.idle_s < STALL_S

    @property
    def is_ready(self) -> bool:
        return self.is_alive and not self._problems
