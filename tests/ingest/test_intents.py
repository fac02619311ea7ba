from __future__ import annotations

import pytest

from runstream_ingest import intents
from runstream_ingest.records import Range, Source


def ranges(topic: str, count: int) -> dict[Source, Range]:
    return {Source(topic, (1 << 31) - 1 - i): Range((1 << 62) + i, (1 << 62) + 10 + i, 7) for i in range(count)}


def test_intents_come_back_as_they_were_and_in_their_order() -> None:
    found = [
        intents.intent_of("a name", ranges("r.metrics", 3) | ranges("r.control", 1), 4),
        intents.intent_of("the next", ranges("r.metrics", 1), 5),
    ]
    assert intents.decode(intents.encode(found)) == found


def test_nothing_to_announce_is_no_metadata() -> None:
    assert intents.encode([]) == ""


@pytest.mark.parametrize("topic", ["m", "runstream.metrics", "x" * 249])
def test_what_is_said_to_fit_does(topic: str) -> None:
    most = max(n for n in range(1, 80) if intents.fits(ranges(topic, n)))
    name = f"{topic}:{1 << 31}:{1 << 62}-{1 << 62}:{'f' * 16}"
    assert most >= 10
    found = [intents.intent_of(name, ranges(topic, most), 1 << 62) for _ in range(intents.IN_FLIGHT)]
    assert len(intents.encode(found)) <= intents.MAX_BYTES


@pytest.mark.parametrize(
    "metadata",
    [None, "", "of another program", "{}", '{"v":2}', '{"v":1,"b":[[1,"x"]]}', '{"v":1,"b":[[1,"x",[]]]}', "[1]"],
)
def test_other_metadata_is_none(metadata: str | None) -> None:
    assert intents.decode(metadata) == []
