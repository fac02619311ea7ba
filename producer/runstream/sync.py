"""`runstream sync`: sends what dead or offline processes left in data directories."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runstream import awaited
from runstream.agent import Agent
from runstream.errors import AgentRunning
from runstream.objects import Uploads
from runstream.settings import Settings
from runstream.spool import list_spools, segment_numbers, segment_path
from runstream.transport import Transport

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all (as they lie on disk)."""


@dataclasses.dataclass(frozen=True, slots=True)
class SyncReport:
    """What one `sync` did. Nothing is left to do when `left` is empty."""

    runs: int
    writers: int
    points: int
    events: int
    bytes: int
    """Of the messages that arrived."""
    files: int
    """Of artifacts and rich values, that the object store did not have yet."""
    refused: int
    """Messages that the broker will never take; they are kept in `refused/` of the data directory."""
    left: dict[str, str]
    """Spool directory to the reason why it was not sent."""

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def summary(self) -> str:
        """One paragraph for people."""
        lines = [
            f"Sent {self.points:,} points and {self.events:,} events of {self.writers:,} writers in {self.runs:,} runs "
            f"and {self.files:,} files ({self.bytes / 2**20:,.1f} MiB of messages)."
        ]
        if self.refused:
            lines.append(f"{self.refused:,} messages were refused for good; they are kept in refused/.")
        lines += [f"Left: {directory}: {reason}" for directory, reason in sorted(self.left.items())]
        return "\n".join(lines)


async def sync(
    directory: Path,
    transport: Transport,
    objects: Uploads,
    progress: Progress | None = None,
    *,
    settings: Settings,
    stop: asyncio.Event | None = None,
) -> SyncReport:
    """Sends the spools under `directory` whose writers are gone, and returns when all of it is acknowledged.

    Its spools go side by side. `stop` ends it early: what was not acknowledged in a few seconds is then `left`. Starts
    and closes `transport`. May be interrupted and repeated at any time: what was acknowledged is not sent again, what
    was not keeps its sequence numbers. Waits for ever while the other side is down. Spools of processes that still run
    are left to the agent. Raises AgentRunning when an agent serves the directory now.
    """
    spools = list(list_spools(directory / "spool"))
    sizes = {spool: _size(spool) for spool in spools}
    total = sum(sizes.values())

    def report_progress() -> None:
        if progress is None:
            return
        waiting = sum(agent.lag().values())
        unopened = sum(size for spool, size in sizes.items() if spool.exists() and spool not in agent.tails)
        progress(max(0, total - waiting - unopened), total)

    agent = Agent(
        directory,
        transport,
        objects,
        settings,
        stay=False,
        skip_living=True,
        leave_after_s=0.0,
        on_round=report_progress,
    )
    stop = stop or asyncio.Event()
    await agent.run(stop)
    if progress is not None and not stop.is_set():
        progress(total, total)
    left = {str(spool): _why_left(spool) for spool in spools if stop.is_set() and spool.exists()}
    left |= {str(spool): "its process still runs; the agent sends it" for spool in agent.skipped}
    left |= {str(spool): reason for spool, reason in agent.unreadable.items()}
    sent = [spool for spool in spools if str(spool) not in left]
    return SyncReport(
        runs=len({spool.parent for spool in sent}),
        writers=len(sent),
        points=agent.points,
        events=agent.events,
        bytes=agent.counters.bytes,
        files=agent.uploader.uploaded_files,
        refused=agent.counters.refused_messages,
        left=left,
    )


async def sync_all(
    directories: Sequence[Path],
    connect: Callable[[Path], Transport],
    objects: Uploads,
    progress: Progress | None = None,
    *,
    settings: Settings,
    jobs: int = 4,
    stop: asyncio.Event | None = None,
) -> SyncReport:
    """`sync` of each directory, `jobs` at a time, with a transport of its own from `connect`; the sum of the reports.

    A directory that an agent serves is `left`, and the others go on.
    """
    turns = asyncio.Semaphore(jobs)
    sizes = {directory: sum(map(_size, list_spools(directory / "spool"))) for directory in directories}
    done = dict.fromkeys(directories, 0)

    def advanced(directory: Path, sent: int) -> None:
        done[directory] = min(sent, sizes[directory])
        if progress is not None:
            progress(sum(done.values()), sum(sizes.values()))

    async def one(directory: Path) -> SyncReport:
        async with turns:
            if stop is not None and stop.is_set():
                return SyncReport(0, 0, 0, 0, 0, 0, 0, {str(directory): "stopped before it was sent; sync again"})
            try:
                return await sync(
                    directory,
                    connect(directory),
                    objects,
                    lambda sent, _: advanced(directory, sent),
                    settings=settings,
                    stop=stop,
                )
            except AgentRunning as error:
                return SyncReport(0, 0, 0, 0, 0, 0, 0, {str(directory): str(error)})

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one(directory)) for directory in directories]
    return joined([task.result() for task in running])


def joined(reports: Sequence[SyncReport]) -> SyncReport:
    """The sum of `reports`."""
    return SyncReport(
        runs=sum(one.runs for one in reports),
        writers=sum(one.writers for one in reports),
        points=sum(one.points for one in reports),
        events=sum(one.events for one in reports),
        bytes=sum(one.bytes for one in reports),
        files=sum(one.files for one in reports),
        refused=sum(one.refused for one in reports),
        left={spool: reason for one in reports for spool, reason in one.left.items()},
    )


def _why_left(spool: Path) -> str:
    waits = awaited.amount(spool)
    return f"stopped before it was sent{f'; {waits}' if waits.artifacts else ''}; sync again"


def _size(spool: Path) -> int:
    return sum(segment_path(spool, number).stat().st_size for number in segment_numbers(spool))
