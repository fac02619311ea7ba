from __future__ import annotations

import asyncio

import pytest

from runstream_ingest import intents
from runstream_ingest.errors import CommitRefused
from runstream_ingest.kafka_offsets import IDLE_S, KafkaOffsets, Places
from runstream_ingest.records import Range, Ranges, Source

ONE, TWO = Source("t.metrics", 0), Source("t.control", 1)


class Group:
    def __init__(self) -> None:
        self.commits: list[dict[Source, tuple[int, str]]] = []
        self.durable: list[Ranges] = []
        self.hold: asyncio.Event | None = None

    async def commit(self, places: Places) -> None:
        if self.hold is not None:
            await self.hold.wait()
        self.commits.append(dict(places))

    def offsets(self, *, with_intents: bool = True) -> KafkaOffsets:
        return KafkaOffsets(self.commit, self.durable.append, generations={ONE: 3}, with_intents=with_intents)


def ranges(source: Source, start: int, end: int) -> dict[Source, Range]:
    return {source: Range(start, end, 7)}


async def test_one_commit_announces_a_batch_and_moves_the_offsets_of_those_before() -> None:
    group = Group()
    offsets = group.offsets()
    await offsets.intend(both := ranges(ONE, 0, 10) | ranges(TWO, 5, 6), "first")
    await offsets.done(both)
    await offsets.intend(ranges(ONE, 10, 12), "second")
    first, second = group.commits
    assert {source: offset for source, (offset, _) in first.items()} == {ONE: 0, TWO: 5}
    assert [intents.decode(metadata) for _, metadata in first.values()] == [[intents.intent_of("first", both)]] * 2
    assert second[TWO] == (6, "")
    assert second[ONE] == (10, intents.encode([intents.intent_of("second", ranges(ONE, 10, 12), 1)]))
    assert group.durable == [both]


async def test_a_partition_stays_where_its_oldest_batch_began_until_that_is_settled() -> None:
    group = Group()
    offsets = group.offsets()
    await offsets.intend(first := ranges(ONE, 0, 10) | ranges(TWO, 5, 6), "first")
    await offsets.intend(second := ranges(ONE, 10, 12), "second")
    await offsets.done(first)
    await offsets.intend(ranges(ONE, 12, 15) | ranges(TWO, 6, 9), "third")
    _, both, later = group.commits
    announced = [intents.intent_of("first", first), intents.intent_of("second", second, 1)]
    assert both == {ONE: (0, intents.encode(announced))}
    assert {source: offset for source, (offset, _) in later.items()} == {ONE: 10, TWO: 6}
    assert [intent.name for intent in intents.decode(later[ONE][1])] == ["second", "third"]
    assert [intent.name for intent in intents.decode(later[TWO][1])] == ["second", "third"]


async def test_a_partition_names_the_batch_before_too_when_its_own_has_a_partition_of_that() -> None:
    """What that one held already is left out of its own: who recovers it must do both, whatever else he owns."""
    group = Group()
    offsets = group.offsets()
    await offsets.intend(ranges(ONE, 0, 10), "first")
    await offsets.intend(ranges(ONE, 10, 12) | ranges(TWO, 5, 6), "second")
    _, second = group.commits
    assert {source: offset for source, (offset, _) in second.items()} == {ONE: 0, TWO: 5}
    assert [intent.name for intent in intents.decode(second[TWO][1])] == ["first", "second"]


async def test_announcing_a_batch_again_only_asks_whether_it_is_still_ours() -> None:
    group = Group()
    offsets = group.offsets()
    await offsets.intend(ranges(ONE, 0, 10), "first")
    await offsets.intend(ranges(ONE, 0, 10), "first")
    assert group.commits[0] == group.commits[1]


async def test_when_no_batch_follows_the_ends_are_committed_for_themselves() -> None:
    group = Group()
    offsets = group.offsets()
    await offsets.done(ranges(ONE, 0, 10))
    await offsets.settle(100.0)
    assert not group.commits
    await offsets.settle(101.0 + IDLE_S)
    assert group.commits == [{ONE: (10, "")}]
    await offsets.settle()
    assert len(group.commits) == 1


async def test_ends_that_are_being_committed_never_overtake_the_next_intent() -> None:
    group = Group()
    group.hold = asyncio.Event()
    offsets = group.offsets()
    await offsets.done(ranges(ONE, 0, 10))
    settling = asyncio.create_task(offsets.settle())
    await asyncio.sleep(0)
    intending = asyncio.create_task(offsets.intend(ranges(ONE, 10, 20), "next"))
    await asyncio.sleep(0)
    group.hold.set()
    await asyncio.gather(settling, intending)
    assert [metadata != "" for commit in group.commits for _, metadata in commit.values()] == [False, True]


async def test_after_the_end_of_the_assignment_nothing_is_committed() -> None:
    group = Group()
    offsets = group.offsets()
    offsets.ended = True
    await offsets.done(ranges(ONE, 0, 10))
    await offsets.settle()
    with pytest.raises(CommitRefused):
        await offsets.intend(ranges(ONE, 10, 20), "late")
    assert not group.commits
    assert not group.durable


async def test_without_intents_each_batch_commits_its_ends() -> None:
    group = Group()
    offsets = group.offsets(with_intents=False)
    await offsets.intend(ranges(ONE, 0, 10), "first")
    await offsets.done(ranges(ONE, 0, 10))
    assert group.commits == [{ONE: (10, "")}]


async def test_marks_are_kept_of_partitions_with_a_generation() -> None:
    offsets = Group().offsets()
    assert (offsets.generation(ONE), offsets.generation(TWO)) == (3, None)
