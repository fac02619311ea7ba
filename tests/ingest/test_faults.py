from __future__ import annotations

from collections.abc import Iterator

import pytest

from runstream_ingest import faults
from runstream_ingest.errors import InjectedFault


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    faults.arm("")


async def test_nothing_happens_unless_armed() -> None:
    await faults.reach("polled")


async def test_it_happens_the_time_that_was_named() -> None:
    faults.arm("gated=raise@2, decoded=sleep:0")
    await faults.reach("gated")
    with pytest.raises(InjectedFault, match="gated"):
        await faults.reach("gated")
    for point in ("gated", "decoded", "polled"):
        await faults.reach(point)


async def test_the_same_seed_has_the_same_faults() -> None:
    async def run(seed: int) -> list[bool]:
        faults.arm("before_insert.points=raise@~0.5", seed)
        happened = []
        for _ in range(50):
            try:
                await faults.reach("before_insert.points")
                happened.append(False)
            except InjectedFault:
                happened.append(True)
        return happened

    first = await run(1)
    assert await run(1) == first != await run(2)
    assert 5 < sum(first) < 45


@pytest.mark.parametrize("text", ["polled", "polled=explode", "polled=raise@x", "polled=sleep:", "=kill"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no fault"):
        faults.parsed(text)
