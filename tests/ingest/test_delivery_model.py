"""Any interleaving of crashes, retries, replays, zombies and resets, over a model of the broker and of the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_samples import Letters, Tables, frame, record

from runstream_ingest import faults, intents
from runstream_ingest.assignment import Steps
from runstream_ingest.commit import Offsets
from runstream_ingest.errors import CommitRefused, InjectedFault
from runstream_ingest.kafka_offsets import KafkaOffsets, Places, RecoveredOffsets
from runstream_ingest.native import Block, Keyed
from runstream_ingest.pipeline import PipelineSettings, build
from runstream_ingest.records import Source, carried

PARTITIONS = 2
POINTS = (
    "polled",
    "decoded",
    "gated",
    "before_intent",
    "after_intent",
    "before_insert.points",
    "after_insert.points",
    "before_insert.metric_summary",
    "after_insert.metric_summary",
    "before_commit",
    "after_commit",
)


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    faults.arm("")


class Database(Tables):
    """Remembers tokens, and keeps what a zombie sends late."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: set[str] = set()
        self.late: list[tuple[str, Block, str]] = []
        self.is_slow = False

    async def insert(self, table: str, block: Block, token: str) -> None:
        if self.is_slow:
            self.late.append((table, block, token))
            raise InjectedFault("the process sleeps")
        if not token or token not in self.tokens:
            self.tokens.add(token)
            await super().insert(table, block, token)

    def points(self) -> Counter[tuple[int, int]]:
        """How often each row is there, by writer and step."""
        found: Counter[tuple[int, int]] = Counter()
        for table, block, _ in self.blocks:
            if table == "points":
                columns = {name: data for name, _, data in block.columns}
                metric: Keyed = columns["metric"]
                of_one = metric.places == metric.places[0]
                found.update(zip(columns["writer"][of_one].tolist(), columns["step"][of_one].tolist(), strict=True))
        return found


class Broker:
    """The topic's partitions, and what the group committed, fenced by the owner of each partition."""

    def __init__(self) -> None:
        self.logs: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        self.committed: dict[Source, tuple[int, str]] = {}
        self.owners: dict[Source, int] = {}

    def commit(self, owner: int) -> Callable[[Places], Any]:
        async def commit(places: Places) -> None:
            if any(self.owners[source] != owner for source in places):
                raise CommitRefused(RuntimeError("generation"))
            assert all(len(metadata) <= intents.MAX_BYTES for _, metadata in places.values())
            self.committed.update(places)

        return commit


