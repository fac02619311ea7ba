from __future__ import annotations

import asyncio

from runstream_ingest.health import Health
from runstream_ingest.metrics import Metrics
from runstream_ingest.stall import StallWatch, stacks

WAIT_S = 60.0


def stalls(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("runstream_ingest_stalls_total") or 0


async def test_without_progress_all_stacks_are_logged_once() -> None:
    health, metrics = Health(), Metrics()
    health.solved("start")
    with StallWatch(health, metrics, asyncio.get_running_loop(), stall_s=0.001, look_s=0.01):
        async with asyncio.timeout(WAIT_S):
            while not stalls(metrics):  # noqa: ASYNC110 - a thread counts
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
    assert stalls(metrics) == 1


async def test_a_known_problem_explains_it() -> None:
    health, metrics = Health(), Metrics()
    health.problem("clickhouse", "away")
    with StallWatch(health, metrics, asyncio.get_running_loop(), stall_s=0.001, look_s=0.01):
        await asyncio.sleep(0.1)
    assert stalls(metrics) == 0


async def test_the_stacks_name_threads_and_tasks() -> None:
    waiting = asyncio.create_task(asyncio.sleep(60), name="a task that waits")
    await asyncio.sleep(0)
    text = stacks(asyncio.get_running_loop())
    waiting.cancel()
    assert "thread MainThread" in text
    assert "task a task that waits" in text
    assert "test_the_stacks_name_threads_and_tasks" in text