class World:
    def __init__(self) -> None:
        self.broker, self.database = Broker(), Database()
        self.logged: Counter[int] = Counter()
        self.workers = 0
        self.zombies: list[Steps] = []

    def log(self, writer: int, rows: int) -> None:
        self._send(writer, self.logged[writer], rows)
        self.logged[writer] += rows

    def replay(self, writer: int, start: int, rows: int) -> None:
        """Rows that were sent before, cut in another way."""
        start = min(start, self.logged[writer])
        self._send(writer, start, min(rows, self.logged[writer] - start))

    def _send(self, writer: int, first: int, rows: int) -> None:
        if rows:
            self.broker.logs[writer % PARTITIONS].append(frame(rows=rows, first_seq=first, writer_id=writer))

    async def work(
        self, partitions: Sequence[int], cuts: Sequence[int], fault: tuple[str, int] | None, slow: bool
    ) -> None:
        """A worker owns the partitions, does what was interrupted, reads all, and dies of its fault if it meets it."""
        self.workers += 1
        owner = self.workers
        sources = [Source("t.metrics", partition) for partition in partitions]
        self.broker.owners.update(dict.fromkeys(sources, owner))
        faults.arm(f"{fault[0]}=raise@{fault[1]}" if fault else "")
        try:
            await self._recover(sources, owner)
            self.database.is_slow = slow
            offsets = KafkaOffsets(self.broker.commit(owner), lambda ranges: None, generations=None)
            await self._read(self._steps(offsets, cuts[0] * 20 + 4), sources, cuts)
        except InjectedFault:
            pass
        finally:
            self.database.is_slow = False
            faults.arm("")

    def _steps(self, offsets: Offsets, rows: int) -> Steps:
        cut = replace(PipelineSettings(), batch_rows=rows)
        if not offsets.is_fresh:
            cut = cut.whole()
        return build(cut, self.database, self.database, offsets, Letters())

    async def _recover(self, sources: Sequence[Source], owner: int) -> None:
        metadata = [self.broker.committed.get(source, (0, ""))[1] for source in sources]
        found = {intent.name: intent for one in metadata for intent in intents.decode(one)}
        for intent in sorted(found.values(), key=lambda intent: intent.order):
            steps = self._steps(RecoveredOffsets({}), 1)
            try:
                for where, (start, end) in intent.ranges.items():
                    await self._put(steps, where, start, end)
                await steps.close()
            finally:
                await steps.abandon()
        ends: dict[Source, int] = {}
        for intent in found.values():
            for source, (_, end) in intent.ranges.items():
                if source in sources:
                    ends[source] = max(end, ends.get(source, 0))
        if ends:
            await self.broker.commit(owner)({source: (end, "") for source, end in ends.items()})

    async def _read(self, steps: Steps, sources: Sequence[Source], cuts: Sequence[int]) -> None:
        try:
            places = {source: self.broker.committed.get(source, (0, ""))[0] for source in sources}
            turn = 0
            while any(places[s] < len(self.broker.logs[s.partition]) for s in sources):
                for source in sources:
                    start = places[source]
                    cut = cuts[turn % len(cuts)] or turn // 40  # a partition may have to wait, but not for ever
                    end = min(start + cut, len(self.broker.logs[source.partition]))
                    turn += 1
                    if start < end:
                        await self._put(steps, source, start, end)
                        places[source] = end
                await steps.tick(float(turn))
            await steps.close()
        finally:
            await steps.abandon()

    async def _put(self, steps: Steps, source: Source, start: int, end: int) -> None:
        log = self.broker.logs[source.partition]
        await steps.put(carried([record(log[i], i, partition=source.partition) for i in range(start, end)]))

    def reset(self) -> None:
        """The group is deleted, as one may: while no batch is interrupted."""
        if not any(metadata for _, metadata in self.broker.committed.values()):
            self.broker.committed.clear()

    async def wake(self) -> None:
        """The zombies' inserts arrive."""
        late, self.database.late = self.database.late, []
        for table, block, token in late:
            await self.database.insert(table, block, token)


WRITERS = st.integers(0, 3)
ACTS = st.one_of(
    st.tuples(st.just("log"), WRITERS, st.integers(1, 4)),
    st.tuples(st.just("replay"), WRITERS, st.integers(0, 6), st.integers(1, 6)),
    st.tuples(
        st.just("work"),
        st.sampled_from([[0], [1], [0, 1], [1, 0]]),
        st.lists(st.integers(0, 3), min_size=1, max_size=4),
        st.none() | st.tuples(st.sampled_from(POINTS), st.integers(1, 3)),
        st.booleans(),
    ),
    st.tuples(st.just("wake")),
    st.tuples(st.just("reset")),
)


@settings(max_examples=250, deadline=None)
@given(st.lists(ACTS, max_size=16))
async def test_whatever_happens_in_the_end_each_row_is_there_once(acts: list[tuple[Any, ...]]) -> None:
    world = World()
    for name, *arguments in acts:
        found = getattr(world, name)(*arguments)
        if found is not None:
            await found
    await world.work([0, 1], [2], None, slow=False)
    await world.wake()
    expected = {(writer, step) for writer, rows in world.logged.items() for step in range(rows)}
    assert world.database.points() == Counter(expected), "each logged row once"
    held = {writer.writer: numbers for (writer, _), numbers in world.database.held.items()}
    assert held == {writer: [0, rows] for writer, rows in world.logged.items() if rows}
